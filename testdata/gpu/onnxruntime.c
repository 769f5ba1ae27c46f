// A stand-in for an ONNX Runtime library with the CUDA and TensorRT providers, for machines without a GPU: the library
// that FAKE_ORT names, on the CPU, which says that it has them.
//
//   FAKE_CUDA_LOG   a file that gets every provider option as "PROVIDER KEY=VALUE", in the order in which they come
//   FAKE_CUDA_FAIL  a file: while it holds text, every Run and every opening on a GPU fails with that text
//   FAKE_CUDA_LOAD  text: the provider cannot be loaded, and says so
//   FAKE_CUDA_TAKE  a file with a number of MiB: a session takes so much of the GPU that its options name, in the list of
//                   FAKE_NVML, and gives it back at its end
//   FAKE_CUDA_GROW  a file with a number of MiB: a session that runs has its arena grow to so much beside that, and keeps
//                   it; what gpu_mem_limit or the GPU has no room for fails as ONNX Runtime has it
//   FAKE_OPENVINO   set: it has the OpenVINO provider too
//
// As CUDA's libraries do, creating provider options, and sessions and the first run on a GPU, put handlers of its own for SIGTERM, SIGINT
// and SIGSEGV in the place of what was there, without SA_ONSTACK.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onnxruntime_c_api.h"

static OrtApi api;
static const OrtApi *real;
static const OrtApiBase *base;

enum { most = 64 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards all below
static int device_id;                       // of the CUDA provider's options that came last, and so is
static long limit;                          // in bytes; 0: none
static int on_gpu;                          // there have been options of a session on a GPU
static const OrtSessionOptions *gpu_options[most]; // options that have been given a provider there

// The sessions on a GPU. What they take is in MiB.
static struct {
  OrtSession *session;
  int device;
  long mib, grown, limit;
} taken[most];

// Allocators that were made for them, and of which.
static struct {
  const OrtAllocator *allocator;
  int of;
} allocators[4 * most];

static void handler(int signal) { _exit(99); }

static void replace_handlers(void) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = handler;
  sigaction(SIGTERM, &a, NULL);
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGSEGV, &a, NULL);
}

static OrtStatus *failure(void) {
  const char *path = getenv("FAKE_CUDA_FAIL");
  FILE *f = path == NULL ? NULL : fopen(path, "r");
  if (f == NULL) return NULL;
  char text[1024];
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = 0;
  return n == 0 ? NULL : real->CreateStatus(ORT_FAIL, text);
}

static OrtStatus *log_options(const char *provider, const char *const *keys, const char *const *values, size_t n) {
  const char *path = getenv("FAKE_CUDA_LOG");
  FILE *f = path == NULL ? NULL : fopen(path, "a");
  for (size_t i = 0; f != NULL && i < n; i++) fprintf(f, "%s %s=%s\n", provider, keys[i], values[i]);
  if (f != NULL) fclose(f);
  return NULL;
}

static OrtStatus *create_options(void **out) {
  replace_handlers();
  *out = malloc(1);
  const char *why = getenv("FAKE_CUDA_LOAD");
  return why == NULL ? NULL : real->CreateStatus(ORT_FAIL, why);
}
static OrtStatus *create_cuda(OrtCUDAProviderOptionsV2 **out) { return create_options((void **)out); }
static OrtStatus *create_tensorrt(OrtTensorRTProviderOptionsV2 **out) { return create_options((void **)out); }
static void release_cuda(OrtCUDAProviderOptionsV2 *o) { free(o); }
static void release_tensorrt(OrtTensorRTProviderOptionsV2 *o) { free(o); }
static OrtStatus *update_cuda(OrtCUDAProviderOptionsV2 *o, const char *const *k, const char *const *v, size_t n) {
  limit = 0;
  for (size_t i = 0; i < n; i++) {
    if (strcmp(k[i], "device_id") == 0) device_id = atoi(v[i]);
    if (strcmp(k[i], "gpu_mem_limit") == 0) limit = atol(v[i]);
  }
  return log_options("cuda", k, v, n);
}
static OrtStatus *update_tensorrt(OrtTensorRTProviderOptionsV2 *o, const char *const *k, const char *const *v, size_t n) {
  return log_options("tensorrt", k, v, n);
}
// appended notes that sessions of these options are on a GPU.
static OrtStatus *appended(const char *provider, const OrtSessionOptions *o) {
  const char *key = "appended", *value = "1";
  pthread_mutex_lock(&lock);
  on_gpu = 1;
  for (int i = 0; i < most; i++)
    if (gpu_options[i] == NULL || gpu_options[i] == o) {
      gpu_options[i] = o;
      break;
    }
  pthread_mutex_unlock(&lock);
  return log_options(provider, &key, &value, 1);
}

