package onnx

// #include <stdlib.h>
// #include "forest.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/claryhq/clary/runtime"
)

// live counts the native objects that exist: sessions, calls, and values that
// a finished call has left behind.
var live atomic.Int64

// A Session is an opened ONNX file; it implements runtime.Session.
type Session struct {
	*signature
	session *C.OrtSession
	device  *C.clary_device // where bound runs have their memory; nil: they are not bound
	graphs  *graphs         // nil: there are none
	fresh   atomic.Bool     // no run on an accelerator has ended yet: the first loads more of its libraries

	mu      sync.Mutex // guards these
	running int
	closed  bool
	ended   chan struct{} // closed when closed and no longer running

	graph   *Graph
	binding *ort.DynamicAdvancedSession
	forests *C.clary_forests // NULL: it has none

	accelerated bool // a provider that runs on a GPU is among the session's
	index       int  // of that GPU
	forced      bool // its memory is the CPU's: see Options.bind
}

var _ runtime.Session = (*Session)(nil)

// Open opens the ONNX file at path: it reads the graph (see [Read]), cuts a
// ZipMap from its end, and creates one ONNX Runtime session. [Start] must
// have been called. A cancelled ctx stops the opening.
//
// An error wraps runtime.ErrModel when the file is to blame, which it names,
// runtime.ErrMemory, or ctx's cause.
func Open(ctx context.Context, path string, o Options) (*Session, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("onnx: opening %s: %w", path, context.Cause(ctx))
	}
	if err := enter(); err != nil {
		return nil, err
	}
	s, err := open(ctx, path, o)
	if err != nil {
		leave()
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, path string, o Options) (*Session, error) {
	g, err := read(path, o.Root)
	if err != nil {
		return nil, modelError(path, err)
	}
	if o.unedited {
		for _, c := range g.cuts {
			g.Outputs[c.output] = c.declared
		}
		g.cuts, g.forests = nil, nil
	}
	s := &Session{graph: g, ended: make(chan struct{})}
	if err := servable(g.Inputs, g.Outputs); err != nil {
		return nil, modelError(path, err)
	}
	if o.CUDA.Graphs != nil {
		if err := graphable(g.Inputs); err != nil {
			return nil, fmt.Errorf("onnx: opening %s: %w", path, err)
		}
	}
	if err := s.create(ctx, o); err != nil {
		C.clary_forests_free(s.forests)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("onnx: opening %s: %w", path, context.Cause(ctx))
		case errors.Is(err, runtime.ErrMemory):
			return nil, fmt.Errorf("onnx: opening %s: %w: %w", path, runtime.ErrMemory, err)
		case errors.Is(err, runtime.ErrDevice):
			return nil, fmt.Errorf("onnx: opening %s: %w: %w", path, runtime.ErrDevice, err)
		}
		return nil, modelError(path, err)
	}
	s.signature = signatureOf(g.Inputs, g.Outputs, s.device == nil && o.CUDA.Graphs == nil)
	g.Inputs, g.Outputs = s.inputs, s.outputs
	live.Add(1)
	if o.CUDA.Graphs != nil {
		s.graphs = newGraphs(s, o.CUDA.Graphs)
	}
	return s, nil
}

// create makes the ONNX Runtime session, from the file or, where something was
// cut, from the edited graph.
func (s *Session) create(ctx context.Context, o Options) error {
	edition, err := s.graph.edit(ctx)
	if err != nil {
		return err
	}
	defer edition.free()
	folder := ""
	if edition.image != nil {
		folder = filepath.Dir(s.graph.path)
	}
	o.graph = s.graph
	options, gpu, err := o.build(folder, s.graph.planned())
	if err != nil {
		return err
	}
	defer options.Destroy()
	native, _ := pointers(options, nil)
	if err := s.plant(edition.trees, native); err != nil {
		return err
	}
	cancel := newCanceller(func() { take(C.clary_cancel_load(native)) })
	cancel.watch(ctx)
	defer cancel.join()
	load := func() (err error) {
		s.binding, err = ort.NewDynamicAdvancedSession(s.graph.path, nil, nil, options)
		return err
	}
	if edition.image != nil {
		load = func() (err error) {
			s.binding, err = ort.NewDynamicAdvancedSessionWithONNXData(edition.image, nil, nil, options)
			return err
		}
	}
	if s.fresh.Store(len(o.wanted()) > 0); s.fresh.Load() {
		err = withHandlers(load)
	} else {
		err = load()
	}
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // ONNX Runtime's message, without the binding's
		}
		return &statusError{message: err.Error()}
	}
	_, s.session = pointers(nil, s.binding)
	s.accelerated, s.index, s.forced = gpu || o.bind, o.Device.Index, o.bind
	if err = s.agree(); err == nil && o.binds(gpu) {
		err = withHandlers(func() error { return s.bind(o) })
	}
	if err != nil {
		s.binding.Destroy()
	}
	return err
}

// plant gives the session that native makes the forests that it refers to.
func (s *Session) plant(all []*trees, native *C.OrtSessionOptions) error {
	if len(all) == 0 {
		return nil
	}
	if s.forests = C.clary_forests_new(C.size_t(len(all))); s.forests == nil {
		return runtime.ErrMemory
	}
	for i, t := range all {
		if err := t.native(s.forests, i); err != nil {
			return err
		}
	}
	return take(C.clary_forests_offer(s.forests, native))
}

// agree checks that ONNX Runtime sees as many inputs and outputs as we do.
func (s *Session) agree() error {
	var inputs, outputs C.size_t
	err := take(C.clary_counts(s.session, &inputs, &outputs))
	if err == nil && (int(inputs) != len(s.graph.Inputs) || int(outputs) != len(s.graph.Outputs)) {
		err = fmt.Errorf("it declares %d inputs and %d outputs, ONNX Runtime finds %d and %d",
			len(s.graph.Inputs), len(s.graph.Outputs), inputs, outputs)
	}
	return err
}

// Inputs describes what Run takes. It must not be changed.
func (s *Session) Inputs() []runtime.Info { return s.inputs }

// Outputs describes what Run returns. It must not be changed.
func (s *Session) Outputs() []runtime.Info { return s.outputs }

// Graph returns what the file says about itself.
func (s *Session) Graph() *Graph { return s.graph }

// Close refuses further runs, waits for those in flight, frees the model and
// returns its memory to the system. A second Close does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ended
		return nil
	}
	s.closed = true
	if s.running == 0 {
		close(s.ended)
	}
	s.mu.Unlock()
	<-s.ended

	if s.graphs != nil {
		s.graphs.close()
	}
	s.leave()
	if s.device != nil {
		C.clary_device_free(s.device)
		live.Add(-1)
	}
	err := s.binding.Destroy()
	C.clary_forests_free(s.forests)
	live.Add(-1)
	leave()
	Trim()
	return err
}

// acquire returns a call to run these inputs with; release takes it back.
func (s *Session) acquire(in []runtime.Tensor) (*call, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, runtime.ErrClosed
	}
	s.running++
	s.mu.Unlock()
	if c := s.idleCall(in); c != nil {
		c.c.session = s.session
		return c, nil
	}
	c, err := newCall(s)
	if err != nil {
		s.release(nil)
	}
	return c, err
}

func (s *Session) release(c *call) {
	if c != nil {
		s.keep(c)
	}
	s.mu.Lock()
	if s.running--; s.closed && s.running == 0 {
		close(s.ended)
	}
	s.mu.Unlock()
}
