package onnx

// #include "shim.h"
import "C"

import (
	"regexp"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// codeInvalidArgument is the one member of OrtErrorCode
// (onnxruntime_error_code.h) that decides anything.
const codeInvalidArgument = 2

// A statusError is an OrtStatus.
type statusError struct {
	code    uint
	message string
}

func (e *statusError) Error() string { return tidy(e.message) }

// Is makes an error match runtime.ErrMemory, ErrDevice or ErrInput by what ONNX
// Runtime says in it.
func (e *statusError) Is(target error) bool {
	return target != nil && target == classify(e.code, e.message)
}

// take turns a status into an error and releases it.
func take(s *C.OrtStatus) error {
	if s == nil {
		return nil
	}
	e := &statusError{uint(C.clary_status_code(s)), C.GoString(C.clary_status_message(s))}
	C.clary_status_free(s)
	return e
}

// position is where in its C++ source a message says it comes from, and the
// condition that it found false.
var position = regexp.MustCompile(`(?:\S*/\S+\.(?:cc|h):\d+ [^(\n]*\([^)\n]*\)(?: const)? |\w+\.(?:cc|h):\d+ \w+ )(?:.* was false\. )?|` +
	`\[ONNXRuntimeError\] : \d+ : \w+ : `)

// tidy leaves of a message what a reader can use.
func tidy(message string) string {
	return strings.TrimSpace(position.ReplaceAllString(message, ""))
}

// Out of memory has no code: it is text, from the arena, from new, or from a
// kernel.
var memoryTexts = []string{
	"Failed to allocate memory",
	"failed to allocate",
	"bad_alloc",
	"out of memory",
	"is smaller than requested bytes", // the arena's, at its limit
	"CUBLAS_STATUS_ALLOC_FAILED",
	"CUBLAS_STATUS_NOT_INITIALIZED", // its handle takes memory
	"CUDNN_STATUS_ALLOC_FAILED",
	"CUDNN_STATUS_NOT_INITIALIZED",
	"ALLOCATION_FAILED", // of cuDNN 9's longer names
}

// deviceFailure is a CUDA error after which the process's context on the GPU is
// of no use any more: cudaErrorECCUncorrectable, cudaErrorIllegalAddress,
// cudaErrorLaunchTimeout, cudaErrorContextIsDestroyed, cudaErrorAssert,
// cudaErrorHardwareStackError to cudaErrorLaunchFailure,
// cudaErrorSystemNotReady, cudaErrorMpsServerNotReady and its neighbours,
// cudaErrorUnknown, and those of a device that is gone.
var deviceFailure = regexp.MustCompile(`CUDA failure (?:46|100|101|214|220|226|700|702|709|710|71[4-9]|721|80[2-9]|999):`)

// Operators throw, without a code, at shapes that do not go together and at
// values that they cannot take. Both come from the inputs: the model's own
// constants are checked when it is opened.
var inputTexts = []string{
	"Attempting to broadcast an axis",
	"imension mismatch",
	"dimensions must match",
	"does not match",
	"is not equal to kernel channels",
	"cannot be reshaped",
	"Cannot split",
	"shape.Size() must be >= 0",
	"Integer overflow",
	"Integer division by zero",
	"Unknown Category",
	"Status Message: sto", // Cast of a string that is no number: stod, stol
}

// classify says what an ONNX Runtime error means: runtime.ErrMemory,
// runtime.ErrDevice, runtime.ErrInput, or nil, which is the server's own trouble.
func classify(code uint, message string) error {
	contains := func(t string) bool { return strings.Contains(message, t) }
	switch {
	case slices.ContainsFunc(memoryTexts, contains):
		return runtime.ErrMemory
	case deviceFailure.MatchString(message):
		return runtime.ErrDevice
	case code == codeInvalidArgument || slices.ContainsFunc(inputTexts, contains):
		return runtime.ErrInput
	}
	return nil
}