static OrtStatus *append_cuda(OrtSessionOptions *o, const OrtCUDAProviderOptionsV2 *p) {
  const char *key = "CUDA_DEVICE_ORDER", *value = getenv(key);
  if (value != NULL) log_options("env", &key, &value, 1);
  return appended("cuda", o);
}
static OrtStatus *append_tensorrt(OrtSessionOptions *o, const OrtTensorRTProviderOptionsV2 *p) { return appended("tensorrt", o); }
static OrtStatus *append_openvino(OrtSessionOptions *o, const char *const *k, const char *const *v, size_t n) {
  return log_options("openvino", k, v, n);
}

static int is_on_gpu(const OrtSessionOptions *o) {
  int is = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < most; i++) is |= gpu_options[i] == o;
  pthread_mutex_unlock(&lock);
  return is;
}

static void release_options(OrtSessionOptions *o) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < most; i++)
    if (gpu_options[i] == o) gpu_options[i] = NULL;
  pthread_mutex_unlock(&lock);
  real->ReleaseSessionOptions(o);
}

static char *names[] = {"TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider", "OpenVINOExecutionProvider"};
static OrtStatus *providers(char ***out, int *n) {
  *out = names;
  *n = getenv("FAKE_OPENVINO") == NULL ? 3 : 4;
  return NULL;
}
static OrtStatus *release_providers(char **list, int n) { return NULL; }

static long number(const char *variable) {
  const char *path = getenv(variable);
  FILE *f = path == NULL ? NULL : fopen(path, "r");
  long n = 0;
  if (f != NULL && fscanf(f, "%ld", &n) != 1) n = 0;
  if (f != NULL) fclose(f);
  return n;
}

// take_memory adds to what is used of a GPU, unless it has not so much.
static int take_memory(int device, long mib) {
  const char *path = getenv("FAKE_NVML");
  char line[256], beside[512], uuid[96], rest[64];
  if (path == NULL || mib == 0) return 1;
  snprintf(beside, sizeof beside, "%s.new", path);
  FILE *in = fopen(path, "r"), *out = fopen(beside, "w");
  long total, used;
  int fits = 1;
  while (in != NULL && out != NULL && fgets(line, sizeof line, in) != NULL) {
    if (sscanf(line, "gpu %95s %ld %ld %63[^\n]", uuid, &total, &used, rest) != 4) continue;
    if (device-- == 0) fits = (used += mib) <= total || mib < 0;
    fprintf(out, "gpu %s %ld %ld %s\n", uuid, total, used, rest);
  }
  if (in != NULL) fclose(in);
  if (out != NULL) fclose(out);
  if (fits) rename(beside, path);
  return fits;
}

static OrtStatus *no_memory(const char *format, long a, long b) {
  char text[160];
  snprintf(text, sizeof text, format, a, b);
  return real->CreateStatus(ORT_FAIL, text);
}

