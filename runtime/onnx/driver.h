// The part of CUDA's driver that copies to a GPU and from it. ONNX Runtime
// copies on streams that it shares out anew in each step, so that what it was
// told to copy before a run is not waited for in it, but for all of the GPU.
#ifndef CLARY_ONNX_DRIVER_H
#define CLARY_ONNX_DRIVER_H

#include <stddef.h>

typedef struct clary_gpu clary_gpu;

// All return CUDA's error code, 0 for none, and -1 where there is no driver.
int clary_gpu_open(int index, clary_gpu **out);
void clary_gpu_close(clary_gpu *g);
int clary_gpu_stream(clary_gpu *g, void **stream);
void clary_gpu_end(clary_gpu *g, void *stream);
// They begin a copy; clary_gpu_wait waits for all that were begun.
int clary_gpu_put(clary_gpu *g, void *stream, void *to, const void *from, size_t n);
int clary_gpu_get(clary_gpu *g, void *stream, void *to, const void *from, size_t n);
int clary_gpu_wait(clary_gpu *g, void *stream);

#endif
