package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
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
	dims    [][]int64 // room for each input's shape
	order   []int
	pin     goruntime.Pinner
	kept    bool // values of the last run are there for the next
	fixed   bool // its shapes are always the same
	cancel  *canceller
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
	inputs := unsafe.Slice(c.inputs, in)
	dims := make([][]int64, in)
	room := unsafe.Slice((*int64)(c.dims), s.dims)
	for i := range s.inputs {
		n := rankRoom(&s.inputs[i])
		dims[i], room = room[:n:n], room[n:]
		inputs[i]._type = C.uint(s.inputs[i].DType)
	}
	outputs := unsafe.Slice(c.outputs, out)
	for i := range outputs {
		outputs[i].passed = C.bool(index(s.inputs, s.outputs[i].Name) >= 0)
	}
	made := &call{
		c:       c,
		inputs:  inputs,
		outputs: outputs,
		dims:    dims,
		order:   make([]int, in),
		cancel:  newCanceller(func() { C.clary_terminate(c) }),
	}
	if s.device != nil {
		if err := take(C.clary_bind(c, s.device)); err != nil {
			made.free()
			return nil, fmt.Errorf("onnx: run: %w", err)
		}
	}
	if s.graphs != nil {
		if err := made.graph(0); err != nil {
			made.free()
			return nil, fmt.Errorf("onnx: run: %w", err)
		}
	}
	return made, nil
}

// rankRoom is how many dimensions an input can have.
func rankRoom(in *runtime.Info) int {
	if in.Unranked {
		return maxRank
	}
	return len(in.Shape)
}

func (c *call) free() {
	c.forget()
	live.Add(int64(c.c.live) - 1)
	C.clary_call_free(c.c)
}

// Run runs the model once; see runtime.Session. Inputs are matched by their
// names where they have one, else by their order, and checked before ONNX
// Runtime sees them. A cancelled ctx stops a run that has lasted for two glances,
// 40 ms at most, at its next operator; a shorter one ends by itself.
func (s *Session) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("onnx: run: %w", context.Cause(ctx))
	}
	c, err := s.acquire(in)
	if err != nil {
		return nil, err
	}
	defer s.release(c)
	if s.graphs != nil {
		return s.graphs.run(ctx, c, in, out)
	}
	return s.run(ctx, c, in, out)
}

// run is Run with a call that is the caller's.
func (s *Session) run(ctx context.Context, c *call, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	if err := c.set(s.inputs, in); err != nil {
		return nil, err
	}
	c.cancel.watch(ctx)
	err := s.execute(c)
	if s.device != nil && errors.Is(err, runtime.ErrMemory) {
		err = s.executeAgain(c, err)
	}
	stopped := c.cancel.join()
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
	out, err = c.get(s.outputs, out)
	c.finish()
	return out, err
}

// execute runs what was set.
func (s *Session) execute(c *call) error {
	if s.graphs != nil {
		return s.graphs.execute(c)
	}
	return s.executeHere(c)
}

// executeHere runs on the caller's thread. The first run on a GPU loads more of
// CUDA.
func (s *Session) executeHere(c *call) (err error) {
	if s.fresh.Load() {
		err = withHandlers(func() error { return take(C.clary_run(c.c)) })
		s.fresh.Store(err != nil)
		return err
	}
	return take(C.clary_run(c.c))
}

// finish releases the outputs that are not kept, and has small ones kept where
// shapes repeat.
func (c *call) finish() {
	for i := range c.outputs {
		if !c.outputs[i].own {
			c.kept = c.kept || bool(c.c.keep)
			C.clary_release(c.c)
			return
		}
	}
}

func (c *call) forget() {
	if c.kept {
		C.clary_forget(c.c)
		c.kept = false
	}
}

// set checks the inputs and hands them to the call.
func (c *call) set(want []runtime.Info, in []runtime.Tensor) error {
	if err := match(want, in, c.order); err != nil {
		return err
	}
	same := true
	for i := range want {
		t := &in[c.order[i]]
		if err := check(&want[i], t); err != nil {
			return err
		}
		same = same && c.hasShape(i, t.Shape) && textLen(t) <= C.clary_small // a kept string keeps its room
	}
	if !same {
		c.forget()
	}
	c.c.keep = C.bool(same || c.fixed)
	for i := range want {
		if err := c.setInput(i, &in[c.order[i]]); err != nil {
			return fmt.Errorf("onnx: run: input %q: %w", want[i].Name, err)
		}
	}
	return nil
}

// hasShape reports whether input i had that shape in the last run.
func (c *call) hasShape(i int, shape []int) bool {
	if int(c.inputs[i].rank) != len(shape) {
		return false
	}
	for j, d := range shape {
		if c.dims[i][j] != int64(d) {
			return false
		}
	}
	return true
}

// suits reports whether the last run had inputs of these shapes, in this order.
func (c *call) suits(in []runtime.Tensor) bool {
	if len(in) != len(c.inputs) {
		return false
	}
	for i := range in {
		if !c.hasShape(i, in[i].Shape) {
			return false
		}
	}
	return true
}

// textLen returns the bytes of a string tensor's elements, 0 for another.
func textLen(t *runtime.Tensor) (n int) {
	s, _ := t.Data.([]string)
	for i := range s {
		n += len(s[i])
	}
	return n
}

func (c *call) setInput(i int, t *runtime.Tensor) error {
	v := &c.inputs[i]
	v.rank = C.size_t(len(t.Shape))
	for j, d := range t.Shape {
		c.dims[i][j] = int64(d)
	}
	if !v.own {
		v.shape = (*C.int64_t)(unsafe.SliceData(c.dims[i]))
	}
	if s, ok := t.Data.([]string); ok {
		c.setStrings(v, s, textLen(t))
		return nil
	}
	b := runtime.Bytes(t.Data)
	if c.c.device != nil && int(v.room) <= len(b) {
		if err := take(C.clary_room(c.c, v, C.size_t(len(b)))); err != nil {
			return err
		}
	}
	v.bytes = C.size_t(len(b))
	if v.own || c.c.device != nil {
		copy(unsafe.Slice((*byte)(v.data), len(b)), b)
		return nil
	}
	c.point(v, unsafe.SliceData(b))
	return nil
}

// point pins p and lets v's data be it.
func (c *call) point(v *C.clary_value, p *byte) {
	if p != nil {
		c.pin.Pin(p)
	}
	store(unsafe.Pointer(&v.data), unsafe.Pointer(p))
}

// store writes a pinned pointer into C's memory as a number. Written as a
// pointer, the one of an earlier run that it replaces would meet Go's write
// barrier, which ends the process where that memory has been collected since.
func store(at, p unsafe.Pointer) { *(*uintptr)(at) = uintptr(p) }

// setStrings lays strings of n bytes end to end, for C to copy.
func (c *call) setStrings(v *C.clary_value, s []string, n int) {
	text, lengths := make([]byte, 0, n), make([]C.size_t, len(s))
	for i := range s {
		text = append(text, s[i]...)
		lengths[i] = C.size_t(len(s[i]))
	}
	c.point(v, unsafe.SliceData(text))
	v.bytes = C.size_t(n)
	first := unsafe.SliceData(lengths)
	c.pin.Pin(first)
	v.elements = C.size_t(len(s))
	store(unsafe.Pointer(&v.lengths), unsafe.Pointer(first))
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
