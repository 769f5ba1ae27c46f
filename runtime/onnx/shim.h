// The part of ONNX Runtime's C API that package onnx calls itself, beside what
// it leaves to onnxruntime_go.
//
// OrtApi is a table of function pointers that only ever grows, so a function is
// its slot's number and its type; TestSlots checks both against
// onnxruntime_c_api.h.
#ifndef CLARY_ONNX_SHIM_H
#define CLARY_ONNX_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver.h"

typedef struct OrtStatus OrtStatus;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtValue OrtValue;
typedef struct OrtIoBinding OrtIoBinding;
typedef struct OrtCustomOp OrtCustomOp;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtKeyValuePairs OrtKeyValuePairs;

#define ORT_SLOTS(X)                                                                           \
  X(0, CreateStatus, OrtStatus *, (unsigned, const char *))                                    \
  X(1, GetErrorCode, unsigned, (const OrtStatus *))                                            \
  X(2, GetErrorMessage, const char *, (const OrtStatus *))                                     \
  X(9, Run, OrtStatus *,                                                                       \
    (OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t, \
     const char *const *, size_t, OrtValue **))                                                \
  X(26, CreateCustomOpDomain, OrtStatus *, (const char *, OrtCustomOpDomain **))               \
  X(27, CustomOpDomain_Add, OrtStatus *, (OrtCustomOpDomain *, const OrtCustomOp *))           \
  X(28, AddCustomOpDomain, OrtStatus *, (OrtSessionOptions *, OrtCustomOpDomain *))            \
  X(30, SessionGetInputCount, OrtStatus *, (const OrtSession *, size_t *))                     \
  X(31, SessionGetOutputCount, OrtStatus *, (const OrtSession *, size_t *))                    \
  X(39, CreateRunOptions, OrtStatus *, (OrtRunOptions **))                                     \
  X(41, RunOptionsSetRunLogSeverityLevel, OrtStatus *, (OrtRunOptions *, int))                 \
  X(46, RunOptionsSetTerminate, OrtStatus *, (OrtRunOptions *))                                \
  X(47, RunOptionsUnsetTerminate, OrtStatus *, (OrtRunOptions *))                              \
  X(48, CreateTensorAsOrtValue, OrtStatus *,                                                   \
    (OrtAllocator *, const int64_t *, size_t, unsigned, OrtValue **))                          \
  X(49, CreateTensorWithDataAsOrtValue, OrtStatus *,                                           \
    (const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, unsigned, OrtValue **))   \
  X(51, GetTensorMutableData, OrtStatus *, (OrtValue *, void **))                              \
  X(52, FillStringTensor, OrtStatus *, (OrtValue *, const char *const *, size_t))              \
  X(53, GetStringTensorDataLength, OrtStatus *, (const OrtValue *, size_t *))                  \
  X(54, GetStringTensorContent, OrtStatus *,                                                   \
    (const OrtValue *, void *, size_t, size_t *, size_t))                                      \
  X(67, GetValueType, OrtStatus *, (const OrtValue *, unsigned *))                             \
  X(68, CreateMemoryInfo, OrtStatus *, (const char *, int, int, int, OrtMemoryInfo **))        \
  X(69, CreateCpuMemoryInfo, OrtStatus *, (int, int, OrtMemoryInfo **))                        \
  X(75, AllocatorAlloc, OrtStatus *, (OrtAllocator *, size_t, void **))                        \
  X(76, AllocatorFree, OrtStatus *, (OrtAllocator *, void *))                                  \
  X(78, GetAllocatorWithDefaultOptions, OrtStatus *, (OrtAllocator **))                        \
  X(80, GetValue, OrtStatus *, (const OrtValue *, int, OrtAllocator *, OrtValue **))           \
  X(81, GetValueCount, OrtStatus *, (const OrtValue *, size_t *))                              \
  X(86, KernelInfoGetAttribute_int64, OrtStatus *, (const OrtKernelInfo *, const char *, int64_t *)) \
  X(90, KernelContext_GetInput, OrtStatus *, (const OrtKernelContext *, size_t, const OrtValue **)) \
  X(91, KernelContext_GetOutput, OrtStatus *,                                                  \
    (OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue **))                        \
  X(93, ReleaseStatus, void, (OrtStatus *))                                                    \
  X(94, ReleaseMemoryInfo, void, (OrtMemoryInfo *))                                            \
  X(96, ReleaseValue, void, (OrtValue *))                                                      \
  X(97, ReleaseRunOptions, void, (OrtRunOptions *))                                            \
  X(101, ReleaseCustomOpDomain, void, (OrtCustomOpDomain *))                                   \
  X(125, GetAvailableProviders, OrtStatus *, (char ***, int *))                                \
  X(126, ReleaseAvailableProviders, OrtStatus *, (char **, int))                               \
  X(131, CreateAllocator, OrtStatus *, (const OrtSession *, const OrtMemoryInfo *, OrtAllocator **)) \
  X(132, ReleaseAllocator, void, (OrtAllocator *))                                             \
  X(133, RunWithBinding, OrtStatus *, (OrtSession *, const OrtRunOptions *, const OrtIoBinding *)) \
  X(134, CreateIoBinding, OrtStatus *, (OrtSession *, OrtIoBinding **))                        \
  X(135, ReleaseIoBinding, void, (OrtIoBinding *))                                             \
  X(136, BindInput, OrtStatus *, (OrtIoBinding *, const char *, const OrtValue *))             \
  X(137, BindOutput, OrtStatus *, (OrtIoBinding *, const char *, const OrtValue *))            \
  X(138, BindOutputToDevice, OrtStatus *, (OrtIoBinding *, const char *, const OrtMemoryInfo *)) \
  X(140, GetBoundOutputValues, OrtStatus *, (const OrtIoBinding *, OrtAllocator *, OrtValue ***, size_t *)) \
  X(141, ClearBoundInputs, void, (OrtIoBinding *))                                             \
  X(142, ClearBoundOutputs, void, (OrtIoBinding *))                                            \
  X(165, AddRunConfigEntry, OrtStatus *, (OrtRunOptions *, const char *, const char *))        \
  X(225, MemoryInfoGetDeviceType, void, (const OrtMemoryInfo *, unsigned *))                   \
  X(252, GetResizedStringTensorElementBuffer, OrtStatus *, (OrtValue *, size_t, size_t, char **)) \
  X(274, KernelContext_ParallelFor, OrtStatus *,                                               \
    (const OrtKernelContext *, void (*)(void *, size_t), size_t, size_t, void *))              \
  X(293, SessionOptionsSetLoadCancellationFlag, OrtStatus *, (OrtSessionOptions *, bool))      \
  X(297, GetKeyValue, const char *, (const OrtKeyValuePairs *, const char *))                  \
  X(300, ReleaseKeyValuePairs, void, (OrtKeyValuePairs *))                                     \
  X(318, GetTensorSizeInBytes, OrtStatus *, (const OrtValue *, size_t *))                      \
  X(319, AllocatorGetStats, OrtStatus *, (const OrtAllocator *, OrtKeyValuePairs **))          \
  X(321, MemoryInfoGetDeviceMemType, unsigned, (const OrtMemoryInfo *))                        \
  X(380, SessionGetMemoryInfoForInputs, OrtStatus *, (const OrtSession *, const OrtMemoryInfo **, size_t)) \
  X(381, SessionGetMemoryInfoForOutputs, OrtStatus *, (const OrtSession *, const OrtMemoryInfo **, size_t)) \
  X(378, GetTensorData, OrtStatus *, (const OrtValue *, const void **))                        \
  X(414, GetTensorElementTypeAndShapeDataReference, OrtStatus *,                               \
    (const OrtValue *, unsigned *, const int64_t **, size_t *))

