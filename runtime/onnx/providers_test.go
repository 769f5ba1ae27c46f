package onnx

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

func TestProviderOptions(t *testing.T) {
	yes, no := true, false
	gpu := runtime.Device{CUDA: true, Index: 1}
	limited := runtime.Device{CUDA: true, Index: 0, Limit: 1 << 30}
	cuda, trt, vino := Options.cudaOptions, Options.tensorRTOptions, Options.openVINOOptions
	for _, test := range []struct {
		of   func(Options) map[string]string
		o    Options
		want map[string]string
	}{
		{cuda, Options{Device: gpu}, map[string]string{"device_id": "1", "cudnn_conv_algo_search": "HEURISTIC"}},
		{cuda, Options{Device: limited}, map[string]string{"device_id": "0", "cudnn_conv_algo_search": "HEURISTIC",
			"gpu_mem_limit": "1073741824", "arena_extend_strategy": "kSameAsRequested"}},
		{cuda, Options{CUDA: CUDA{ConvSearch: "exhaustive", ConvWorkspace: &no, TF32: &no, CopyStream: &yes, NHWC: &yes, Options: map[string]string{"device_id": "3"}}},
			map[string]string{"device_id": "3", "cudnn_conv_algo_search": "EXHAUSTIVE", "cudnn_conv_use_max_workspace": "0", "use_tf32": "0",
				"do_copy_in_default_stream": "0", "prefer_nhwc": "1"}},
		{trt, Options{Device: gpu}, map[string]string{"device_id": "1"}},
		{trt, Options{Device: limited}, map[string]string{"device_id": "0", "trt_max_workspace_size": "1073741824"}},
		{trt, Options{TensorRT: TensorRT{FP16: &yes, INT8: &yes, Calibration: "c", Workspace: 5, Engines: "/e"}},
			map[string]string{"device_id": "0", "trt_fp16_enable": "1", "trt_int8_enable": "1", "trt_int8_calibration_table_name": "c",
				"trt_max_workspace_size": "5", "trt_engine_cache_enable": "1", "trt_engine_cache_path": "/e",
				"trt_timing_cache_enable": "1", "trt_timing_cache_path": "/e"}},
		{trt, Options{TensorRT: TensorRT{Engines: "/e", Timings: &no, Options: map[string]string{"trt_x": "y"}}},
			map[string]string{"device_id": "0", "trt_engine_cache_enable": "1", "trt_engine_cache_path": "/e", "trt_x": "y"}},
		{vino, Options{}, map[string]string{"device_type": "CPU"}},
		{vino, Options{OpenVINO: OpenVINO{Device: "NPU", Precision: "FP16", Threads: 2, Cache: "/c"}},
			map[string]string{"device_type": "NPU", "precision": "FP16", "num_of_threads": "2", "cache_dir": "/c"}},
	} {
		if got := test.of(test.o); !maps.Equal(got, test.want) {
			t.Errorf("%+v: %v, want %v", test.o, got, test.want)
		}
	}
}

func TestProviders(t *testing.T) {
	have, err := Providers()
	if err != nil || !slices.Contains(have, "cpu") {
		t.Fatalf("%v, %v", have, err)
	}
	const model = "../../testdata/models/iris/model.onnx"
	const missing = "openvino" // no library that make lib fetches has it
	_, err = Open(context.Background(), model, Options{Providers: []string{missing}})
	if err == nil || !errors.Is(err, ErrProvider) || !strings.Contains(err.Error(), "built without it") {
		t.Errorf("%v", err)
	}
	var fell []string
	o := Options{Providers: []string{"tensorrt", missing, "cpu"}, Fallback: true, Fell: func(name string, why error) {
		if !errors.Is(why, ErrProvider) {
			t.Error(why)
		}
		fell = append(fell, name)
	}}
	s, err := Open(context.Background(), model, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(fell, []string{"tensorrt", missing}) {
		t.Errorf("fell back from %v", fell)
	}
	for _, o := range []Options{
		{Providers: []string{"rocm"}},
		{Providers: []string{"cpu", "cpu"}},
		{CUDA: CUDA{ConvSearch: "fast"}},
		{CUDA: CUDA{Options: map[string]string{"enable_cuda_graph": "1"}}},
	} {
		if _, err := Open(context.Background(), model, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
