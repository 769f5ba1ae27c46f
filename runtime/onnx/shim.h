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

typedef struct OrtStatus OrtStatus;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtValue OrtValue;

#define ORT_SLOTS(X)                                                                           \
  X(1, GetErrorCode, unsigned, (const OrtStatus *))                                            \
  X(2, GetErrorMessage, const char *, (const OrtStatus *))                                     \
  X(9, Run, OrtStatus *,                                                                       \
    (OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t, \
     const char *const *, size_t, OrtValue **))                                                \
  X(30, SessionGetInputCount, OrtStatus *, (const OrtSession *, size_t *))                     \
  X(31, SessionGetOutputCount, OrtStatus *, (const OrtSession *, size_t *))                    \
  X(39, CreateRunOptions, OrtStatus *, (OrtRunOptions **))                                     \
  X(46, RunOptionsSetTerminate, OrtStatus *, (OrtRunOptions *))                                \
  X(47, RunOptionsUnsetTerminate, OrtStatus *, (OrtRunOptions *))                              \
  X(48, CreateTensorAsOrtValue, OrtStatus *,                                                   \
    (OrtAllocator *, const int64_t *, size_t, unsigned, OrtValue **))                          \
  X(49, CreateTensorWithDataAsOrtValue, OrtStatus *,                                           \
    (const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, unsigned, OrtValue **))   \
  X(53, GetStringTensorDataLength, OrtStatus *, (const OrtValue *, size_t *))                  \
  X(54, GetStringTensorContent, OrtStatus *,                                                   \
    (const OrtValue *, void *, size_t, size_t *, size_t))                                      \
  X(67, GetValueType, OrtStatus *, (const OrtValue *, unsigned *))                             \
  X(69, CreateCpuMemoryInfo, OrtStatus *, (unsigned, int, OrtMemoryInfo **))                   \
  X(78, GetAllocatorWithDefaultOptions, OrtStatus *, (OrtAllocator **))                        \
  X(80, GetValue, OrtStatus *, (const OrtValue *, int, OrtAllocator *, OrtValue **))           \
  X(81, GetValueCount, OrtStatus *, (const OrtValue *, size_t *))                              \
  X(93, ReleaseStatus, void, (OrtStatus *))                                                    \
  X(94, ReleaseMemoryInfo, void, (OrtMemoryInfo *))                                            \
  X(96, ReleaseValue, void, (OrtValue *))                                                      \
  X(97, ReleaseRunOptions, void, (OrtRunOptions *))                                            \
  X(252, GetResizedStringTensorElementBuffer, OrtStatus *, (OrtValue *, size_t, size_t, char **)) \
  X(293, SessionOptionsSetLoadCancellationFlag, OrtStatus *, (OrtSessionOptions *, bool))      \
  X(378, GetTensorData, OrtStatus *, (const OrtValue *, const void **))                        \
  X(414, GetTensorElementTypeAndShapeDataReference, OrtStatus *,                               \
    (const OrtValue *, unsigned *, const int64_t **, size_t *))

#define ORT_TYPE(slot, name, result, params) typedef result(*name##Fn) params;
ORT_SLOTS(ORT_TYPE)
#undef ORT_TYPE

#define ORT_SLOT(slot, name, result, params) slot_##name = slot,
enum { ORT_SLOTS(ORT_SLOT) };
#undef ORT_SLOT

// A view of one value. For an input its maker fills in everything but value;
// for an output clary_run does.
typedef struct {
  OrtValue *value;
  void *data;           // the elements, or of a string input their bytes end to end; NULL for a string output
  size_t bytes;         // how many bytes data has
  const int64_t *shape; // an output's belongs to value
  size_t rank;
  const size_t *lengths; // of a string input, each element's bytes
  size_t elements;       // of a string input, how many
  unsigned type;         // ONNXTensorElementDataType
  unsigned kind;         // of an output: ONNXType
} clary_value;

// One run in the making; reused for one run after another, never by two at once.
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
// outputs, which clary_release ends. On an error no value is left.
OrtStatus *clary_run(clary_call *c);
void clary_release(clary_call *c);
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

OrtStatus *clary_counts(const OrtSession *s, size_t *inputs, size_t *outputs);
OrtStatus *clary_cancel_load(OrtSessionOptions *o);
void clary_trim(void);

#endif
