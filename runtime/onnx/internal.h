// What shim.c and bind.c share.
#ifndef CLARY_ONNX_INTERNAL_H
#define CLARY_ONNX_INTERNAL_H

#include "shim.h"

typedef void (*function)(void);

extern const function *api;
extern OrtMemoryInfo *memory;   // user memory on the CPU
extern OrtAllocator *allocator; // the library's own; never freed

#define ORT(name) ((name##Fn)api[slot_##name])

enum { device_allocator = 0, mem_type_default = 0, mem_type_cpu_output = -1, device_gpu = 1, device_memory = 0, code_fail = 1, code_invalid_argument = 2,
       type_float = 1, type_int64 = 7, type_string = 8, alignment = 64 };

// release drops the values of v that are not the call's own.
void release(clary_call *c, clary_value *v, size_t n);

// copy_inputs copies the inputs of a bound call to where they are wanted, and
// makes their values; run_bound binds everything and runs.
OrtStatus *copy_inputs(clary_call *c);
OrtStatus *run_bound(clary_call *c);
void clear_outputs(clary_call *c);
// pinned_block returns NULL where there is no memory.
void *pinned_block(clary_call *c, size_t bytes);
void free_pinned(clary_call *c, void *block);
void unbind(clary_call *c);

#endif
