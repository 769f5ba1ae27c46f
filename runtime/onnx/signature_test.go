package onnx

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// alike are models of one signature: y is x doubled, x beside itself, x turned
// over, and those rows of it that are positive.
func alike(t *testing.T) []*Session {
	t.Helper()
	axis := intAttribute("axis", 1)
	var sessions []*Session
	for _, nodes := range [][][]byte{
		messages(op("", "Add", names("x", "x"), names("y"))),
		messages(op("", "Concat", names("x", "x"), names("y"), axis)),
		messages(op("", "Transpose", names("x"), names("y"))),
		messages(op("", "ReduceMax", names("x", "last"), names("most"), intAttribute("keepdims", 0)),
			op("", "Greater", names("most", "zero"), names("which")),
			op("", "Compress", names("x", "which"), names("y"), intAttribute("axis", 0))),
	} {
		g := graphSpec{nodes: nodes, inputs: messages(info("x", runtime.Float32, nil, nil)), outputs: messages(info("y", runtime.Float32, nil, nil)),
			initializers: messages(weights("last", []int64{1}, 1), weights("zero", []float32{0}))}
		sessions = append(sessions, opened(t, g, Options{}))
	}
	return sessions
}

// answer is what model i of alike says to x.
func answer(i int, x runtime.Tensor) runtime.Tensor {
	rows, cols := x.Shape[0], x.Shape[1]
	in := x.Data.([]float32)
	y := runtime.Tensor{Name: "y", Shape: []int{rows, cols}}
	out := []float32{}
	switch i {
	case 0:
		for _, v := range in {
			out = append(out, v+v)
		}
	case 1:
		y.Shape[1] = 2 * cols
		for r := range rows {
			out = append(append(out, in[r*cols:(r+1)*cols]...), in[r*cols:(r+1)*cols]...)
		}
	case 2:
		y.Shape = []int{cols, rows}
		for c := range cols {
			for r := range rows {
				out = append(out, in[r*cols+c])
			}
		}
	case 3:
		y.Shape[0] = 0
		for r := range rows {
			if row := in[r*cols : (r+1)*cols]; slices.Max(row) > 0 {
				out = append(out, row...)
				y.Shape[0]++
			}
		}
	}
	y.Data = out
	return y
}

// Sessions of one signature take each other's calls, with the values that an
// earlier run of another model has left there.
func TestAlikeSessionsShareTheirCalls(t *testing.T) {
	sessions := alike(t)
	for _, s := range sessions[1:] {
		if s.signature != sessions[0].signature {
			t.Fatal("models whose inputs and outputs look the same have different signatures")
		}
	}
	other := opened(t, identity(runtime.Float32, nil, 3), Options{})
	if other.signature == sessions[0].signature {
		t.Fatal("models whose inputs differ in a dimension share a signature")
	}
	var all sync.WaitGroup
	for seed := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			var out []runtime.Tensor
			for range 2000 {
				rows, cols := 1+r.IntN(4), 1+r.IntN(3)
				x := tensor(make([]float32, rows*cols), rows, cols)
				for i := range x.Data.([]float32) {
					x.Data.([]float32)[i] = r.Float32() - 0.6
				}
				model := r.IntN(len(sessions))
				var err error
				if out, err = sessions[model].Run(t.Context(), []runtime.Tensor{x}, out); err != nil {
					t.Error(err)
					return
				}
				if err := differ(out[0], answer(model, x), 0); err != nil {
					t.Errorf("model %d: %v", model, err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := len(sessions[0].idle); n > spares+4 {
		t.Errorf("%d calls are kept, of which 4 were in use at the same time", n)
	}
}

// A shape that comes again finds the call that ran it last, whatever ran since.
func TestACallIsFoundByItsShapes(t *testing.T) {
	s := opened(t, identity(runtime.Float32, nil, 2), Options{})
	rows := func(n int) []runtime.Tensor { return []runtime.Tensor{tensor(make([]float32, 2*n), n, 2)} }
	used := map[int]*call{}
	for n := 1; n <= spares; n++ {
		run1(t, s, rows(n)...)
		used[n] = s.idle[len(s.idle)-1]
	}
	for n := 1; n <= spares; n++ {
		run1(t, s, rows(n)...)
		if s.idle[len(s.idle)-1] != used[n] {
			t.Errorf("%d rows were not run by the call that had run %d rows", n, n)
		}
	}
	run1(t, s, rows(spares+1)...) // takes the place of the one that waits longest
	if len(s.idle) != spares || s.idle[spares-1] != used[1] {
		t.Errorf("%d calls are kept, want %d", len(s.idle), spares)
	}
}

func TestASignatureGoesWithItsLastSession(t *testing.T) {
	sessions := alike(t)
	key := sessions[0].key
	there := func() bool {
		signatures.mu.Lock()
		defer signatures.mu.Unlock()
		return signatures.all[key] != nil
	}
	for i, s := range sessions {
		if !there() {
			t.Fatalf("the signature is gone before session %d", i)
		}
		run1(t, s, tensor([]float32{1, 2}, 1, 2))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if there() {
		t.Error("the signature is still there")
	}
}