#define ORT_TYPE(slot, name, result, params) typedef result(*name##Fn) params;
ORT_SLOTS(ORT_TYPE)
#undef ORT_TYPE

#define ORT_SLOT(slot, name, result, params) slot_##name = slot,
enum { ORT_SLOTS(ORT_SLOT) };
#undef ORT_SLOT

// What a call keeps from one run to the next is at most this large.
enum { clary_small = 64 << 10 };

// One input or output of a call. Go fills in an input's shape, and its data
// where own is not set; ONNX Runtime an output, or clary_run from its value.
typedef struct {
  OrtValue *value;
  void *data;           // the elements; of a string input their bytes end to end; NULL for a string output
  size_t bytes;         // how many bytes the elements have; of strings, all together
  const int64_t *shape; // an output's belongs to value, or to the call where own is set
  size_t rank;
  const size_t *lengths; // of a string input, each element's bytes
  size_t elements;       // of a string input, how many
  unsigned type;         // ONNXTensorElementDataType
  unsigned kind;         // of an output: ONNXType
  bool own;              // value is the call's and stays for the next run; never an output of strings
  bool passed;           // an output that is an input too, which ONNX Runtime does not copy: never own
  void *block;           // of an own value: its shape and, unless it is of strings, its data
  // Of a bound call:
  size_t room;    // of an input: how many bytes data has; it is the call's
  bool on_device; // ONNX Runtime wants or makes it on the GPU
  void *there;    // the call's buffer on the GPU
  size_t there_room;
} clary_value;

// Where a session's bound calls have their memory.
typedef struct {
  const OrtSession *session;
  OrtMemoryInfo *pinned;      // what the GPU copies from and to; NULL: the CPU's, as any other
  OrtAllocator *pinned_alloc; // of the session, as alloc is
  const OrtMemoryInfo *memory; // on the GPU; the session's own
  OrtAllocator *alloc;
  clary_gpu *gpu; // NULL: the GPU's memory is the CPU's, in tests
  bool *on_device; // of inputs, then outputs
} clary_device;

