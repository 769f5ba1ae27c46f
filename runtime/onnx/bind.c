#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { out_of_memory = 2, little = 1 << 20 }; // CUDA_ERROR_OUT_OF_MEMORY

// failed is a CUDA error of ours, in the words of ONNX Runtime's.
static OrtStatus *failed(int code, const char *what) {
  if (code == 0) return NULL;
  char text[128];
  snprintf(text, sizeof text, "CUDA failure %d: %s, in %s", code, code == out_of_memory ? "out of memory" : "of the driver", what);
  return ORT(CreateStatus)(code_fail, text);
}

// on_gpu reports whether memory is the GPU's own: not the host's that it reads.
static bool on_gpu(const OrtMemoryInfo *m) {
  unsigned type = 0;
  if (m != NULL) ORT(MemoryInfoGetDeviceType)(m, &type);
  return type == device_gpu && ORT(MemoryInfoGetDeviceMemType)(m) == device_memory;
}

// wanted sets on_device from where the session has its inputs and outputs.
static OrtStatus *wanted(clary_device *d, size_t inputs, size_t outputs, bool forced) {
  const OrtMemoryInfo **infos = calloc(inputs + outputs + 1, sizeof *infos);
  if (infos == NULL) return ORT(CreateStatus)(code_fail, "failed to allocate memory");
  OrtStatus *s = inputs == 0 ? NULL : ORT(SessionGetMemoryInfoForInputs)(d->session, infos, inputs);
  if (s == NULL && outputs > 0) s = ORT(SessionGetMemoryInfoForOutputs)(d->session, infos + inputs, outputs);
  for (size_t i = 0; s == NULL && i < inputs + outputs; i++) {
    d->on_device[i] = forced || on_gpu(infos[i]);
    if (d->on_device[i] && d->memory == NULL) d->memory = infos[i];
  }
  if (forced) d->memory = memory;
  free(infos);
  return s;
}

// settle makes what copies need. Pinned memory is what makes them fast, and
// without it they are as right.
static OrtStatus *settle(clary_device *d, int index, bool forced) {
  OrtStatus *s = ORT(CreateAllocator)(d->session, d->memory, &d->alloc);
  if (s != NULL) return s;
  s = forced ? ORT(CreateCpuMemoryInfo)(device_allocator, mem_type_default, &d->pinned)
             : ORT(CreateMemoryInfo)("CudaPinned", device_allocator, index, mem_type_cpu_output, &d->pinned);
  if (s == NULL) s = ORT(CreateAllocator)(d->session, d->pinned, &d->pinned_alloc);
  if (s == NULL) return NULL;
  ORT(ReleaseStatus)(s);
  if (d->pinned != NULL) ORT(ReleaseMemoryInfo)(d->pinned);
  d->pinned = NULL;
  return NULL;
}

clary_device *clary_device_new(OrtSession *session, size_t inputs, size_t outputs, int index, bool forced) {
  clary_device *d = calloc(1, sizeof *d + inputs + outputs);
  if (d == NULL) return NULL;
  d->session = session;
  d->on_device = (bool *)(d + 1);
  OrtStatus *s = wanted(d, inputs, outputs, forced);
  bool can = s == NULL && d->memory != NULL && (forced || clary_gpu_open(index, &d->gpu) == 0);
  if (can) s = settle(d, index, forced);
  if (can && s == NULL) return d;
  if (s != NULL) ORT(ReleaseStatus)(s);
  clary_device_free(d);
  return NULL;
}

void clary_device_free(clary_device *d) {
  if (d->pinned_alloc != NULL) ORT(ReleaseAllocator)(d->pinned_alloc);
  if (d->pinned != NULL) ORT(ReleaseMemoryInfo)(d->pinned);
  if (d->alloc != NULL) ORT(ReleaseAllocator)(d->alloc);
  if (d->gpu != NULL) clary_gpu_close(d->gpu);
  free(d);
}

