package onnx

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"

	"github.com/claryhq/clary/runtime"
	ort "github.com/yalue/onnxruntime_go"
)

// Options say how a model is opened. The zero value is right for many small
// models on few cores.
type Options struct {
	// IntraOp and InterOp are the threads within an operator and across
	// operators; 0 is 1. More than one InterOp runs independent operators at
	// once. They are always set, which also keeps ONNX Runtime from binding
	// threads to cores that a container may not use.
	IntraOp, InterOp int
	// Spin lets idle threads of the pools spin instead of sleep.
	Spin bool
	// Optimize is the graph optimisation level: "off", "basic", "extended" or
	// "all"; "" is "all".
	Optimize string
	// Root is the folder that external data must stay inside; "" is the
	// model's own. ONNX Runtime itself refuses data outside the latter.
	Root string
	// Config holds further session configuration entries
	// (onnxruntime_session_options_config_keys.h), which win over those that
	// the other fields set.
	Config map[string]string

	// Device is where the model runs; Providers are what runs it there, the
	// most wanted first, each taking what it can and leaving the rest to those
	// behind it and to the CPU. nil is "cuda" on a GPU. One that cannot be had
	// is an error, unless Fallback is set: then Fell is told, and it is left out.
	Device    runtime.Device
	Providers []string
	Fallback  bool
	Fell      func(provider string, why error) // nil: nobody is told
	CUDA      CUDA
	TensorRT  TensorRT
	OpenVINO  OpenVINO

	graph    *Graph // what is opened; Open sets it
	unedited bool   // opens the file as it is: the judge of the tests
	bind     bool   // binds as on a GPU, whose memory is the CPU's: for tests without one
}

var levels = map[string]ort.GraphOptimizationLevel{
	"":         ort.GraphOptimizationLevelEnableAll,
	"all":      ort.GraphOptimizationLevelEnableAll,
	"extended": ort.GraphOptimizationLevelEnableExtended,
	"basic":    ort.GraphOptimizationLevelEnableBasic,
	"off":      ort.GraphOptimizationLevelDisableAll,
}

// check refuses options that mean nothing.
func (o Options) check() error {
	if _, ok := levels[o.Optimize]; !ok {
		return fmt.Errorf("onnx: Optimize is %q, want off, basic, extended or all", o.Optimize)
	}
	if o.IntraOp < 0 || o.InterOp < 0 {
		return fmt.Errorf("onnx: IntraOp %d and InterOp %d must not be negative", o.IntraOp, o.InterOp)
	}
	return o.checkProviders()
}

// build makes the binding's options; the caller destroys them. folder is
// where a model opened from memory finds its external data. patterns lets ONNX
// Runtime plan a run's memory once for each combination of input shapes.
// gpu reports whether a provider that runs on a GPU is among them.
func (o Options) build(folder string, patterns bool) (so *ort.SessionOptions, gpu bool, err error) {
	if so, err = ort.NewSessionOptions(); err != nil {
		return nil, false, err
	}
	mode := ort.ExecutionMode(ort.ExecutionModeSequential)
	if o.InterOp > 1 {
		mode = ort.ExecutionModeParallel
	}
	errs := []error{
		so.SetIntraOpNumThreads(max(o.IntraOp, 1)),
		so.SetInterOpNumThreads(max(o.InterOp, 1)),
		so.SetExecutionMode(mode),
		so.SetGraphOptimizationLevel(levels[o.Optimize]),
		so.SetMemPattern(patterns),
	}
	spin := "0"
	if o.Spin {
		spin = "1"
	}
	gpu, err = o.appendProviders(so)
	errs = append(errs, err)
	entries := map[string]string{
		"session.intra_op.allow_spinning": spin,
		"session.inter_op.allow_spinning": spin,
	}
	if o.Device.CUDA {
		// Weights outside the arena: closing the model gives them back.
		entries["session.use_device_allocator_for_initializers"] = "1"
	}
	if folder != "" {
		entries["session.model_external_initializers_file_folder_path"] = folder
	}
	for k, v := range o.Config {
		entries[k] = v
	}
	for k, v := range entries {
		errs = append(errs, so.AddSessionConfigEntry(k, v))
	}
	if err := errors.Join(errs...); err != nil {
		so.Destroy()
		return nil, false, err
	}
	return so, gpu, nil
}
