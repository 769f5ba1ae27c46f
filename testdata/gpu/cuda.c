// A stand-in for the driver's libcuda.so.1: copies are memcpy's, and the file that FAKE_CUDA_LOG names gets a line for
// each, "copy in BYTES" or "copy out BYTES". While the file that FAKE_CUDA_COPY names holds a number, copies fail with that
// error. A copy without a context, or on no stream, fails as the driver would. Making a context puts a handler for SIGTERM
// in the place of what was there, as its libraries do.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { invalid_value = 1, invalid_context = 201 };

static __thread void *current;
static int context, stream;

static int copy(const char *way, void *to, const void *from, size_t n, void *on) {
  if (current == NULL) return invalid_context;
  if (on != &stream) return invalid_value;
  const char *path = getenv("FAKE_CUDA_COPY");
  FILE *f = path == NULL ? NULL : fopen(path, "r");
  int error = 0;
  if (f != NULL && fscanf(f, "%d", &error) != 1) error = 0;
  if (f != NULL) fclose(f);
  if (error != 0) return error;
  path = getenv("FAKE_CUDA_LOG");
  f = path == NULL ? NULL : fopen(path, "a");
  if (f != NULL) {
    fprintf(f, "copy %s %zu\n", way, n);
    fclose(f);
  }
  memcpy(to, from, n);
  return 0;
}

int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int index) {
  *device = index;
  return 0;
}
static void handler(int signal) { _exit(98); }
int cuDevicePrimaryCtxRetain(void **out, int device) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = handler;
  sigaction(SIGTERM, &a, NULL);
  *out = &context;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
int cuCtxPushCurrent_v2(void *c) {
  current = c;
  return 0;
}
int cuCtxPopCurrent_v2(void **c) {
  *c = current;
  current = NULL;
  return 0;
}
int cuStreamCreate(void **out, unsigned flags) {
  *out = &stream;
  return current == NULL ? invalid_context : 0;
}
int cuStreamDestroy_v2(void *s) { return 0; }
int cuStreamSynchronize(void *s) { return current == NULL ? invalid_context : 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t n, void *s) {
  return copy("in", (void *)(uintptr_t)to, from, n, s);
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t n, void *s) {
  return copy("out", to, (void *)(uintptr_t)from, n, s);
}
