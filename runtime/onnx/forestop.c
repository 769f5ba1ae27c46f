#include "customop.h"
#include "forest.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { api_version = 29 };

// An operator of ours for one session: its kernels are the session's forests.
typedef struct {
  custom_op op; // first: ONNX Runtime gives it back
  const clary_forests *all;
  bool names; // its labels are names
} forest_op;

struct clary_forests {
  OrtCustomOpDomain *domain;
  forest_op ops[2];
  size_t count;
  clary_forest *forests[];
};

static const char *name(const OrtCustomOp *op) { return ((const forest_op *)op)->names ? "NamedForest" : "Forest"; }
static const char *provider(const OrtCustomOp *op) { return NULL; } // the CPU's
static unsigned input_type(const OrtCustomOp *op, size_t i) { return type_float; }
static size_t input_count(const OrtCustomOp *op) { return 1; }
static size_t output_count(const OrtCustomOp *op) { return 2; }
static unsigned required(const OrtCustomOp *op, size_t i) { return 0; }
static int anywhere(const OrtCustomOp *op, size_t i) { return mem_type_default; }
static int one(const OrtCustomOp *op) { return 1; }
static int any_version(const OrtCustomOp *op) { return INT32_MAX; }
static void destroy(void *kernel) {}

static unsigned output_type(const OrtCustomOp *op, size_t i) {
  return i == 1 ? type_float : ((const forest_op *)op)->names ? type_string : type_int64;
}

static OrtStatus *create(const OrtCustomOp *op, const OrtApi *theirs, const OrtKernelInfo *info, void **kernel) {
  const clary_forests *all = ((const forest_op *)op)->all;
  int64_t i = 0;
  OrtStatus *s = ORT(KernelInfoGetAttribute_int64)(info, "index", &i);
  if (s == NULL && (i < 0 || (size_t)i >= all->count)) s = ORT(CreateStatus)(code_fail, "there is no such forest");
  if (s == NULL) *kernel = all->forests[i];
  return s;
}

// Rows are shared out among a session's threads in blocks, which are also what
// stays in the cache from one tree to the next.
enum { block_rows = 64 };

typedef struct {
  const clary_forest *forest;
  const float *x;
  size_t columns, rows;
  float *scores;
  int64_t *best;
} job;

static void run_block(void *data, size_t i) {
  const job *j = data;
  size_t from = i * block_rows, rows = j->rows - from < block_rows ? j->rows - from : block_rows;
  clary_forest_run(j->forest, j->x + from * j->columns, j->columns, rows, j->scores + from * j->forest->classes, j->best + from);
}

// no_memory says it in ONNX Runtime's words, by which it is told from other errors.
static OrtStatus *no_memory(void) { return ORT(CreateStatus)(code_fail, "Failed to allocate memory for labels"); }

static OrtStatus *input(OrtKernelContext *context, job *j) {
  const OrtValue *x = NULL;
  unsigned type = 0;
  const int64_t *shape = NULL;
  size_t rank = 0;
  OrtStatus *s = ORT(KernelContext_GetInput)(context, 0, &x);
  if (s == NULL) s = ORT(GetTensorElementTypeAndShapeDataReference)(x, &type, &shape, &rank);
  if (s == NULL) s = ORT(GetTensorData)(x, (const void **)&j->x);
  if (s != NULL) return s;
  if (rank != 1 && rank != 2) return ORT(CreateStatus)(code_invalid_argument, "a forest takes rows, [N, C]");
  j->rows = rank == 1 ? 1 : shape[0];
  j->columns = shape[rank - 1];
  if (j->columns < j->forest->features) return ORT(CreateStatus)(code_invalid_argument, "a row has fewer values than the forest has features");
  return NULL;
}

static OrtStatus *output(OrtKernelContext *context, size_t i, const int64_t *shape, size_t rank, OrtValue **v, void **data) {
  OrtStatus *s = ORT(KernelContext_GetOutput)(context, i, shape, rank, v);
  return s != NULL || data == NULL ? s : ORT(GetTensorMutableData)(*v, data);
}

// fill_names gives each row its class's name.
static OrtStatus *fill_names(const job *j, OrtValue *label) {
  const char **names = malloc((j->rows + 1) * sizeof *names);
  if (names == NULL) return no_memory();
  for (size_t i = 0; i < j->rows; i++) names[i] = j->forest->names[j->best[i]];
  OrtStatus *s = ORT(FillStringTensor)(label, names, j->rows);
  free(names);
  return s;
}

