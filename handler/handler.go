// Package handler is what a user of Clary writes: how a model is loaded and
// what happens to a request before and after it.
//
// A [Handler] has the four functions of the SageMaker inference toolkits.
// [Default] implements all of them for any ONNX model; embed it and override
// what should differ:
//
//	type iris struct{ handler.Default }
//
//	func (iris) OutputFn(ctx context.Context, out handler.Tensors, accept string) ([]byte, string, error) { ... }
//
//	func main() { clary.Main(iris{}) }
//
// A handler that also has [Transformer]'s TransformFn does the whole request
// there, and InputFn, PredictFn and OutputFn are not called.
package handler

import (
	"context"
	"fmt"
	"io"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/runtime"
)

// A Handler loads a model and serves requests with it. Its methods but
// ModelFn are called concurrently. The ctx of a request is cancelled when the
// client has gone or the deadline has passed; [RequestFrom] finds in it what
// the stages of one request share.
//
// An error is answered by what it is (docs/statuses.md): a [*StatusError] with
// its own status, anything unknown with 500 and no detail for the client.
type Handler interface {
	// ModelFn loads the model. It is called once, before /ping answers 200.
	ModelFn(ctx context.Context, env Env) (Model, error)
	// InputFn reads a body. It may keep body only until the request ends.
	InputFn(ctx context.Context, body []byte, contentType string) (Tensors, error)
	// PredictFn runs the model.
	PredictFn(ctx context.Context, in Tensors, m Model) (Tensors, error)
	// OutputFn writes the reply; accept is the request's Accept header, or
	// the configured default where it has none.
	OutputFn(ctx context.Context, out Tensors, accept string) (body []byte, contentType string, err error)
}

// A Transformer is a Handler that does the whole request in one function.
type Transformer interface {
	TransformFn(ctx context.Context, m Model, body []byte, contentType, accept string) (reply []byte, replyType string, err error)
}

// A RowWise is a Handler that says whether the answer to a row does not depend
// on the other rows of its request. If so, the bodies of batch transform are
// taken through it in parts, as they arrive (docs/batch-transform.md); else
// each as a whole.
type RowWise interface {
	RowWise() bool
}

// A Model is what ModelFn returns; closed once, after the last request. A
// runtime.Session is one.
type Model interface{ io.Closer }

// Env is what ModelFn is given.
type Env struct {
	Dir    string          // the artifact's root folder
	Path   string          // the model file found in it, absolute; empty if there is none
	Config artifact.Config // its clary.yaml; the zero value if there is none
	// Open opens an ONNX file with the artifact's settings; the artifact's own
	// model with the post steps of its clary.yaml behind it, so that they are
	// part of what its Run and its Outputs give.
	Open func(ctx context.Context, path string) (runtime.Session, error)
}

// Tensors are the inputs or outputs of a model, in its order.
type Tensors []runtime.Tensor

// Named returns the tensor of that name.
func (ts Tensors) Named(name string) (runtime.Tensor, bool) {
	for _, t := range ts {
		if t.Name == name {
			return t, true
		}
	}
	return runtime.Tensor{}, false
}

// A StatusError is answered with its status and text as they are.
type StatusError struct {
	Status  int    // an HTTP status, 400 to 599
	Message string // for the client
	Err     error  // for the log; may be nil
}

// Errorf returns a StatusError whose Err is what %w wraps, if anything.
func Errorf(status int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	e := &StatusError{Status: status, Message: err.Error()}
	if u, ok := err.(interface{ Unwrap() error }); ok {
		e.Err = u.Unwrap()
	}
	return e
}

func (e *StatusError) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *StatusError) Unwrap() error { return e.Err }
