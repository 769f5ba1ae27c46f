package onnx

// #include "shim.h"
import "C"

import (
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// pointers reads ONNX Runtime's own pointers out of the binding's values: the
// options' (SessionOptions.o) and the session's
// (DynamicAdvancedSession.s.ortSession). Either may be nil. The binding does
// not export them; TestInternals fails when its structs change.
func pointers(o *ort.SessionOptions, s *ort.DynamicAdvancedSession) (*C.OrtSessionOptions, *C.OrtSession) {
	var options *C.OrtSessionOptions
	var session *C.OrtSession
	if o != nil {
		options = *(**C.OrtSessionOptions)(unsafe.Pointer(o))
	}
	if s != nil {
		session = **(***C.OrtSession)(unsafe.Pointer(s))
	}
	return options, session
}