OrtStatus *clary_bind(clary_call *c, clary_device *d) {
  OrtStatus *s = ORT(CreateIoBinding)(c->session, &c->io);
  if (s != NULL) return s;
  if (d->gpu != NULL) s = failed(clary_gpu_stream(d->gpu, &c->stream), "making a stream");
  if (s != NULL) {
    ORT(ReleaseIoBinding)(c->io);
    return s;
  }
  c->device = d;
  for (size_t i = 0; i < c->input_count + c->output_count; i++) c->inputs[i].on_device = d->on_device[i];
  return NULL;
}

static OrtAllocator *pinned_allocator(clary_call *c) {
  return c->device->pinned_alloc != NULL ? c->device->pinned_alloc : allocator;
}

static void give_back(OrtAllocator *a, void *p) {
  OrtStatus *s = p == NULL ? NULL : ORT(AllocatorFree)(a, p);
  if (s != NULL) ORT(ReleaseStatus)(s);
}

void *pinned_block(clary_call *c, size_t bytes) {
  void *p = NULL;
  OrtStatus *s = ORT(AllocatorAlloc)(pinned_allocator(c), bytes + 1, &p);
  if (s == NULL) return p;
  ORT(ReleaseStatus)(s);
  return NULL;
}

void free_pinned(clary_call *c, void *block) { give_back(pinned_allocator(c), block); }

void unbind(clary_call *c) {
  ORT(ReleaseIoBinding)(c->io);
  for (size_t i = 0; i < c->input_count; i++)
    if (c->inputs[i].room > 0) free_pinned(c, c->inputs[i].data);
  for (size_t i = 0; i < c->input_count + c->output_count; i++) give_back(c->device->alloc, c->inputs[i].there);
  if (c->stream != NULL) clary_gpu_end(c->device->gpu, c->stream);
}

// reserve makes room for a value on the GPU, of which a large one is not kept for
// much smaller ones. What was there is of no use: every run copies.
static OrtStatus *reserve(clary_call *c, clary_value *v, size_t bytes) {
  if (v->there_room > bytes && (v->there_room < little || v->there_room / 8 <= bytes)) return NULL;
  give_back(c->device->alloc, v->there);
  v->there = NULL;
  v->there_room = 0;
  OrtStatus *s = ORT(AllocatorAlloc)(c->device->alloc, bytes + 1, &v->there);
  if (s == NULL) v->there_room = bytes + 1;
  return s;
}

bool clary_spare(clary_call *c) {
  bool any = false;
  for (size_t i = 0; i < c->input_count; i++) {
    clary_value *v = &c->inputs[i];
    any = any || v->there != NULL;
    give_back(c->device->alloc, v->there);
    v->there = NULL;
    v->there_room = 0;
  }
  return any;
}

OrtStatus *clary_room(clary_call *c, clary_value *v, size_t bytes) {
  if (v->room > 0) free_pinned(c, v->data);
  v->data = NULL;
  v->room = 0;
  OrtStatus *s = ORT(AllocatorAlloc)(pinned_allocator(c), bytes + 1, &v->data);
  if (s == NULL) v->room = bytes + 1;
  return s;
}

OrtStatus *clary_graph(clary_call *c, const char *id) { return ORT(AddRunConfigEntry)(c->options, "gpu_graph_id", id); }

static int put(clary_call *c, clary_value *v) {
  if (c->device->gpu != NULL) return clary_gpu_put(c->device->gpu, c->stream, v->there, v->data, v->bytes);
  memcpy(v->there, v->data, v->bytes);
  return 0;
}

static int get(clary_call *c, clary_value *v) {
  if (c->device->gpu != NULL) return clary_gpu_get(c->device->gpu, c->stream, v->data, v->there, v->bytes);
  memcpy(v->data, v->there, v->bytes);
  return 0;
}

static OrtStatus *wait(clary_call *c, const char *what) {
  return c->device->gpu == NULL ? NULL : failed(clary_gpu_wait(c->device->gpu, c->stream), what);
}

