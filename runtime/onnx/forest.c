#include "forest.h"

#include <string.h>

enum { lanes = 8 };

// walk goes down trees side by side, whose steps do not wait for one another:
// in the k-th from the node at[k], asking about the row x[k], to the leaf.
static inline void walk(const clary_node *at[lanes], const float *x[lanes], uint32_t shift) {
  const uint32_t feature = (1u << shift) - 1;
  uint32_t inside;
  do {
    inside = 0;
    for (int k = 0; k < lanes; k++) {
      uint32_t link = at[k]->link, yes = link >> shift;
      // Not less or equal, rather than greater: NaN is a no.
      uint32_t no = !(x[k][link & feature] <= at[k]->threshold);
      at[k] += yes + (no & (yes != 0));
      inside |= yes;
    }
  } while (inside != 0);
}

// count adds a leaf's votes to a row's scores.
static inline void count(const clary_forest *f, const clary_node *leaf, float *scores) {
  const clary_vote *v = f->votes + leaf->votes;
  for (uint32_t n = v++->count; n > 0; n--, v += 2) scores[v[0].class] += v[1].weight;
}

// one_row takes several trees at a time, and adds their votes in the trees'
// order, as ONNX Runtime does: sums of floats depend on it.
static void one_row(const clary_forest *f, const float *x, float *scores) {
  const float *rows[lanes];
  for (int k = 0; k < lanes; k++) rows[k] = x;
  for (uint32_t tree = 0; tree < f->trees; tree += lanes) {
    const clary_node *at[lanes];
    uint32_t n = f->trees - tree < lanes ? f->trees - tree : lanes;
    for (uint32_t k = 0; k < lanes; k++) at[k] = f->nodes + f->roots[tree + (k < n ? k : 0)];
    walk(at, rows, f->shift);
    for (uint32_t k = 0; k < n; k++) count(f, at[k], scores);
  }
}

// many_rows takes several rows at a time through one tree after another.
static void many_rows(const clary_forest *f, const float *x, size_t columns, size_t rows, float *scores) {
  for (uint32_t tree = 0; tree < f->trees; tree++) {
    for (size_t row = 0; row < rows; row += lanes) {
      const clary_node *at[lanes];
      const float *of[lanes];
      size_t n = rows - row < lanes ? rows - row : lanes;
      for (size_t k = 0; k < lanes; k++) {
        at[k] = f->nodes + f->roots[tree];
        of[k] = x + (row + (k < n ? k : 0)) * columns;
      }
      walk(at, of, f->shift);
      for (size_t k = 0; k < n; k++) count(f, at[k], scores + (row + k) * f->classes);
    }
  }
}

// decide finds the class of a row: the first of those with the most.
static int64_t decide(const clary_forest *f, float *scores) {
  if (f->binary) {
    scores[1] = scores[0];
    scores[0] = 1 - scores[1];
    return scores[1] > 0.5;
  }
  uint32_t best = 0;
  for (uint32_t c = 1; c < f->classes; c++)
    if (scores[c] > scores[best]) best = c;
  return best;
}

void clary_forest_run(const clary_forest *f, const float *x, size_t columns, size_t rows, float *scores, int64_t *best) {
  memset(scores, 0, rows * f->classes * sizeof *scores);
  if (rows == 1) one_row(f, x, scores);
  else many_rows(f, x, columns, rows, scores);
  for (size_t row = 0; row < rows; row++) best[row] = decide(f, scores + row * f->classes);
}