// One run in the making; used for one run after another, never by two at once.
//
// Making and releasing values costs as much as running a small model, and does
// not scale to two threads. A call whose runs have had the same input shapes
// therefore keeps small values, over memory of its own: inputs are copied into
// it, and ONNX Runtime writes outputs into it.
typedef struct {
  OrtSession *session;
  OrtRunOptions *options;
  const char *const *input_names;
  const char *const *output_names;
  clary_value *inputs;
  clary_value *outputs;
  OrtValue **values; // room for inputs, then outputs, as Run wants them
  int64_t *dims;     // room for the inputs' shapes
  size_t input_count;
  size_t output_count;
  int64_t live; // values created or returned and not yet released
  bool keep;    // this run is to leave its small values to the next; set by Go
  bool varies;  // the outputs' shapes do not follow from the inputs', so no outputs are kept
  clary_device *device; // NULL: the call is not bound
  OrtIoBinding *io;
  void *stream; // of the copies to the GPU and from it
  bool graph;   // the outputs stay on the GPU during a run, at the same place in each
} clary_call;

// clary_load loads the library for good and takes its API; NULL on success,
// else a static or thread-local message. version is set once it is known.
const char *clary_load(const char *path, uint32_t api_version, const char **version);

// clary_setup creates what every call shares, once the environment exists;
// clary_teardown releases it.
OrtStatus *clary_setup(void);
void clary_teardown(void);

unsigned clary_status_code(const OrtStatus *s);
const char *clary_status_message(const OrtStatus *s);
void clary_status_free(OrtStatus *s);

// clary_call_new makes a call with room for so many dimensions of all inputs
// together. It returns NULL with *s unset when there is no memory.
clary_call *clary_call_new(OrtSession *session, const char *const *input_names, size_t input_count,
                           const char *const *output_names, size_t output_count, size_t dims, OrtStatus **s);
void clary_call_free(clary_call *c);

// clary_run makes the inputs' values, runs, releases them, and describes the
// outputs. clary_release ends it, and makes what is to be kept: not needed where
// all outputs are own already. On an error no output is left but those.
OrtStatus *clary_run(clary_call *c);
void clary_release(clary_call *c);
// clary_forget releases what is kept, as it must be before a shape changes.
void clary_forget(clary_call *c);
void clary_terminate(clary_call *c);
OrtStatus *clary_rearm(clary_call *c);

// clary_describe fills in v from v->value.
OrtStatus *clary_describe(clary_value *v);
// clary_element takes element i of a sequence, or the keys (0) or values (1)
// of a map; to be released with clary_drop.
OrtStatus *clary_element(clary_call *c, const OrtValue *v, int i, clary_value *out);
void clary_drop(clary_call *c, OrtValue *v);
OrtStatus *clary_count(const OrtValue *v, size_t *n);
OrtStatus *clary_string_bytes(const OrtValue *v, size_t *n);
OrtStatus *clary_strings(const OrtValue *v, void *bytes, size_t n, size_t *offsets, size_t count);

// clary_device_new finds out where session wants its inputs and makes its
// outputs. forced takes the CPU's memory for the GPU's. It returns NULL where
// nothing of it is on a GPU, or the GPU cannot be reached but by ONNX Runtime:
// then no call is to be bound, and ONNX Runtime's own way is as right.
clary_device *clary_device_new(OrtSession *session, size_t inputs, size_t outputs, int index, bool forced);
void clary_device_free(clary_device *d);
// clary_bind lets all runs of a call go through an IO binding: inputs are copied
// to the GPU from pinned memory of the call's, and outputs from it into such.
OrtStatus *clary_bind(clary_call *c, clary_device *d);
// clary_room makes room for an input of a bound call.
OrtStatus *clary_room(clary_call *c, clary_value *v, size_t bytes);
// clary_spare gives up what a bound call that does not run keeps on the GPU, and
// reports whether that was anything. It must not have run as a graph.
bool clary_spare(clary_call *c);
// clary_graph names the CUDA graph that the next runs are, or "-1" for none.
OrtStatus *clary_graph(clary_call *c, const char *id);

// clary_arena is what a session's arena on that GPU has taken of it, its weights
// and what runs have made it grow to; 0 where it has none or does not count.
// forced is as above.
int64_t clary_arena(const OrtSession *session, int index, bool forced);

OrtStatus *clary_counts(const OrtSession *s, size_t *inputs, size_t *outputs);
OrtStatus *clary_cancel_load(OrtSessionOptions *o);
// clary_providers lists the execution providers that the library was built with,
// to be released with clary_providers_free.
OrtStatus *clary_providers(char ***names, int *n);
void clary_providers_free(char **names, int n);
void clary_trim(void);

#endif