static OrtStatus *opened(OrtSession **session) {
  long mib = number("FAKE_CUDA_TAKE");
  pthread_mutex_lock(&lock);
  OrtStatus *s = NULL;
  if (!take_memory(device_id, mib)) s = no_memory("CUDA failure 2: out of memory ; GPU=%ld ; expr=cudaMalloc(%ld MiB); ", device_id, mib);
  for (int i = 0; s == NULL && i < most; i++) {
    if (taken[i].session != NULL) continue;
    taken[i].session = *session;
    taken[i].device = device_id;
    taken[i].mib = mib;
    taken[i].grown = 0;
    taken[i].limit = limit;
    break;
  }
  pthread_mutex_unlock(&lock);
  if (s != NULL) real->ReleaseSession(*session);
  return s;
}

static int find(const OrtSession *session) {
  for (int i = 0; i < most; i++)
    if (taken[i].session == session) return i;
  return -1;
}

static void release_session(OrtSession *session) {
  real->ReleaseSession(session);
  pthread_mutex_lock(&lock);
  int i = find(session);
  if (i >= 0) {
    take_memory(taken[i].device, -taken[i].mib - taken[i].grown);
    taken[i].session = NULL;
  }
  pthread_mutex_unlock(&lock);
}

static OrtStatus *create_session(const OrtEnv *env, const ORTCHAR_T *path, const OrtSessionOptions *o, OrtSession **out) {
  if (!is_on_gpu(o)) return real->CreateSession(env, path, o, out);
  replace_handlers();
  OrtStatus *s = failure();
  if (s == NULL) s = real->CreateSession(env, path, o, out);
  return s != NULL ? s : opened(out);
}

static OrtStatus *create_session_from_array(const OrtEnv *env, const void *data, size_t n, const OrtSessionOptions *o, OrtSession **out) {
  if (!is_on_gpu(o)) return real->CreateSessionFromArray(env, data, n, o, out);
  replace_handlers();
  OrtStatus *s = failure();
  if (s == NULL) s = real->CreateSessionFromArray(env, data, n, o, out);
  return s != NULL ? s : opened(out);
}

// grow is what a run on a GPU does before it runs.
static OrtStatus *grow(const OrtSession *session) {
  static int runs;
  long mib = number("FAKE_CUDA_GROW");
  pthread_mutex_lock(&lock);
  int i = find(session);
  OrtStatus *s = NULL;
  if (i >= 0 && runs++ == 0) replace_handlers();
  long more = i < 0 ? 0 : mib - taken[i].grown;
  if (more > 0 && taken[i].limit > 0 && (taken[i].mib + mib) << 20 > taken[i].limit)
    s = no_memory("Available memory of %ld is smaller than requested bytes of %ld", taken[i].limit - ((taken[i].mib + taken[i].grown) << 20), more << 20);
  else if (more > 0 && !take_memory(taken[i].device, more))
    s = no_memory("Failed to allocate memory for requested buffer of size %ld", more << 20, 0);
  else if (more > 0)
    taken[i].grown = mib;
  pthread_mutex_unlock(&lock);
  return s != NULL || i < 0 ? s : failure();
}

static OrtStatus *run(OrtSession *session, const OrtRunOptions *o, const char *const *in, const OrtValue *const *inputs,
                      size_t n, const char *const *out, size_t m, OrtValue **outputs) {
  OrtStatus *s = grow(session);
  return s != NULL ? s : real->Run(session, o, in, inputs, n, out, m, outputs);
}

static OrtStatus *run_bound(OrtSession *session, const OrtRunOptions *o, const OrtIoBinding *b) {
  OrtStatus *s = grow(session);
  return s != NULL ? s : real->RunWithBinding(session, o, b);
}

static OrtStatus *create_allocator(const OrtSession *session, const OrtMemoryInfo *info, OrtAllocator **out) {
  OrtStatus *s = real->CreateAllocator(session, info, out);
  pthread_mutex_lock(&lock);
  int of = s != NULL ? -1 : find(session);
  for (size_t i = 0; of >= 0 && i < sizeof allocators / sizeof *allocators; i++) {
    if (allocators[i].allocator != NULL) continue;
    allocators[i].allocator = *out;
    allocators[i].of = of;
    break;
  }
  pthread_mutex_unlock(&lock);
  return s;
}

