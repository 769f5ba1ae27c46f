#include "shim.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

typedef void (*function)(void);
typedef struct {
  const function *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} api_base;

enum { device_allocator = 0, mem_type_default = 0 };
enum { kind_tensor = 1, type_string = 8 };

static const function *api;
static OrtMemoryInfo *memory;    // user memory on the CPU
static OrtAllocator *allocator; // the library's own; never freed

#define ORT(name) ((name##Fn)api[slot_##name])

// The handle is kept for the life of the process: the library leaves threads'
// destructors behind that must not be unmapped.
const char *clary_load(const char *path, uint32_t api_version, const char **version) {
  void *handle = dlopen(path, RTLD_LAZY);
  if (handle == NULL) return dlerror();
  const api_base *(*base)(void) = (const api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
  if (base == NULL) {
    dlclose(handle);
    return "it has no OrtGetApiBase: it is not ONNX Runtime";
  }
  *version = base()->get_version();
  api = base()->get_api(api_version);
  return api == NULL ? "it is too old" : NULL;
}

OrtStatus *clary_setup(void) {
  OrtStatus *s = ORT(GetAllocatorWithDefaultOptions)(&allocator);
  if (s == NULL) s = ORT(CreateCpuMemoryInfo)(device_allocator, mem_type_default, &memory);
  return s;
}

void clary_teardown(void) {
  if (memory != NULL) ORT(ReleaseMemoryInfo)(memory);
  memory = NULL;
}

unsigned clary_status_code(const OrtStatus *s) { return ORT(GetErrorCode)(s); }
const char *clary_status_message(const OrtStatus *s) { return ORT(GetErrorMessage)(s); }
void clary_status_free(OrtStatus *s) { ORT(ReleaseStatus)(s); }

clary_call *clary_call_new(OrtSession *session, const char *const *input_names, size_t input_count,
                           const char *const *output_names, size_t output_count, size_t dims, OrtStatus **s) {
  size_t n = input_count + output_count;
  clary_call *c = calloc(1, sizeof *c + n * (sizeof(clary_value) + sizeof(OrtValue *)) + dims * sizeof(int64_t));
  if (c == NULL) return NULL;
  c->session = session;
  c->input_names = input_names;
  c->output_names = output_names;
  c->inputs = (clary_value *)(c + 1);
  c->outputs = c->inputs + input_count;
  c->values = (OrtValue **)(c->inputs + n);
  c->dims = (int64_t *)(c->values + n);
  c->input_count = input_count;
  c->output_count = output_count;
  *s = ORT(CreateRunOptions)(&c->options);
  if (*s == NULL) return c;
  free(c);
  return NULL;
}

void clary_call_free(clary_call *c) {
  ORT(ReleaseRunOptions)(c->options);
  free(c);
}

static OrtStatus *make_strings(const clary_value *in, OrtValue **out) {
  OrtStatus *s = ORT(CreateTensorAsOrtValue)(allocator, in->shape, in->rank, in->type, out);
  const char *from = in->data;
  for (size_t i = 0; s == NULL && i < in->elements; i++) {
    char *to = NULL;
    s = ORT(GetResizedStringTensorElementBuffer)(*out, i, in->lengths[i], &to);
    if (s == NULL && in->lengths[i] > 0) memcpy(to, from, in->lengths[i]);
    from += in->lengths[i];
  }
  return s;
}

static OrtStatus *make(const clary_value *in, OrtValue **out) {
  if (in->type == type_string) return make_strings(in, out);
  return ORT(CreateTensorWithDataAsOrtValue)(memory, in->data, in->bytes, in->shape, in->rank, in->type, out);
}

void clary_drop(clary_call *c, OrtValue *v) {
  if (v == NULL) return;
  ORT(ReleaseValue)(v);
  c->live--;
}

static void drop_all(clary_call *c, OrtValue **v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    clary_drop(c, v[i]);
    v[i] = NULL;
  }
}

static int64_t count_values(OrtValue *const *v, size_t n) {
  int64_t made = 0;
  for (size_t i = 0; i < n; i++) made += v[i] != NULL;
  return made;
}

OrtStatus *clary_describe(clary_value *v) {
  OrtStatus *s = ORT(GetValueType)(v->value, &v->kind);
  if (s != NULL || v->kind != kind_tensor) return s;
  s = ORT(GetTensorElementTypeAndShapeDataReference)(v->value, &v->type, &v->shape, &v->rank);
  if (s != NULL || v->type == type_string) return s;
  return ORT(GetTensorData)(v->value, (const void **)&v->data);
}

OrtStatus *clary_run(clary_call *c) {
  OrtValue **in = c->values, **out = in + c->input_count;
  OrtStatus *s = NULL;
  for (size_t i = 0; s == NULL && i < c->input_count; i++) s = make(&c->inputs[i], &in[i]);
  c->live += count_values(in, c->input_count);
  if (s == NULL) {
    s = ORT(Run)(c->session, c->options, c->input_names, (const OrtValue *const *)in, c->input_count,
                 c->output_names, c->output_count, out);
    c->live += count_values(out, c->output_count);
  }
  drop_all(c, in, c->input_count);
  for (size_t i = 0; s == NULL && i < c->output_count; i++) {
    c->outputs[i].value = out[i];
    s = clary_describe(&c->outputs[i]);
  }
  if (s != NULL) drop_all(c, out, c->output_count);
  return s;
}

void clary_release(clary_call *c) { drop_all(c, c->values + c->input_count, c->output_count); }

void clary_terminate(clary_call *c) {
  OrtStatus *s = ORT(RunOptionsSetTerminate)(c->options);
  if (s != NULL) ORT(ReleaseStatus)(s);
}

OrtStatus *clary_rearm(clary_call *c) { return ORT(RunOptionsUnsetTerminate)(c->options); }

OrtStatus *clary_element(clary_call *c, const OrtValue *v, int i, clary_value *out) {
  out->value = NULL;
  OrtStatus *s = ORT(GetValue)(v, i, allocator, &out->value);
  if (out->value != NULL) c->live++;
  if (s == NULL) s = clary_describe(out);
  if (s == NULL) return NULL;
  clary_drop(c, out->value);
  out->value = NULL;
  return s;
}

OrtStatus *clary_count(const OrtValue *v, size_t *n) { return ORT(GetValueCount)(v, n); }

OrtStatus *clary_string_bytes(const OrtValue *v, size_t *n) { return ORT(GetStringTensorDataLength)(v, n); }

OrtStatus *clary_strings(const OrtValue *v, void *bytes, size_t n, size_t *offsets, size_t count) {
  return ORT(GetStringTensorContent)(v, bytes, n, offsets, count);
}

OrtStatus *clary_counts(const OrtSession *session, size_t *inputs, size_t *outputs) {
  OrtStatus *s = ORT(SessionGetInputCount)(session, inputs);
  return s != NULL ? s : ORT(SessionGetOutputCount)(session, outputs);
}

OrtStatus *clary_cancel_load(OrtSessionOptions *o) { return ORT(SessionOptionsSetLoadCancellationFlag)(o, true); }

void clary_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
