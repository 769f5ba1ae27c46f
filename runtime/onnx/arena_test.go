package onnx

import (
	"testing"

	"github.com/claryhq/clary/runtime"
)

// TestAnArenaIsCounted: what runs make it grow to, until it is closed.
func TestAnArenaIsCounted(t *testing.T) {
	s := opened(t, positives(runtime.Float32, []float32{0}), Options{bind: true})
	run1(t, s, tensor(make([]float32, 16), 16))
	small := s.Arena()
	run1(t, s, tensor(make([]float32, 16<<20), 16<<20))
	if large := s.Arena(); small <= 0 || large < small+64<<20 {
		t.Errorf("%d bytes after a small run, %d after a large one", small, large)
	}
	if err := s.Close(); err != nil || s.Arena() != 0 {
		t.Errorf("%d bytes after Close, %v", s.Arena(), err)
	}
	if n := opened(t, identity(runtime.Float32, "n"), Options{}).Arena(); n != 0 {
		t.Errorf("%d bytes of a GPU on the CPU", n)
	}
}
