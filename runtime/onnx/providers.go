package onnx

// #include "shim.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// CUDA says how the CUDA provider works. The zero value of a field leaves it
// to ONNX Runtime, but where it says otherwise.
type CUDA struct {
	ConvSearch    string // how convolutions are chosen: heuristic (""), exhaustive, which makes the first run of a shape slow, or default
	ConvWorkspace *bool  // whether convolutions may take as much memory as the fastest of them wants
	TF32          *bool  // whether float32 is multiplied with 10 bits of mantissa
	CopyStream    *bool  // whether copies have a stream of their own beside the computation
	NHWC          *bool  // whether the channels go last
	Bind          *bool  // whether runs go through IO bindings; nil: they do
	// Graphs are the numbers of rows whose runs are recorded as CUDA graphs and
	// then replayed: at places of the GPU's memory that stay the same, one at a
	// time. They need a model that CUDA runs from end to end and whose shapes are
	// open in their first dimension at most; other numbers are run as ever. nil:
	// there are none.
	Graphs  []int
	Options map[string]string
}

// TensorRT says how the TensorRT provider works.
type TensorRT struct {
	FP16        *bool
	INT8        *bool
	Calibration string // the name of the calibration table for INT8, inside the folder of engines
	Workspace   int64  // bytes; 0: the model's part of the GPU, where it has one
	Engines     string // folder that built engines are kept in, each model's in one of its own; "": none are
	Timings     *bool  // whether what building has measured is kept there too
	Options     map[string]string
}

// OpenVINO says how the OpenVINO provider works.
type OpenVINO struct {
	Device    string // CPU ("") or what OpenVINO calls another
	Precision string // FP32, FP16 or ACCURACY
	Threads   int
	Cache     string // folder that compiled models are kept in; "": none are
	Options   map[string]string
}

// providerNames are our names of the providers, and ONNX Runtime's.
var providerNames = map[string]string{
	"cpu":      "CPUExecutionProvider",
	"cuda":     "CUDAExecutionProvider",
	"tensorrt": "TensorrtExecutionProvider",
	"openvino": "OpenVINOExecutionProvider",
}

// ErrProvider is wrapped by the error that a provider cannot be had.
var ErrProvider = errors.New("provider cannot be had")

// Providers lists the providers that the library was built with, by our names
// where they have one, else by ONNX Runtime's. Start must have been called.
func Providers() ([]string, error) {
	if Version() == "" {
		return nil, errors.New("onnx: Providers before Start")
	}
	var names **C.char
	var n C.int
	if err := take(C.clary_providers(&names, &n)); err != nil {
		return nil, fmt.Errorf("onnx: listing the providers: %w", err)
	}
	defer C.clary_providers_free(names, n)
	var list []string
	for _, name := range unsafe.Slice(names, n) {
		list = append(list, ourName(C.GoString(name)))
	}
	return list, nil
}

func ourName(name string) string {
	for ours, theirs := range providerNames {
		if theirs == name {
			return ours
		}
	}
	return name
}

// CheckCUDA loads the CUDA provider, which needs CUDA's own libraries and the
// driver's, and reports what is missing; the error wraps ErrProvider.
func CheckCUDA() error {
	return withHandlers(func() error {
		options, err := ort.NewCUDAProviderOptions()
		if err == nil {
			err = errors.Join(options.Update(map[string]string{"device_id": "0"}), options.Destroy())
		}
		if err != nil {
			return providerError("cuda", err)
		}
		return nil
	})
}

func providerError(name string, err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return fmt.Errorf("onnx: %s %w: %w", name, ErrProvider, &statusError{message: err.Error()})
}

// checkProviders refuses providers and options that mean nothing.
func (o Options) checkProviders() error {
	for i, name := range o.Providers {
		if _, ok := providerNames[name]; !ok {
			return fmt.Errorf("onnx: there is no provider %q; there are cpu, cuda, openvino and tensorrt", name)
		}
		if slices.Contains(o.Providers[:i], name) {
			return fmt.Errorf("onnx: provider %q is named twice", name)
		}
	}
	if !slices.Contains([]string{"", "heuristic", "exhaustive", "default"}, o.CUDA.ConvSearch) {
		return fmt.Errorf("onnx: CUDA.ConvSearch is %q, want heuristic, exhaustive or default", o.CUDA.ConvSearch)
	}
	if o.CUDA.Options["enable_cuda_graph"] == "1" {
		return errors.New("onnx: enable_cuda_graph is not an option to be given by itself: CUDA.Graphs sets it")
	}
	if o.CUDA.Graphs != nil && !o.binds(true) {
		return errors.New("onnx: CUDA.Graphs wants CUDA.Bind")
	}
	if o.CUDA.Graphs != nil && !slices.Equal(o.wanted(), []string{"cuda"}) && !o.bind {
		return fmt.Errorf("onnx: CUDA.Graphs wants the provider cuda alone, on a GPU, not %v on %v", o.wanted(), o.Device)
	}
	return nil
}

// wanted is the list of providers.
func (o Options) wanted() []string {
	if o.Providers == nil && o.Device.CUDA {
		return []string{"cuda"}
	}
	return o.Providers
}