static OrtStatus *run(OrtKernelContext *context, job *j) {
  if (j->rows > block_rows) return ORT(KernelContext_ParallelFor)(context, run_block, (j->rows + block_rows - 1) / block_rows, 0, j);
  run_block(j, 0);
  return NULL;
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  job j = {.forest = kernel};
  OrtStatus *s = input(context, &j);
  if (s != NULL) return s;
  bool named = j.forest->names != NULL;
  OrtValue *label = NULL, *scores = NULL;
  const int64_t shape[] = {j.rows, j.forest->classes};
  s = output(context, 0, shape, 1, &label, named ? NULL : (void **)&j.best);
  if (s == NULL) s = output(context, 1, shape, 2, &scores, (void **)&j.scores);
  if (s == NULL && named && (j.best = malloc((j.rows + 1) * sizeof *j.best)) == NULL) s = no_memory();
  if (s == NULL) s = run(context, &j);
  if (s == NULL && named) s = fill_names(&j, label);
  if (named) free(j.best);
  for (size_t i = 0; s == NULL && !named && i < j.rows; i++) j.best[i] = j.forest->labels[j.best[i]];
  return s;
}

clary_forests *clary_forests_new(size_t n) {
  clary_forests *all = calloc(1, sizeof *all + n * sizeof all->forests[0]);
  if (all == NULL) return NULL;
  all->count = n;
  for (int i = 0; i < 2; i++)
    all->ops[i] = (forest_op){
      .all = all,
      .names = i == 1,
      .op = {
        .version = api_version,
        .GetName = name,
        .GetExecutionProviderType = provider,
        .GetInputType = input_type,
        .GetInputTypeCount = input_count,
        .GetOutputType = output_type,
        .GetOutputTypeCount = output_count,
        .KernelDestroy = destroy,
        .GetInputCharacteristic = required,
        .GetOutputCharacteristic = required,
        .GetInputMemoryType = anywhere,
        .GetVariadicInputMinArity = one,
        .GetVariadicInputHomogeneity = one,
        .GetVariadicOutputMinArity = one,
        .GetVariadicOutputHomogeneity = one,
        .CreateKernelV2 = create,
        .KernelComputeV2 = compute,
        .GetStartVersion = one,
        .GetEndVersion = any_version,
      },
    };
  return all;
}

// aligned is the size of an array that another one may follow.
static size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

clary_forest *clary_forest_new(clary_forests *all, size_t i, size_t trees, size_t nodes, size_t votes, size_t classes,
                               const char *text, size_t text_bytes) {
  size_t head = aligned(sizeof(clary_forest)), roots = aligned(trees * sizeof(uint32_t)), of_nodes = aligned(nodes * sizeof(clary_node)),
         of_votes = aligned(votes * sizeof(clary_vote)), labels = classes * sizeof(int64_t);
  char *at = aligned_alloc(alignment, aligned(head + roots + of_nodes + of_votes + labels + text_bytes));
  if (at == NULL) return NULL;
  clary_forest *f = (clary_forest *)at;
  *f = (clary_forest){.trees = trees, .classes = classes, .roots = (uint32_t *)(at += head)};
  f->nodes = (clary_node *)(at += roots);
  f->votes = (clary_vote *)(at += of_nodes);
  f->labels = (int64_t *)(at += of_votes);
  if (text != NULL) {
    f->names = (char **)f->labels;
    f->labels = NULL;
    char *to = memcpy(at + labels, text, text_bytes);
    for (size_t c = 0; c < classes; c++, to += strlen(to) + 1) f->names[c] = to;
  }
  return all->forests[i] = f;
}

OrtStatus *clary_forests_offer(clary_forests *all, OrtSessionOptions *options) {
  OrtStatus *s = ORT(CreateCustomOpDomain)("clary", &all->domain);
  for (int i = 0; s == NULL && i < 2; i++) s = ORT(CustomOpDomain_Add)(all->domain, (const OrtCustomOp *)&all->ops[i].op);
  return s != NULL ? s : ORT(AddCustomOpDomain)(options, all->domain);
}

void clary_forests_free(clary_forests *all) {
  if (all == NULL) return;
  if (all->domain != NULL) ORT(ReleaseCustomOpDomain)(all->domain);
  for (size_t i = 0; i < all->count; i++) free(all->forests[i]);
  free(all);
}
