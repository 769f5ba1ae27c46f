#include "internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

typedef struct {
  const function *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} api_base;

enum { log_fatal = 4 };
enum { kind_tensor = 1 };

const function *api;
OrtMemoryInfo *memory;
OrtAllocator *allocator;

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
  const function *table = base()->get_api(api_version);
  if (table == NULL) return "it is too old";
  api = table;
  return NULL;
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
  if (*s == NULL) *s = ORT(RunOptionsSetRunLogSeverityLevel)(c->options, log_fatal); // an error is returned, not logged
  if (*s == NULL) return c;
  clary_call_free(c);
  return NULL;
}

void clary_call_free(clary_call *c) {
  if (c->device != NULL) unbind(c);
  if (c->options != NULL) ORT(ReleaseRunOptions)(c->options);
  free(c);
}

void clary_drop(clary_call *c, OrtValue *v) {
  if (v == NULL) return;
  ORT(ReleaseValue)(v);
  c->live--;
}

static OrtStatus *fill_strings(const clary_value *in) {
  OrtStatus *s = NULL;
  const char *from = in->data;
  for (size_t i = 0; s == NULL && i < in->elements; i++) {
    char *to = NULL;
    s = ORT(GetResizedStringTensorElementBuffer)(in->value, i, in->lengths[i], &to);
    if (s == NULL && in->lengths[i] > 0) memcpy(to, from, in->lengths[i]);
    from += in->lengths[i];
  }
  return s;
}

// place is where the data of a value is, unless it is of strings.
static const OrtMemoryInfo *place(const clary_call *c, const clary_value *v) {
  return v->on_device && c->device->pinned != NULL ? c->device->pinned : memory;
}

static OrtStatus *make(clary_call *c, clary_value *v) {
  OrtStatus *s = v->type == type_string
    ? ORT(CreateTensorAsOrtValue)(allocator, v->shape, v->rank, v->type, &v->value)
    : ORT(CreateTensorWithDataAsOrtValue)(place(c, v), v->data, v->bytes, v->shape, v->rank, v->type, &v->value);
  if (s == NULL) c->live++;
  return s;
}

static OrtStatus *make_inputs(clary_call *c) {
  OrtStatus *s = NULL;
  for (size_t i = 0; s == NULL && i < c->input_count; i++) {
    clary_value *in = &c->inputs[i];
    if (!in->own) s = make(c, in);
    if (s == NULL && in->type == type_string) s = fill_strings(in);
  }
  return s;
}

void release(clary_call *c, clary_value *v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (v[i].own) continue;
    clary_drop(c, v[i].value);
    v[i].value = NULL;
  }
}

OrtStatus *clary_describe(clary_value *v) {
  OrtStatus *s = ORT(GetValueType)(v->value, &v->kind);
  if (s != NULL || v->kind != kind_tensor) return s;
  s = ORT(GetTensorElementTypeAndShapeDataReference)(v->value, &v->type, &v->shape, &v->rank);
  if (s != NULL || v->type == type_string) return s;
  s = ORT(GetTensorSizeInBytes)(v->value, &v->bytes);
  return s != NULL ? s : ORT(GetTensorData)(v->value, (const void **)&v->data);
}

static void free_block(clary_call *c, void *block) {
  if (c->device != NULL) free_pinned(c, block);
  else free(block);
}

// own gives the call a value like v, over memory of its own.
static void own(clary_call *c, clary_value *v) {
  size_t data = v->type == type_string ? 0 : v->bytes;
  size_t head = v->rank * sizeof(int64_t);
  head += -head % alignment;
  clary_value mine = *v;
  mine.block = c->device != NULL ? pinned_block(c, head + data)
                                 : aligned_alloc(alignment, head + data + alignment - data % alignment);
  if (mine.block == NULL) return;
  if (v->rank > 0) memcpy(mine.block, v->shape, v->rank * sizeof(int64_t));
  mine.shape = mine.block;
  mine.data = (char *)mine.block + head;
  mine.value = NULL;
  mine.own = true;
  OrtStatus *s = make(c, &mine);
  if (s != NULL) {
    ORT(ReleaseStatus)(s);
    free_block(c, mine.block);
    return;
  }
  clary_drop(c, v->value);
  *v = mine;
}

