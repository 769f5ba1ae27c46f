// Forests of decision trees as an operator of our own: what a
// TreeEnsembleClassifier becomes (forest.go).
#ifndef CLARY_ONNX_FOREST_H
#define CLARY_ONNX_FOREST_H

#include "shim.h"

// A node of a tree. A branch asks whether a feature is at most the threshold:
// its link is how many nodes behind it the one for yes is, the next being the
// one for no, shifted over the feature. A leaf's link is 0.
typedef struct {
  union {
    float threshold;
    uint32_t votes; // of a leaf: where its votes begin
  };
  uint32_t link;
} clary_node;

// The votes of a leaf are their count, then of each a class and a weight.
typedef union {
  uint32_t count, class;
  float weight;
} clary_vote;

// A forest is one block of memory, close together because it is often cold when
// it is run. Go fills it in; it does not change once a session has it.
typedef struct {
  uint32_t trees, classes;
  uint32_t features; // how many a row must have at least
  uint32_t shift;    // of a branch's link
  bool binary;       // of two classes, all votes are for the second, as class 0
  uint32_t *roots;   // of each tree: which node
  clary_node *nodes;
  clary_vote *votes;
  int64_t *labels; // of each class; NULL where they have names
  char **names;    // of each class; NULL where they have labels
} clary_forest;

// The forests of one session, and the operator that runs them.
typedef struct clary_forests clary_forests;

// clary_forests_new returns room for n; NULL where there is no memory.
clary_forests *clary_forests_new(size_t n);

// clary_forest_new makes the i-th. text is NULL, or the classes' names, each
// with its 0 at the end. NULL where there is no memory.
clary_forest *clary_forest_new(clary_forests *all, size_t i, size_t trees, size_t nodes, size_t votes, size_t classes,
                               const char *text, size_t text_bytes);

// clary_forests_offer has the sessions that these options make know them.
OrtStatus *clary_forests_offer(clary_forests *all, OrtSessionOptions *options);

// clary_forests_free comes after the session's end; of NULL it does nothing.
void clary_forests_free(clary_forests *all);

// clary_forest_run gives the scores of rows, and of each the class that has the
// most.
void clary_forest_run(const clary_forest *f, const float *x, size_t columns, size_t rows, float *scores, int64_t *best);

#endif
