package networks_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// TestBatch runs two images together and each alone in ONNX Runtime: the
// batch dimension is open all the way, and one thread gives the same bits.
func TestBatch(t *testing.T) {
	start(t)
	for _, n := range []networks.Network{networks.SqueezeNet, networks.ResNet50} {
		t.Run(n.Name, func(t *testing.T) {
			s := open(t, n, networks.Options{})
			const pixels = 3 * 224 * 224
			data := make([]float32, 2*pixels)
			for i := range data {
				data[i] = float32(i%pixels)/pixels + float32(i/pixels)
			}
			both := run(t, s, data, 2)
			if len(both) != 2000 {
				t.Fatalf("2 images give %d numbers, want 2000", len(both))
			}
			for i := range 2 {
				alone := run(t, s, data[i*pixels:(i+1)*pixels], 1)
				sum := float32(0)
				for j, v := range alone {
					if v != both[i*1000+j] {
						t.Fatalf("image %d, class %d: alone %v, in a batch %v", i, j, v, both[i*1000+j])
					}
					if v > 0.5 {
						t.Errorf("image %d, class %d: the softmax is saturated: %v", i, j, v)
					}
					sum += v
				}
				if sum < 0.999 || sum > 1.001 {
					t.Errorf("image %d: the probabilities add up to %v", i, sum)
				}
			}
		})
	}
}

// TestFloat16 opens one in float16; a CPU computes it in float32.
func TestFloat16(t *testing.T) {
	start(t)
	s := open(t, networks.SqueezeNet, networks.Options{Float16: true})
	if got := s.Inputs()[0].DType; got != runtime.Float16 {
		t.Errorf("the input is %v, want float16", got)
	}
	out, err := s.Run(context.Background(), []runtime.Tensor{{Shape: []int{1, 3, 224, 224}, Data: make([]runtime.F16, 3*224*224)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := out[0].DType(); d != runtime.Float16 {
		t.Errorf("the output is %v, want float16", d)
	}
}

// TestMake writes once, and the same bytes for the same options.
func TestMake(t *testing.T) {
	read := func(o networks.Options) []byte {
		dir, err := networks.SqueezeNet.Make(t.TempDir(), o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := read(networks.Options{Seed: 1})
	if string(a) != string(read(networks.Options{Seed: 1})) {
		t.Error("the same options give other bytes")
	}
	if string(a) == string(read(networks.Options{Seed: 2})) {
		t.Error("another seed gives the same bytes")
	}
	if len(a) < 4_900_000 || len(a) > 5_000_000 {
		t.Errorf("SqueezeNet has %d bytes, want its 1.2 million weights", len(a))
	}
}

func start(t *testing.T) {
	t.Helper()
	path := os.Getenv("ORT_DYLIB_PATH")
	if path == "" {
		path = "../../bin/libonnxruntime.so.1"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Start(path); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, n networks.Network, o networks.Options) *onnx.Session {
	t.Helper()
	dir, err := n.Make(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.Open(context.Background(), filepath.Join(dir, "model.onnx"), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func run(t *testing.T, s *onnx.Session, data []float32, n int) []float32 {
	t.Helper()
	out, err := s.Run(context.Background(), []runtime.Tensor{{Shape: []int{n, 3, 224, 224}, Data: data}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Data.([]float32)
}