static void keep_inputs(clary_call *c) {
  for (size_t i = 0; i < c->input_count; i++)
    if (!c->inputs[i].own && c->inputs[i].bytes <= clary_small) own(c, &c->inputs[i]);
}

// Strings come into the world empty, and some operators leave it at that: a
// used output would show them the last run's.
static void keep_outputs(clary_call *c) {
  for (size_t i = 0; i < c->output_count; i++) {
    clary_value *v = &c->outputs[i];
    bool fit = v->kind == kind_tensor && v->type != type_string && (v->bytes <= clary_small || c->device != NULL);
    if (fit && !v->own && !v->passed) own(c, v);
  }
}

static void forget(clary_call *c, clary_value *v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (!v[i].own) continue;
    clary_drop(c, v[i].value);
    free_block(c, v[i].block);
    v[i].value = NULL;
    v[i].own = false;
  }
}

void clary_forget(clary_call *c) {
  forget(c, c->inputs, c->input_count);
  forget(c, c->outputs, c->output_count);
}

void clary_release(clary_call *c) {
  if (c->keep) {
    if (c->device == NULL) keep_inputs(c);
    if (!c->varies) keep_outputs(c);
  }
  release(c, c->outputs, c->output_count);
  if (c->device != NULL) clear_outputs(c);
}

static bool owns(const clary_value *v, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (v[i].own) return true;
  return false;
}

static OrtStatus *run(clary_call *c) {
  OrtValue **in = c->values, **out = in + c->input_count;
  for (size_t i = 0; i < c->input_count; i++) in[i] = c->inputs[i].value;
  for (size_t i = 0; i < c->output_count; i++) out[i] = c->outputs[i].own ? c->outputs[i].value : NULL;
  OrtStatus *s = ORT(Run)(c->session, c->options, c->input_names, (const OrtValue *const *)in, c->input_count,
                          c->output_names, c->output_count, out);
  for (size_t i = 0; i < c->output_count; i++) {
    if (c->outputs[i].own) continue;
    c->outputs[i].value = out[i];
    c->live += out[i] != NULL;
  }
  return s;
}

// A shape that depends on the data does not fit the output that an earlier run
// left. ONNX Runtime has no code for that, so whatever failed runs again with
// outputs of its own.
static OrtStatus *run_again(clary_call *c, OrtStatus *first) {
  release(c, c->outputs, c->output_count);
  forget(c, c->outputs, c->output_count);
  OrtStatus *s = c->device != NULL ? run_bound(c) : run(c);
  ORT(ReleaseStatus)(first);
  c->varies = s == NULL;
  return s;
}

OrtStatus *clary_run(clary_call *c) {
  OrtStatus *s = c->device != NULL ? copy_inputs(c) : make_inputs(c);
  if (s != NULL) {
    release(c, c->inputs, c->input_count);
    return s;
  }
  s = c->device != NULL ? run_bound(c) : run(c);
  if (s != NULL && !c->graph && owns(c->outputs, c->output_count)) s = run_again(c, s);
  release(c, c->inputs, c->input_count);
  for (size_t i = 0; s == NULL && i < c->output_count; i++)
    if (!c->outputs[i].own) s = clary_describe(&c->outputs[i]);
  if (s != NULL) release(c, c->outputs, c->output_count);
  return s;
}

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

OrtStatus *clary_providers(char ***names, int *n) { return ORT(GetAvailableProviders)(names, n); }

void clary_providers_free(char **names, int n) {
  OrtStatus *s = ORT(ReleaseAvailableProviders)(names, n);
  if (s != NULL) ORT(ReleaseStatus)(s);
}

void clary_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
