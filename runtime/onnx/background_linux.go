package onnx

// #include "pace.h"
import "C"

import (
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// Background runs f on a thread of its own, which gives way to all others, and
// returns when it has. The thread has nice 19, and ends with f: without
// privilege its priority could not be raised again. What f creates inherits it,
// so f must not make a pool of threads that serves requests.
//
// A processor that runs such a thread is had at once by one that wakes there,
// but Linux does not count it as idle when it looks for a place: threads that
// wake queue behind each other on the other processors. Where pauses is set, the
// thread therefore sleeps for 0.4 ms after each 0.1 ms of work while the rest of
// the process is busy: a processor that has nothing to do takes over what waits
// elsewhere. f then sees system calls interrupted and begun again
// (SA_RESTART in signal(7)).
func Background(pauses bool, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		goruntime.LockOSThread() // never unlocked
		// It fails only where nice itself is forbidden; then f is merely as
		// important as everything else.
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
		if pauses {
			defer C.clary_pace_end(C.clary_pace_begin())
		}
		f()
	}()
	<-done
}
