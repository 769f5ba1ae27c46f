#define _GNU_SOURCE
#include "pace.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
  US = 1000,
  RUN = 100 * US,   // of processor time between two pauses
  PAUSE = 400 * US, // and what timers are late
  ALONE = 300 * US, // RUN, where nobody would notice a pause
};

struct clary_pace {
  timer_t timer;
  long long wall, process, own; // clocks, at the end of the last pause
  long long run;                // of its own, until the next one
  double busy;                  // processors that the rest of the process takes, of late
  volatile sig_atomic_t over;
};

static long long now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void after(clary_pace *p, long long ns) {
  struct itimerspec t = {{0, 0}, {0, ns}};
  timer_settime(p->timer, 0, &t, NULL);
}

static void begin(clary_pace *p, long long run) {
  p->wall = now(CLOCK_MONOTONIC);
  p->process = now(CLOCK_PROCESS_CPUTIME_ID);
  p->own = now(CLOCK_THREAD_CPUTIME_ID);
  p->run = run;
  after(p, run);
}

// tick is the handler of the timer's signal, on the thread that is paced. It
// calls what a handler may (signal-safety(7)).
static void tick(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  clary_pace *p = info->si_value.sival_ptr;
  if (info->si_code != SI_TIMER || p == NULL || p->over) return;
  int kept = errno;
  long long wall = now(CLOCK_MONOTONIC), own = now(CLOCK_THREAD_CPUTIME_ID) - p->own;
  if (own < p->run) { // it has waited
    after(p, p->run - own);
  } else {
    // What a thread elsewhere has used is known when it stops or the system
    // ticks, which may be after several runs of this one.
    double others = (double)(now(CLOCK_PROCESS_CPUTIME_ID) - p->process - own) / (wall - p->wall);
    p->busy += (others - p->busy) / 8;
    if (p->busy < 1.0 / 16) {
      begin(p, ALONE);
    } else {
      struct timespec pause = {0, PAUSE};
      nanosleep(&pause, NULL);
      begin(p, RUN);
    }
  }
  errno = kept;
}

// Go uses none of the last signals but to tell programs that ask for them.
#define SIGNAL (SIGRTMAX - 4)

static bool installed;

static void install(void) {
  struct sigaction a = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
  sigfillset(&a.sa_mask);
  installed = sigaction(SIGNAL, &a, NULL) == 0;
}

clary_pace *clary_pace_begin(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  clary_pace *p = installed ? calloc(1, sizeof *p) : NULL;
  if (p == NULL) return NULL;
  struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL, .sigev_value.sival_ptr = p};
  e.sigev_notify_thread_id = syscall(SYS_gettid);
  if (timer_create(CLOCK_MONOTONIC, &e, &p->timer) != 0) {
    free(p);
    return NULL;
  }
  begin(p, RUN);
  return p;
}

void clary_pace_end(clary_pace *p) {
  if (p == NULL) return;
  p->over = 1;
  timer_delete(p->timer); // a signal that is pending comes before it returns
  free(p);
}
