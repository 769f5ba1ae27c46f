package onnx

// #include "driver.h"
import "C"

import "fmt"

// A Context is CUDA's on one GPU, the one that ONNX Runtime uses too: whoever
// makes it first pays for it, in memory and time.
type Context struct{ gpu *C.clary_gpu }

// HoldContext makes the context on a GPU, or keeps the one that is there, until
// Close.
func HoldContext(index int) (*Context, error) {
	c := &Context{}
	err := withHandlers(func() error {
		switch r := C.clary_gpu_open(C.int(index), &c.gpu); {
		case r < 0:
			return fmt.Errorf("onnx: the driver's library libcuda.so.1 cannot be loaded")
		case r > 0:
			return fmt.Errorf("onnx: CUDA failure %d: making a context on cuda:%d", r, index)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close lets the context go once nobody else has it.
func (c *Context) Close() { C.clary_gpu_close(c.gpu) }
