#define _GNU_SOURCE
#include "handlers.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifndef NSIG
#define NSIG 65
#endif

struct clary_handlers {
  struct sigaction actions[NSIG];
  bool known[NSIG];
};

// Two that overlap must not take what a library has put there for what was
// there: the first one in saves, the last one out restores.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static clary_handlers *saved;
static int users;

clary_handlers *clary_handlers_save(void) {
  pthread_mutex_lock(&lock);
  if (users++ == 0 && (saved = calloc(1, sizeof *saved)) != NULL)
    for (int i = 1; i < NSIG; i++) saved->known[i] = sigaction(i, NULL, &saved->actions[i]) == 0;
  clary_handlers *s = saved;
  pthread_mutex_unlock(&lock);
  return s;
}

static bool same(const struct sigaction *a, const struct sigaction *b) {
  return a->sa_flags == b->sa_flags && a->sa_sigaction == b->sa_sigaction;
}

void clary_handlers_restore(clary_handlers *s) {
  pthread_mutex_lock(&lock);
  for (int i = 1; s != NULL && i < NSIG; i++) {
    struct sigaction now;
    if (s->known[i] && sigaction(i, NULL, &now) == 0 && !same(&now, &s->actions[i])) sigaction(i, &s->actions[i], NULL);
  }
  if (--users == 0) {
    free(saved);
    saved = NULL;
  }
  pthread_mutex_unlock(&lock);
}
