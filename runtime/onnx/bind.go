package onnx

// #include "shim.h"
import "C"

import (
	"errors"

	"github.com/claryhq/clary/runtime"
)

// bind lets the session's runs go through IO bindings, as it does where its
// inputs or outputs are on a GPU: one copy each way, from pinned memory and
// into it. What a binding cannot carry runs the ordinary way, strings and
// sequences, and so does a model whose ends are all on the CPU.
func (s *Session) bind(o Options) error {
	in, out := s.graph.Inputs, s.graph.Outputs
	if bindable(in) && bindable(out) {
		s.device = C.clary_device_new(s.session, C.size_t(len(in)), C.size_t(len(out)), C.int(o.Device.Index), C.bool(o.bind))
	}
	switch {
	case s.device != nil:
		live.Add(1)
	case o.CUDA.Graphs != nil:
		return errors.New("CUDA graphs want numeric inputs and outputs, on a GPU whose driver is there (libcuda.so.1)")
	}
	return nil
}

// binds reports whether a session is bound, which is on a GPU or not.
func (o Options) binds(gpu bool) bool { return o.bind || gpu && (o.CUDA.Bind == nil || *o.CUDA.Bind) }

func bindable(infos []runtime.Info) bool {
	for i := range infos {
		if infos[i].Kind != runtime.KindTensor || infos[i].DType == runtime.String {
			return false
		}
	}
	return true
}

// Bound reports whether the session's runs go through IO bindings.
func (s *Session) Bound() bool { return s.device != nil }

// executeAgain runs c once more without what idle calls keep on the GPU, if that
// is anything, after it failed for want of memory there.
func (s *Session) executeAgain(c *call, err error) error {
	if s.spare() {
		err = s.execute(c)
	}
	if err != nil && !c.fixed {
		C.clary_spare(c.c)
	}
	return err
}

// spare gives up what idle calls keep on the GPU.
func (s *Session) spare() (any bool) {
	s.signature.mu.Lock()
	defer s.signature.mu.Unlock()
	for _, c := range s.idle {
		any = bool(C.clary_spare(c.c)) || any
	}
	return any
}
