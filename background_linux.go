package clary

import (
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// inBackground runs f on a thread of its own, which gives way to all others
// (nice 19), and returns when it has. The thread ends with f: without
// privilege its priority could not be raised again. What f creates inherits
// it, so f must not make a pool of threads that serves requests.
func inBackground(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		goruntime.LockOSThread() // never unlocked
		// It fails only where nice itself is forbidden; then f is merely as
		// important as everything else.
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
		f()
	}()
	<-done
}
