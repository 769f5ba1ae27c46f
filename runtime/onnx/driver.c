#include "driver.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define DRIVER(X)                                                 \
  X(cuInit, (unsigned))                                           \
  X(cuDeviceGet, (int *, int))                                    \
  X(cuDevicePrimaryCtxRetain, (void **, int))                     \
  X(cuDevicePrimaryCtxRelease_v2, (int))                          \
  X(cuCtxPushCurrent_v2, (void *))                                \
  X(cuCtxPopCurrent_v2, (void **))                                \
  X(cuStreamCreate, (void **, unsigned))                          \
  X(cuStreamDestroy_v2, (void *))                                 \
  X(cuStreamSynchronize, (void *))                                \
  X(cuMemcpyHtoDAsync_v2, (uint64_t, const void *, size_t, void *)) \
  X(cuMemcpyDtoHAsync_v2, (void *, uint64_t, size_t, void *))

enum { non_blocking = 1, no_driver = -1 };

struct clary_gpu {
#define MEMBER(name, params) int(*name) params;
  DRIVER(MEMBER)
#undef MEMBER
  void *library;
  void *context;
  int device;
};

int clary_gpu_open(int index, clary_gpu **out) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == NULL) return no_driver;
  clary_gpu *g = calloc(1, sizeof *g);
  if (g == NULL) {
    dlclose(library);
    return no_driver;
  }
  g->library = library;
  int found = 1;
#define FIND(name, params) found &= (g->name = (int(*) params)dlsym(library, #name)) != NULL;
  DRIVER(FIND)
#undef FIND
  int r = found ? g->cuInit(0) : no_driver;
  if (r == 0) r = g->cuDeviceGet(&g->device, index);
  if (r == 0) r = g->cuDevicePrimaryCtxRetain(&g->context, g->device);
  if (r == 0) {
    *out = g;
    return 0;
  }
  free(g);
  dlclose(library);
  return r;
}

void clary_gpu_close(clary_gpu *g) {
  g->cuDevicePrimaryCtxRelease_v2(g->device);
  dlclose(g->library);
  free(g);
}

// Go runs on whichever thread there is: the context is made current for each
// step.
#define WITHIN(g, call)                                 \
  int r = (g)->cuCtxPushCurrent_v2((g)->context);       \
  if (r != 0) return r;                                 \
  r = (call);                                           \
  void *previous;                                       \
  int popped = (g)->cuCtxPopCurrent_v2(&previous);      \
  return r != 0 ? r : popped

int clary_gpu_stream(clary_gpu *g, void **stream) { WITHIN(g, g->cuStreamCreate(stream, non_blocking)); }

static int end(clary_gpu *g, void *stream) { WITHIN(g, g->cuStreamDestroy_v2(stream)); }
void clary_gpu_end(clary_gpu *g, void *stream) { (void)end(g, stream); }

int clary_gpu_put(clary_gpu *g, void *stream, void *to, const void *from, size_t n) {
  WITHIN(g, g->cuMemcpyHtoDAsync_v2((uint64_t)(uintptr_t)to, from, n, stream));
}

int clary_gpu_get(clary_gpu *g, void *stream, void *to, const void *from, size_t n) {
  WITHIN(g, g->cuMemcpyDtoHAsync_v2(to, (uint64_t)(uintptr_t)from, n, stream));
}

int clary_gpu_wait(clary_gpu *g, void *stream) { WITHIN(g, g->cuStreamSynchronize(stream)); }
