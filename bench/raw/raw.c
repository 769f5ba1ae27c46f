// A loop around ONNX Runtime and nothing else: what the machine can do. It
// opens a model with INTRA threads a run, then answers each line
// "THREADS BATCH SECONDS ROWS" on its input with one line: runs, seconds,
// processor seconds, and the median and the 99th percentile of a run's time.
// All threads run the same session; each has its own values, made once: as many
// as hold ROWS different rows, which it goes through again and again. Trees run
// at twice the speed on rows that the processor has learned to predict.
//
// The model has one input of float32 or float16, whose open dimensions are
// taken as BATCH, and outputs that are tensors.
//
// "cuda" or "tensorrt" after INTRA, with options as KEY=VALUE behind it, runs
// the model on a GPU; inputs are then in pinned memory.
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "onnxruntime_c_api.h"

enum { MAX_THREADS = 64, MAX_OUTPUTS = 8, MAX_SAMPLES = 1 << 18 };

static const OrtApi *api;
static OrtSession *session;
static OrtAllocator *allocator;
static OrtMemoryInfo *memory;
static char *input_name;
static char *output_names[MAX_OUTPUTS];
static size_t outputs;
static OrtMemoryInfo *pinned; // NULL: the model runs on the CPU
static OrtAllocator *pinned_allocator;

