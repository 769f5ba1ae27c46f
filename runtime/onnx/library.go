// Package onnx opens and runs ONNX files through ONNX Runtime, and reads what
// such a file says about itself.
//
// [Start] loads the library, once for the process; [Open] gives a
// runtime.Session; [Read] needs no library. What the binding
// onnxruntime_go does well is left to it (finding the library, the
// environment, options, opening); running goes through a few C functions of
// our own (shim.h), one call for a whole run.
package onnx

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// apiVersion is the version of OrtApi that onnxruntime_go is built against; a
// library must have at least that one. oldest is the release that brought it.
const (
	apiVersion = 29
	oldest     = "1.29"
)

// library is the one environment that ONNX Runtime allows a process.
var library struct {
	mu      sync.Mutex // guards all below
	path    string     // of the library in use; "" when stopped
	version string
	open    int // sessions opened or being opened
}

// Start loads the ONNX Runtime library at libraryPath, 1.29 or newer, and
// creates the process's environment, with telemetry off from before the
// library is loaded (it sets ORT_DISABLE_TELEMETRY). A path without a slash
// is looked up as the system's loader does. Starting again with the same path
// does nothing; with another one it is an error until Stop.
func Start(libraryPath string) error {
	library.mu.Lock()
	defer library.mu.Unlock()
	if library.path != "" {
		if library.path != libraryPath {
			return fmt.Errorf("onnx: ONNX Runtime is already loaded from %s, cannot load %s as well", library.path, libraryPath)
		}
		return nil
	}
	if err := os.Setenv("ORT_DISABLE_TELEMETRY", "1"); err != nil {
		return err
	}
	version, err := load(libraryPath)
	if err != nil {
		return err
	}
	ort.SetSharedLibraryPath(libraryPath)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("onnx: starting ONNX Runtime from %s: %w", libraryPath, err)
	}
	if err := errors.Join(ort.DisableTelemetry(), take(C.clary_setup())); err != nil {
		return errors.Join(fmt.Errorf("onnx: starting ONNX Runtime from %s: %w", libraryPath, err), ort.DestroyEnvironment())
	}
	library.path, library.version = libraryPath, version
	return nil
}

func load(path string) (version string, err error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var cversion *C.char
	if why := C.clary_load(cpath, apiVersion, &cversion); why != nil {
		reason := strings.TrimPrefix(C.GoString(why), path+": ")
		if cversion != nil {
			reason += " (it is " + C.GoString(cversion) + ")"
		}
		return "", fmt.Errorf("onnx: ONNX Runtime cannot be loaded from %q: %s; give the path of libonnxruntime, version %s or newer",
			path, reason, oldest)
	}
	return C.GoString(cversion), nil
}

// Stop ends the environment. Every session must be closed before; what it
// finds open is an error. Start may follow.
func Stop() error {
	library.mu.Lock()
	defer library.mu.Unlock()
	if library.path == "" {
		return nil
	}
	if library.open > 0 {
		return fmt.Errorf("onnx: Stop with %d sessions open", library.open)
	}
	C.clary_teardown()
	library.path, library.version = "", ""
	return ort.DestroyEnvironment()
}

// Version returns the loaded library's version, "1.30.0"; "" before Start.
func Version() string {
	library.mu.Lock()
	defer library.mu.Unlock()
	return library.version
}

// enter counts a session that is to be opened; leave takes it back.
func enter() error {
	library.mu.Lock()
	defer library.mu.Unlock()
	if library.path == "" {
		return errors.New("onnx: Open before Start")
	}
	library.open++
	return nil
}

func leave() {
	library.mu.Lock()
	library.open--
	library.mu.Unlock()
}

// Trim asks the C allocator to return what is free to the system
// (malloc_trim; only glibc has it). It takes milliseconds after a large model.
func Trim() { C.clary_trim() }