// appendProviders adds the wanted providers to a session's options, and reports
// whether one of them runs on a GPU.
func (o Options) appendProviders(so *ort.SessionOptions) (gpu bool, err error) {
	var have []string
	for _, name := range o.wanted() {
		if name == "cpu" {
			break // ONNX Runtime's last resort: nothing comes behind it
		}
		if have == nil {
			if have, err = Providers(); err != nil {
				return false, err
			}
		}
		onGPU := name == "cuda" || name == "tensorrt"
		switch {
		case onGPU && !o.Device.CUDA:
			err = fmt.Errorf("onnx: %s %w: it runs on a GPU, and the model was given the CPU", name, ErrProvider)
		case slices.Contains(have, name):
			err = withHandlers(func() error { return o.appendProvider(so, name) })
		default:
			err = fmt.Errorf("onnx: %s %w: this ONNX Runtime library was built without it; it has %s", name, ErrProvider, strings.Join(have, ", "))
		}
		if err == nil {
			gpu = gpu || onGPU
			continue
		}
		if !o.Fallback {
			return false, err
		}
		if o.Fell != nil {
			o.Fell(name, err)
		}
	}
	return gpu, nil
}

func (o Options) appendProvider(so *ort.SessionOptions, name string) (err error) {
	switch name {
	case "cuda":
		var p *ort.CUDAProviderOptions
		if p, err = ort.NewCUDAProviderOptions(); err == nil {
			if err = p.Update(o.cudaOptions()); err == nil {
				err = so.AppendExecutionProviderCUDA(p)
			}
			err = errors.Join(err, p.Destroy())
		}
	case "tensorrt":
		if o.TensorRT.Engines != "" {
			if o.TensorRT.Engines, err = engines(o.TensorRT.Engines, o.graph, o.TensorRT.Calibration); err != nil {
				return fmt.Errorf("onnx: %w", err)
			}
		}
		var p *ort.TensorRTProviderOptions
		if p, err = ort.NewTensorRTProviderOptions(); err == nil {
			if err = p.Update(o.tensorRTOptions()); err == nil {
				err = so.AppendExecutionProviderTensorRT(p)
			}
			err = errors.Join(err, p.Destroy())
		}
	case "openvino":
		err = so.AppendExecutionProviderOpenVINO(o.openVINOOptions())
	}
	if err != nil {
		return providerError(name, err)
	}
	return nil
}

// A table is the options of a provider by ONNX Runtime's names.
type table map[string]string

func (t table) text(key, value string) {
	if value != "" {
		t[key] = value
	}
}

func (t table) number(key string, n int64) {
	if n != 0 {
		t[key] = strconv.FormatInt(n, 10)
	}
}

func (t table) truth(key string, b *bool) {
	if b != nil {
		t[key] = map[bool]string{true: "1", false: "0"}[*b]
	}
}

// add takes the options that were given by ONNX Runtime's names, which win.
func (t table) add(options map[string]string) map[string]string {
	for k, v := range options {
		t[k] = v
	}
	return t
}

func (o Options) cudaOptions() map[string]string {
	t := table{"device_id": strconv.Itoa(o.Device.Index)}
	if o.Device.Limit > 0 {
		t.number("gpu_mem_limit", o.Device.Limit)
		t["arena_extend_strategy"] = "kSameAsRequested" // not the next power of two, which a limit would cut
	}
	t["cudnn_conv_algo_search"] = strings.ToUpper(o.CUDA.ConvSearch)
	if o.CUDA.ConvSearch == "" {
		t["cudnn_conv_algo_search"] = "HEURISTIC"
	}
	t.truth("cudnn_conv_use_max_workspace", o.CUDA.ConvWorkspace)
	t.truth("use_tf32", o.CUDA.TF32)
	if o.CUDA.CopyStream != nil {
		same := !*o.CUDA.CopyStream
		t.truth("do_copy_in_default_stream", &same)
	}
	t.truth("prefer_nhwc", o.CUDA.NHWC)
	if o.CUDA.Graphs != nil {
		t["enable_cuda_graph"] = "1"
	}
	return t.add(o.CUDA.Options)
}

func (o Options) tensorRTOptions() map[string]string {
	t := table{"device_id": strconv.Itoa(o.Device.Index)}
	t.truth("trt_fp16_enable", o.TensorRT.FP16)
	t.truth("trt_int8_enable", o.TensorRT.INT8)
	t.text("trt_int8_calibration_table_name", o.TensorRT.Calibration)
	t.number("trt_max_workspace_size", cmp.Or(o.TensorRT.Workspace, o.Device.Limit)) // gpu_mem_limit is not TensorRT's
	if o.TensorRT.Engines != "" {
		t["trt_engine_cache_enable"], t["trt_engine_cache_path"] = "1", o.TensorRT.Engines
		if o.TensorRT.Timings == nil || *o.TensorRT.Timings {
			t["trt_timing_cache_enable"], t["trt_timing_cache_path"] = "1", o.TensorRT.Engines
		}
	}
	return t.add(o.TensorRT.Options)
}

func (o Options) openVINOOptions() map[string]string {
	t := table{"device_type": "CPU"}
	t.text("device_type", o.OpenVINO.Device)
	t.text("precision", o.OpenVINO.Precision)
	t.number("num_of_threads", int64(o.OpenVINO.Threads))
	t.text("cache_dir", o.OpenVINO.Cache)
	return t.add(o.OpenVINO.Options)
}
