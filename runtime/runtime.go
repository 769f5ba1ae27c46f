// Package runtime says what a tensor and a session are. Everything above it
// speaks in these types; what runs a model (package runtime/onnx) and what
// merges requests stand behind [Session].
//
// It is the ground floor: standard library only, no cgo.
package runtime

import (
	"context"
	"errors"
	"io"
)

// A Session is an opened model.
//
// Run may be called concurrently. It reads in only until it returns and never
// keeps it. The result has one tensor for each of Outputs, in that order, and
// belongs to the caller. An out whose Data has the right type and enough
// capacity is filled in place; out may be nil or shorter than Outputs, and
// then what is missing is allocated. A cancelled ctx soon stops the run, at its next
// operator; Run returns only when nothing reads in or writes out any more, and
// then with an error that wraps the context's cause.
//
// Errors wrap [ErrInput], [ErrMemory] or [ErrModel] where one of them applies.
// Close waits for the runs in flight; a Run after Close is [ErrClosed].
type Session interface {
	Inputs() []Info
	Outputs() []Info
	Run(ctx context.Context, in, out []Tensor) ([]Tensor, error)
	io.Closer
}

// Kind tells a tensor from the containers that some ONNX models return.
type Kind uint8

// The kinds of value that a model takes or returns.
const (
	KindTensor   Kind = iota // a dense tensor
	KindSequence             // Data is []Tensor or []Map
	KindMap                  // Data is Map
)

// Info describes one input or output of a model.
type Info struct {
	Name  string
	Kind  Kind
	DType DType    // element type; of a map, its values'
	Shape []int    // -1 for an open dimension; nil for rank 0
	Dims  []string // names of the open dimensions where the model names them, "" elsewhere; as long as Shape
	// Unranked says that the model leaves open even how many dimensions there
	// are; Shape is nil then.
	Unranked bool
	// Labels are a classifier's class names in the order of the last axis of
	// this output (its probabilities); nil for anything else.
	Labels []string
}

// What a Session's error means to whoever called it, for errors.Is.
var (
	ErrInput  = errors.New("input does not fit the model") // the caller's doing: name, shape, type or value
	ErrMemory = errors.New("out of memory")                // the machine's or the budget's
	ErrModel  = errors.New("model cannot be opened")       // the file's
	ErrDevice = errors.New("device is lost")               // the GPU's or its driver's; nothing runs there until the process starts again
	ErrClosed = errors.New("session is closed")
)
