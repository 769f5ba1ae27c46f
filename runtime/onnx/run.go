package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	goruntime "runtime"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// A call is what one run needs on both sides of the border, kept for the next
// one: ONNX Runtime's values and options, and the Go memory that is pinned
// while they point to it.
type call struct {
	c       *C.clary_call
	inputs  []C.clary_value // in C memory, as are outputs and dims
	outputs []C.clary_value
	dims    []int64
	order   []int
	pin     goruntime.Pinner
	cancel  canceller
}

func newCall(s *Session) (*call, error) {
	in, out := C.size_t(len(s.inputs)), C.size_t(len(s.outputs))
	names := unsafe.Slice(s.names, in+out)
	var status *C.OrtStatus
	c := C.clary_call_new(s.session, unsafe.SliceData(names), in, unsafe.SliceData(names[in:]), out, C.size_t(s.dims), &status)
	if c == nil {
		if err := take(status); err != nil {
			return nil, fmt.Errorf("onnx: run: %w", err)
		}
		return nil, fmt.Errorf("onnx: run: %w", runtime.ErrMemory)
	}
	live.Add(1)
	return &call{
		c:       c,
		inputs:  unsafe.Slice(c.inputs, in),
		outputs: unsafe.Slice(c.outputs, out),
		dims:    unsafe.Slice((*int64)(c.dims), s.dims),
		order:   make([]int, in),
		cancel:  newCanceller(func() { C.clary_terminate(c) }),
	}, nil
}

func (c *call) free() {
	live.Add(int64(c.c.live) - 1)
	C.clary_call_free(c.c)
}

// Run runs the model once; see runtime.Session. Inputs are matched by their
// names where they have one, else by their order, and checked before ONNX
// Runtime sees them. A cancelled ctx stops the run at its next operator.
func (s *Session) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("onnx: run: %w", context.Cause(ctx))
	}
	c, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.release(c)
	if err := c.set(s.inputs, in); err != nil {
		return nil, err
	}
	unwatch := c.cancel.watch(ctx)
	err = take(C.clary_run(c.c))
	stopped := c.cancel.join(unwatch)
	c.pin.Unpin()
	if stopped {
		take(C.clary_rearm(c.c))
	}
	if err != nil {
		if stopped {
			return nil, fmt.Errorf("onnx: run: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("onnx: run: %w", err)
	}
	defer C.clary_release(c.c)
	return c.get(s.outputs, out)
}

// set checks the inputs and points the call at them.
func (c *call) set(want []runtime.Info, in []runtime.Tensor) error {
	if err := match(want, in, c.order); err != nil {
		return err
	}
	for i := range want {
		if err := check(&want[i], &in[c.order[i]]); err != nil {
			return err
		}
	}
	dims := c.dims
	for i := range want {
		t, v := &in[c.order[i]], &c.inputs[i]
		v._type = C.uint(want[i].DType)
		v.rank = C.size_t(len(t.Shape))
		v.shape = (*C.int64_t)(unsafe.SliceData(dims))
		for j, d := range t.Shape {
			dims[j] = int64(d)
		}
		dims = dims[len(t.Shape):]
		if s, ok := t.Data.([]string); ok {
			c.setStrings(v, s)
			continue
		}
		b := runtime.Bytes(t.Data)
		v.bytes = C.size_t(len(b))
		c.point(v, unsafe.SliceData(b))
	}
	return nil
}

// point pins p and lets v's data be it.
func (c *call) point(v *C.clary_value, p *byte) {
	if p != nil {
		c.pin.Pin(p)
	}
	v.data = unsafe.Pointer(p)
}

func (c *call) setStrings(v *C.clary_value, s []string) {
	n := 0
	for i := range s {
		n += len(s[i])
	}
	text, lengths := make([]byte, 0, n), make([]C.size_t, len(s))
	for i := range s {
		text = append(text, s[i]...)
		lengths[i] = C.size_t(len(s[i]))
	}
	c.point(v, unsafe.SliceData(text))
	v.elements, v.lengths = C.size_t(len(s)), unsafe.SliceData(lengths)
	if len(lengths) > 0 {
		c.pin.Pin(v.lengths)
	}
}

// get copies the outputs into out where they fit, else into new slices.
func (c *call) get(want []runtime.Info, out []runtime.Tensor) ([]runtime.Tensor, error) {
	if cap(out) < len(want) {
		out = append(make([]runtime.Tensor, 0, len(want)), out...)
	}
	out = out[:len(want)]
	for i := range want {
		out[i].Name = want[i].Name
		if err := c.read(&c.outputs[i], &out[i]); err != nil {
			return nil, fmt.Errorf("onnx: run: output %q: %w", want[i].Name, err)
		}
	}
	return out, nil
}