static void check(OrtStatus *status) {
  if (status == NULL) return;
  fprintf(stderr, "raw: %s\n", api->GetErrorMessage(status));
  exit(1);
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

typedef struct {
  pthread_t thread;
  int batch;
  int inputs; // of batch rows each
  double seconds;
  pthread_barrier_t *barrier;
  long runs;
  int samples;
  float *took;
} worker;

// number is the k-th of numbers from 0 to 7.9 with one digit behind the point.
static float number(uint64_t k) {
  k = (k + 1) * 0x9e3779b97f4a7c15;
  k = (k ^ k >> 30) * 0xbf58476d1ce4e5b9;
  return (k >> 32) % 80 / 10.0f;
}

// make_input makes the values of batch rows, the i-th of such.
static OrtValue *make_input(int batch, int nth) {
  OrtTypeInfo *type;
  const OrtTensorTypeAndShapeInfo *info;
  size_t rank, count = 1;
  int64_t shape[16];
  check(api->SessionGetInputTypeInfo(session, 0, &type));
  check(api->CastTypeInfoToTensorInfo(type, &info));
  check(api->GetDimensionsCount(info, &rank));
  if (rank > 16) exit(1);
  check(api->GetDimensions(info, shape, rank));
  for (size_t i = 0; i < rank; i++) {
    if (shape[i] < 0) shape[i] = batch;
    count *= shape[i];
  }
  ONNXTensorElementDataType element;
  check(api->GetTensorElementType(info, &element));
  api->ReleaseTypeInfo(type);
  bool half = element == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
  size_t bytes = count * (half ? sizeof(uint16_t) : sizeof(float));
  void *data;
  if (pinned == NULL) data = malloc(bytes);
  else check(api->AllocatorAlloc(pinned_allocator, bytes, &data));
  for (size_t i = 0; i < count; i++) {
    if (half) ((uint16_t *)data)[i] = 0x3c00; // 1
    else ((float *)data)[i] = number(nth * count + i);
  }
  OrtValue *value;
  check(api->CreateTensorWithDataAsOrtValue(pinned == NULL ? memory : pinned, data, bytes, shape, rank, element, &value));
  return value;
}

static void free_input(OrtValue *value) {
  void *data;
  check(api->GetTensorMutableData(value, &data));
  api->ReleaseValue(value);
  if (pinned == NULL) free(data);
  else check(api->AllocatorFree(pinned_allocator, data));
}

// accelerate adds a GPU's provider with its options.
static void accelerate(OrtSessionOptions *options, const char *provider, char **pairs, int n) {
  const char *keys[32], *values[32];
  if (n > 32) exit(2);
  for (int i = 0; i < n; i++) {
    char *at = strchr(pairs[i], '=');
    if (at == NULL) exit(2);
    *at = 0;
    keys[i] = pairs[i];
    values[i] = at + 1;
  }
  if (strcmp(provider, "tensorrt") == 0) {
    OrtTensorRTProviderOptionsV2 *o;
    check(api->CreateTensorRTProviderOptions(&o));
    check(api->UpdateTensorRTProviderOptions(o, keys, values, n));
    check(api->SessionOptionsAppendExecutionProvider_TensorRT_V2(options, o));
    api->ReleaseTensorRTProviderOptions(o);
    return;
  }
  OrtCUDAProviderOptionsV2 *o;
  check(api->CreateCUDAProviderOptions(&o));
  check(api->UpdateCUDAProviderOptions(o, keys, values, n));
  check(api->SessionOptionsAppendExecutionProvider_CUDA_V2(options, o));
  api->ReleaseCUDAProviderOptions(o);
}

static void *work(void *argument) {
  worker *w = argument;
  const char *names[] = {input_name};
  OrtValue *out[MAX_OUTPUTS] = {NULL};
  OrtValue **ins = malloc(w->inputs * sizeof *ins);
  for (int i = 0; i < w->inputs; i++) ins[i] = make_input(w->batch, i);
  // The first run makes the outputs' values, the others write into them.
  check(api->Run(session, NULL, names, (const OrtValue *const *)ins, 1, (const char *const *)output_names, outputs, out));
  pthread_barrier_wait(w->barrier);
  double begin = now(CLOCK_MONOTONIC), last = begin;
  while (last - begin < w->seconds) {
    const OrtValue *in[] = {ins[w->runs % w->inputs]};
    check(api->Run(session, NULL, names, in, 1, (const char *const *)output_names, outputs, out));
    double t = now(CLOCK_MONOTONIC);
    if (w->samples < MAX_SAMPLES) w->took[w->samples++] = t - last;
    last = t;
    w->runs++;
  }
  pthread_barrier_wait(w->barrier);
  for (int i = 0; i < w->inputs; i++) free_input(ins[i]);
  free(ins);
  for (size_t i = 0; i < outputs; i++) api->ReleaseValue(out[i]);
  return NULL;
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void burst(int threads, int batch, double seconds, int rows) {
  static worker workers[MAX_THREADS];
  static float all[MAX_THREADS * 4096];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, threads + 1);
  for (int i = 0; i < threads; i++) {
    worker *w = &workers[i];
    float *took = w->took ? w->took : malloc(MAX_SAMPLES * sizeof(float));
    *w = (worker){.batch = batch, .inputs = (rows + batch - 1) / batch, .seconds = seconds, .barrier = &barrier, .took = took};
    pthread_create(&w->thread, NULL, work, w);
  }
  pthread_barrier_wait(&barrier);
  double begin = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  pthread_barrier_wait(&barrier);
  double took = now(CLOCK_MONOTONIC) - begin;
  cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  long runs = 0;
  int n = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    runs += workers[i].runs;
    int step = workers[i].samples / 4096 + 1;
    for (int j = 0; j < workers[i].samples; j += step) all[n++] = workers[i].took[j];
  }
  qsort(all, n, sizeof(float), ascending);
  printf("{\"Runs\":%ld,\"Seconds\":%.9f,\"CPU\":%.9f,\"P50\":%.9f,\"P99\":%.9f}\n", runs, took, cpu, all[n / 2], all[(int)(n * 0.99)]);
  fflush(stdout);
  pthread_barrier_destroy(&barrier);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: raw LIBRARY MODEL INTRA [cuda|tensorrt KEY=VALUE...]\n");
    return 2;
  }
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
  if (base == NULL || (api = base()->GetApi(ORT_API_VERSION)) == NULL) {
    fprintf(stderr, "the library is older than the header\n");
    return 1;
  }
  OrtEnv *env;
  OrtSessionOptions *options;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "raw", &env));
  check(api->CreateSessionOptions(&options));
  check(api->SetIntraOpNumThreads(options, atoi(argv[3])));
  check(api->SetInterOpNumThreads(options, 1));
  if (argc > 4) accelerate(options, argv[4], argv + 5, argc - 5);
  check(api->CreateSession(env, argv[2], options, &session));
  check(api->GetAllocatorWithDefaultOptions(&allocator));
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  if (argc > 4) {
    check(api->CreateMemoryInfo("CudaPinned", OrtDeviceAllocator, 0, OrtMemTypeCPUOutput, &pinned));
    check(api->CreateAllocator(session, pinned, &pinned_allocator));
  }
  check(api->SessionGetInputName(session, 0, allocator, &input_name));
  check(api->SessionGetOutputCount(session, &outputs));
  if (outputs > MAX_OUTPUTS) return 1;
  for (size_t i = 0; i < outputs; i++) check(api->SessionGetOutputName(session, i, allocator, &output_names[i]));
  printf("{}\n");
  fflush(stdout);
  int threads, batch, rows;
  double seconds;
  while (scanf("%d %d %lf %d", &threads, &batch, &seconds, &rows) == 4) {
    if (threads < 1 || threads > MAX_THREADS || batch < 1 || rows < 1) return 2;
    burst(threads, batch, seconds, rows);
  }
  return 0;
}