static void release_allocator(OrtAllocator *a) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
    if (allocators[i].allocator == a) allocators[i].allocator = NULL;
  pthread_mutex_unlock(&lock);
  real->ReleaseAllocator(a);
}

// An arena on a GPU is all that its session takes.
static OrtStatus *get_stats(const OrtAllocator *a, OrtKeyValuePairs **out) {
  long total = -1;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
    if (allocators[i].allocator == a) total = (taken[allocators[i].of].mib + taken[allocators[i].of].grown) << 20;
  pthread_mutex_unlock(&lock);
  if (total < 0) return real->AllocatorGetStats(a, out);
  char text[32];
  snprintf(text, sizeof text, "%ld", total);
  real->CreateKeyValuePairs(out);
  real->AddKeyValuePair(*out, "TotalAllocated", text);
  return NULL;
}

// The GPU's memory is the CPU's here, and so is pinned memory.
static OrtStatus *memory_info(const char *name, enum OrtAllocatorType type, int id, enum OrtMemType kind, OrtMemoryInfo **out) {
  if (strcmp(name, "CudaPinned") == 0 || strcmp(name, "Cuda") == 0) return real->CreateMemoryInfo("Cpu", type, 0, OrtMemTypeDefault, out);
  return real->CreateMemoryInfo(name, type, id, kind, out);
}

// What a session has on the GPU is on the CPU.
static void device_type(const OrtMemoryInfo *info, OrtMemoryInfoDeviceType *out) {
  *out = on_gpu ? OrtMemoryInfoDeviceType_GPU : OrtMemoryInfoDeviceType_CPU;
}

static OrtStatus *add_run_config(OrtRunOptions *o, const char *key, const char *value) {
  log_options("run", &key, &value, 1);
  return real->AddRunConfigEntry(o, key, value);
}

static const OrtApi *get_api(uint32_t version) {
  real = base->GetApi(version);
  if (real == NULL) return NULL;
  memcpy(&api, real, sizeof api);
  api.GetAvailableProviders = providers;
  api.ReleaseAvailableProviders = release_providers;
  api.CreateCUDAProviderOptions = create_cuda;
  api.UpdateCUDAProviderOptions = update_cuda;
  api.ReleaseCUDAProviderOptions = release_cuda;
  api.SessionOptionsAppendExecutionProvider_CUDA_V2 = append_cuda;
  api.CreateTensorRTProviderOptions = create_tensorrt;
  api.UpdateTensorRTProviderOptions = update_tensorrt;
  api.ReleaseTensorRTProviderOptions = release_tensorrt;
  api.SessionOptionsAppendExecutionProvider_TensorRT_V2 = append_tensorrt;
  api.SessionOptionsAppendExecutionProvider_OpenVINO_V2 = append_openvino;
  api.ReleaseSessionOptions = release_options;
  api.CreateAllocator = create_allocator;
  api.ReleaseAllocator = release_allocator;
  api.AllocatorGetStats = get_stats;
  api.CreateSession = create_session;
  api.CreateSessionFromArray = create_session_from_array;
  api.ReleaseSession = release_session;
  api.Run = run;
  api.RunWithBinding = run_bound;
  api.CreateMemoryInfo = memory_info;
  api.MemoryInfoGetDeviceType = device_type;
  api.AddRunConfigEntry = add_run_config;
  return &api;
}

static const char *get_version(void) { return base->GetVersionString(); }
static const OrtApiBase stand_in = {get_api, get_version};

const OrtApiBase *OrtGetApiBase(void) {
  if (base == NULL) {
    void *handle = dlopen(getenv("FAKE_ORT"), RTLD_LAZY);
    const OrtApiBase *(*get)(void) = handle == NULL ? NULL : (const OrtApiBase *(*)(void))dlsym(handle, "OrtGetApiBase");
    if (get == NULL) {
      fprintf(stderr, "FAKE_ORT: %s\n", dlerror());
      abort();
    }
    base = get();
  }
  return &stand_in;
}