// over makes a value over v's buffer on the GPU, or where it has none over its
// data.
static OrtStatus *over(clary_call *c, clary_value *v, OrtValue **out) {
  OrtStatus *s = ORT(CreateTensorWithDataAsOrtValue)(v->on_device ? c->device->memory : memory,
                                                     v->on_device ? v->there : v->data, v->bytes, v->shape, v->rank,
                                                     v->type, out);
  if (s == NULL) c->live++;
  return s;
}

OrtStatus *copy_inputs(clary_call *c) {
  OrtStatus *s = NULL;
  for (size_t i = 0; s == NULL && i < c->input_count; i++) {
    clary_value *in = &c->inputs[i];
    if (in->on_device) s = reserve(c, in, in->bytes);
    if (s == NULL && in->on_device && in->bytes > 0) s = failed(put(c, in), "copying an input");
    if (s == NULL) s = over(c, in, &in->value);
  }
  OrtStatus *late = wait(c, "copying an input"); // for those before one that failed, too
  if (s == NULL) return late;
  if (late != NULL) ORT(ReleaseStatus)(late);
  return s;
}

// stays reports whether an output is left on the GPU by the run.
static bool stays(const clary_call *c, const clary_value *v) { return c->graph && v->own && v->on_device; }

// An own output of a graph is on the GPU, at the place that the graph knows.
static OrtStatus *bind_there(clary_call *c, size_t i) {
  clary_value *v = &c->outputs[i];
  OrtValue *value = NULL;
  OrtStatus *s = reserve(c, v, v->bytes);
  if (s == NULL) s = over(c, v, &value);
  if (s == NULL) s = ORT(BindOutput)(c->io, c->output_names[i], value);
  clary_drop(c, value);
  return s;
}

static OrtStatus *bind_output(clary_call *c, size_t i) {
  clary_value *v = &c->outputs[i];
  if (stays(c, v)) return bind_there(c, i);
  if (v->own) return ORT(BindOutput)(c->io, c->output_names[i], v->value);
  const OrtMemoryInfo *where = v->on_device && c->device->pinned != NULL ? c->device->pinned : memory;
  return ORT(BindOutputToDevice)(c->io, c->output_names[i], where);
}

// take_outputs takes the values that ONNX Runtime has made.
static OrtStatus *take_outputs(clary_call *c) {
  OrtValue **values = NULL;
  size_t n = 0;
  OrtStatus *s = ORT(GetBoundOutputValues)(c->io, allocator, &values, &n);
  for (size_t i = 0; s == NULL && i < n; i++) {
    if (c->outputs[i].own) {
      ORT(ReleaseValue)(values[i]);
      continue;
    }
    c->outputs[i].value = values[i];
    c->live++;
  }
  give_back(allocator, values);
  return s;
}

static OrtStatus *fetch_outputs(clary_call *c) {
  OrtStatus *s = NULL;
  for (size_t i = 0; s == NULL && i < c->output_count; i++) {
    clary_value *v = &c->outputs[i];
    if (stays(c, v) && v->bytes > 0) s = failed(get(c, v), "copying an output");
  }
  OrtStatus *late = wait(c, "copying an output");
  if (s == NULL) return late;
  if (late != NULL) ORT(ReleaseStatus)(late);
  return s;
}

OrtStatus *run_bound(clary_call *c) {
  OrtStatus *s = NULL;
  bool taken = true;
  for (size_t i = 0; s == NULL && i < c->input_count; i++)
    s = ORT(BindInput)(c->io, c->input_names[i], c->inputs[i].value);
  for (size_t i = 0; s == NULL && i < c->output_count; i++) {
    s = bind_output(c, i);
    taken = taken && c->outputs[i].own;
  }
  if (s == NULL) s = ORT(RunWithBinding)(c->session, c->options, c->io);
  if (s == NULL && c->graph) s = fetch_outputs(c);
  if (s == NULL && !taken) s = take_outputs(c);
  ORT(ClearBoundInputs)(c->io);
  if (s != NULL) clear_outputs(c);
  return s;
}

void clear_outputs(clary_call *c) { ORT(ClearBoundOutputs)(c->io); }
