package onnx

import (
	"testing"

	"github.com/claryhq/clary/runtime"
)

// TestCUDAErrors has messages as ONNX Runtime's CUDA provider forms them.
func TestCUDAErrors(t *testing.T) {
	const where = " ; GPU=0 ; hostname=h ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc ; line=1 ; expr=e; "
	for message, want := range map[string]error{
		"CUDA failure 2: out of memory" + where: runtime.ErrMemory,
		"Non-zero status code returned while running Conv node. Name:'c' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1073741824": runtime.ErrMemory,
		"/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:359 void* onnxruntime::BFCArena::AllocateRawInternal(size_t) Available memory of 1048576 is smaller than requested bytes of 4194304":                                                                                                        runtime.ErrMemory,
		"CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED" + where:                               runtime.ErrMemory,
		"CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED" + where:                            runtime.ErrMemory,
		"CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED" + where:   runtime.ErrMemory,
		"CUDA failure 700: an illegal memory access was encountered" + where:                 runtime.ErrDevice,
		"CUDA failure 719: unspecified launch failure" + where:                               runtime.ErrDevice,
		"CUDA failure 214: uncorrectable ECC error encountered" + where:                      runtime.ErrDevice,
		"CUDA failure 999: unknown error" + where:                                            runtime.ErrDevice,
		"CUDA failure 100: no CUDA-capable device is detected" + where:                       runtime.ErrDevice,
		"CUDA failure 1: invalid argument" + where:                                           nil,
		"CUDA failure 209: no kernel image is available for execution on the device" + where: nil,
		"CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED" + where:                             nil,
	} {
		if got := classify(1, message); got != want {
			t.Errorf("%s: %v, want %v", message, got, want)
		}
	}
}
