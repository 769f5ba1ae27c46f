package onnx

// #include "shim.h"
import "C"

import (
	"strings"

	"github.com/claryhq/clary/runtime"
)

// Of OrtErrorCode (onnxruntime_error_code.h), those that decide anything.
const (
	codeInvalidArgument = 2
	codeLoadCancelled   = 12
)

// A statusError is an OrtStatus.
type statusError struct {
	code    uint
	message string
}

func (e *statusError) Error() string { return e.message }

// Is makes an error match runtime.ErrMemory or runtime.ErrInput by what ONNX
// Runtime says in it.
func (e *statusError) Is(target error) bool {
	return target != nil && target == classify(e.code, e.message)
}

// take turns a status into an error and releases it.
func take(s *C.OrtStatus) error {
	if s == nil {
		return nil
	}
	e := &statusError{uint(C.clary_status_code(s)), tidy(C.GoString(C.clary_status_message(s)))}
	C.clary_status_free(s)
	return e
}

// tidy drops the source position and the C++ condition that some messages
// begin with.
func tidy(message string) string {
	message = strings.TrimSpace(message)
	const check = " was false. "
	if i := strings.LastIndex(message, check); i >= 0 {
		position := strings.LastIndex(message[:i], "/onnxruntime/core/")
		start := strings.LastIndexByte(message[:max(position, 0)], ' ') + 1
		message = message[:start] + message[i+len(check):]
	}
	return message
}

// Out of memory has no code: it is text, from the arena, from new, or from a
// kernel.
var memoryTexts = []string{
	"Failed to allocate memory",
	"failed to allocate",
	"bad_alloc",
	"bad allocation",
	"out of memory",
}

// Shapes that do not go together are found by whichever operator meets them,
// most of which throw without a code.
var shapeTexts = []string{
	"Attempting to broadcast an axis by a dimension other than 1",
	"dimension mismatch",
	"cannot broadcast",
	"cannot be reshaped to the requested shape",
	"dimensions must match",
	"does not match",
	"mismatch",
}

// classify says what an ONNX Runtime error means: runtime.ErrMemory,
// runtime.ErrInput, or nil, which is the server's own trouble.
func classify(code uint, message string) error {
	for _, t := range memoryTexts {
		if strings.Contains(message, t) {
			return runtime.ErrMemory
		}
	}
	if code == codeInvalidArgument {
		return runtime.ErrInput
	}
	for _, t := range shapeTexts {
		if strings.Contains(message, t) {
			return runtime.ErrInput
		}
	}
	return nil
}
