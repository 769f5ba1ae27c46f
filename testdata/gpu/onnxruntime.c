// A stand-in for an ONNX Runtime library with the CUDA and TensorRT providers, for machines without a GPU: the library
// that FAKE_ORT names, on the CPU, which says that it has them.
//
//   FAKE_CUDA_LOG   a file that gets every provider option as "PROVIDER KEY=VALUE", in the order in which they come
//   FAKE_CUDA_FAIL  a file: while it holds text, every Run and every opening fails with that text
//   FAKE_CUDA_LOAD  text: the provider cannot be loaded, and says so
//   FAKE_CUDA_TAKE  a file with a number of MiB: a session takes so much of the GPU that its options name, in the list of
//                   FAKE_NVML, and gives it back at its end
//
// As CUDA's libraries do, creating provider options, and sessions and the first run on a GPU, put handlers of its own for SIGTERM, SIGINT
// and SIGSEGV in the place of what was there, without SA_ONSTACK.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onnxruntime_c_api.h"

static OrtApi api;
static const OrtApi *real;
static const OrtApiBase *base;

static int device_id; // of the CUDA provider's options that came last
static int on_gpu;    // a session's options have been given a provider

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
  for (size_t i = 0; i < n; i++)
    if (strcmp(k[i], "device_id") == 0) device_id = atoi(v[i]);
  return log_options("cuda", k, v, n);
}
static OrtStatus *update_tensorrt(OrtTensorRTProviderOptionsV2 *o, const char *const *k, const char *const *v, size_t n) {
  return log_options("tensorrt", k, v, n);
}
static OrtStatus *append_cuda(OrtSessionOptions *o, const OrtCUDAProviderOptionsV2 *p) {
  const char *key = "appended", *value = "1";
  on_gpu = 1;
  return log_options("cuda", &key, &value, 1);
}
static OrtStatus *append_tensorrt(OrtSessionOptions *o, const OrtTensorRTProviderOptionsV2 *p) {
  const char *key = "appended", *value = "1";
  on_gpu = 1;
  return log_options("tensorrt", &key, &value, 1);
}

static char *names[] = {"TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"};
static OrtStatus *providers(char ***out, int *n) {
  *out = names;
  *n = 3;
  return NULL;
}
static OrtStatus *release_providers(char **list, int n) { return NULL; }

enum { most_sessions = 64 };
static struct {
  OrtSession *session;
  int device;
  long mib;
} taken[most_sessions];

// take_memory adds to what is used of a GPU.
static void take_memory(int device, long mib) {
  const char *path = getenv("FAKE_NVML");
  char line[256], beside[512], uuid[96], rest[64];
  if (path == NULL || mib == 0) return;
  snprintf(beside, sizeof beside, "%s.new", path);
  FILE *in = fopen(path, "r"), *out = fopen(beside, "w");
  long total, used;
  while (in != NULL && out != NULL && fgets(line, sizeof line, in) != NULL)
    if (sscanf(line, "gpu %95s %ld %ld %63[^\n]", uuid, &total, &used, rest) == 4)
      fprintf(out, "gpu %s %ld %ld %s\n", uuid, total, used + (device-- == 0 ? mib : 0), rest);
  if (in != NULL) fclose(in);
  if (out != NULL) fclose(out);
  rename(beside, path);
}

static OrtStatus *opened(OrtStatus *s, OrtSession **session) {
  const char *path = getenv("FAKE_CUDA_TAKE");
  FILE *f = s != NULL || !on_gpu || path == NULL ? NULL : fopen(path, "r");
  long mib = 0;
  if (f == NULL) return s;
  if (fscanf(f, "%ld", &mib) != 1) mib = 0;
  fclose(f);
  for (int i = 0; i < most_sessions; i++) {
    if (taken[i].session != NULL) continue;
    taken[i].session = *session;
    taken[i].device = device_id;
    taken[i].mib = mib;
    break;
  }
  take_memory(device_id, mib);
  return s;
}

static void release_session(OrtSession *session) {
  real->ReleaseSession(session);
  for (int i = 0; i < most_sessions; i++)
    if (taken[i].session == session) {
      take_memory(taken[i].device, -taken[i].mib);
      taken[i].session = NULL;
    }
}

static OrtStatus *create_session(const OrtEnv *env, const ORTCHAR_T *path, const OrtSessionOptions *o, OrtSession **out) {
  if (on_gpu) replace_handlers();
  OrtStatus *s = failure();
  return s != NULL ? s : opened(real->CreateSession(env, path, o, out), out);
}

static OrtStatus *create_session_from_array(const OrtEnv *env, const void *data, size_t n, const OrtSessionOptions *o, OrtSession **out) {
  if (on_gpu) replace_handlers();
  OrtStatus *s = failure();
  return s != NULL ? s : opened(real->CreateSessionFromArray(env, data, n, o, out), out);
}

static void first_run(void) {
  static int runs;
  if (on_gpu && runs++ == 0) replace_handlers();
}

static OrtStatus *run(OrtSession *session, const OrtRunOptions *o, const char *const *in, const OrtValue *const *inputs,
                      size_t n, const char *const *out, size_t m, OrtValue **outputs) {
  first_run();
  OrtStatus *s = failure();
  return s != NULL ? s : real->Run(session, o, in, inputs, n, out, m, outputs);
}

static OrtStatus *run_bound(OrtSession *session, const OrtRunOptions *o, const OrtIoBinding *b) {
  first_run();
  OrtStatus *s = failure();
  return s != NULL ? s : real->RunWithBinding(session, o, b);
}

// Pinned memory is the CPU's here.
static OrtStatus *memory_info(const char *name, enum OrtAllocatorType type, int id, enum OrtMemType kind, OrtMemoryInfo **out) {
  if (strcmp(name, "CudaPinned") == 0) return real->CreateMemoryInfo("Cpu", type, 0, OrtMemTypeDefault, out);
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
