package onnx

// #include "handlers.h"
import "C"

import goruntime "runtime"

// withHandlers calls f, in which CUDA's libraries may put signal handlers of
// their own in the place of Go's, and restores what was there: Go's runtime
// ends the process when a signal reaches it without the stack that its own
// handlers ask for, and SIGTERM would no longer drain the server.
func withHandlers(f func() error) error {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	saved := C.clary_handlers_save()
	defer C.clary_handlers_restore(saved)
	return f()
}
