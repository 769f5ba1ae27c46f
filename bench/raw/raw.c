// A loop around ONNX Runtime and nothing else: what the machine can do. It
// opens a model with INTRA threads a run, then answers each line
// "THREADS BATCH SECONDS" on its input with one line: runs, seconds, processor
// seconds, and the median and the 99th percentile of a run's time. All threads
// run the same session; each has its own values, made once.
//
// The model has one float32 input whose open dimensions are taken as BATCH,
// and outputs that are tensors.
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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
  double seconds;
  pthread_barrier_t *barrier;
  long runs;
  int samples;
  float *took;
} worker;

static OrtValue *make_input(int batch) {
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
  api->ReleaseTypeInfo(type);
  float *data = malloc(count * sizeof(float));
  for (size_t i = 0; i < count; i++) data[i] = (i * 7919 % 8000) / 1000.0f;
  OrtValue *value;
  check(api->CreateTensorWithDataAsOrtValue(memory, data, count * sizeof(float), shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
  return value;
}

static void *work(void *argument) {
  worker *w = argument;
  const char *names[] = {input_name};
  OrtValue *in = make_input(w->batch), *out[MAX_OUTPUTS] = {NULL};
  const OrtValue *ins[] = {in};
  // The first run makes the outputs' values, the others write into them.
  check(api->Run(session, NULL, names, ins, 1, (const char *const *)output_names, outputs, out));
  pthread_barrier_wait(w->barrier);
  double begin = now(CLOCK_MONOTONIC), last = begin;
  while (last - begin < w->seconds) {
    check(api->Run(session, NULL, names, ins, 1, (const char *const *)output_names, outputs, out));
    double t = now(CLOCK_MONOTONIC);
    if (w->samples < MAX_SAMPLES) w->took[w->samples++] = t - last;
    last = t;
    w->runs++;
  }
  pthread_barrier_wait(w->barrier);
  void *data;
  check(api->GetTensorMutableData(in, &data));
  api->ReleaseValue(in);
  free(data);
  for (size_t i = 0; i < outputs; i++) api->ReleaseValue(out[i]);
  return NULL;
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void burst(int threads, int batch, double seconds) {
  static worker workers[MAX_THREADS];
  static float all[MAX_THREADS * 4096];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, threads + 1);
  for (int i = 0; i < threads; i++) {
    worker *w = &workers[i];
    float *took = w->took ? w->took : malloc(MAX_SAMPLES * sizeof(float));
    *w = (worker){.batch = batch, .seconds = seconds, .barrier = &barrier, .took = took};
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
  if (argc != 4) {
    fprintf(stderr, "usage: raw LIBRARY MODEL INTRA\n");
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
  check(api->CreateSession(env, argv[2], options, &session));
  check(api->GetAllocatorWithDefaultOptions(&allocator));
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  check(api->SessionGetInputName(session, 0, allocator, &input_name));
  check(api->SessionGetOutputCount(session, &outputs));
  if (outputs > MAX_OUTPUTS) return 1;
  for (size_t i = 0; i < outputs; i++) check(api->SessionGetOutputName(session, i, allocator, &output_names[i]));
  printf("{}\n");
  fflush(stdout);
  int threads, batch;
  double seconds;
  while (scanf("%d %d %lf", &threads, &batch, &seconds) == 3) {
    if (threads < 1 || threads > MAX_THREADS || batch < 1) return 2;
    burst(threads, batch, seconds);
  }
  return 0;
}
