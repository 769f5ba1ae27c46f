package onnx

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// rounds is how often TestNothingLeaks opens each model: 200 times in full
// (CLARY_SOAK=1), else a twentieth of it.
func rounds() int {
	if os.Getenv("CLARY_SOAK") == "1" {
		return 200
	}
	return 10
}

// resident returns the bytes of the process that are in memory when idle.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	Trim()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("resident memory cannot be read here: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestNothingLeaks(t *testing.T) {
	n := rounds()
	eachModel(t, func(t *testing.T, path string, e expectation) {
		var in []runtime.Tensor
		for _, j := range e.Cases[0].Inputs {
			in = append(in, j.tensor(t))
		}
		before, early := live.Load(), int64(0)
		for i := range n {
			s, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				run1(t, s, in...)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := live.Load(); got != before {
				t.Fatalf("round %d left %d native objects", i, got-before)
			}
			if i+1 == n/10 {
				early = resident(t)
			}
		}
		late := resident(t)
		t.Logf("%d rounds: %.1f MB after %d, %.1f MB at the end", n, float64(early)/1e6, n/10, float64(late)/1e6)
		if late > early+early/10+4<<20 {
			t.Errorf("resident memory grew from %d to %d bytes in %d rounds", early, late, n)
		}
	})
}

// TestManyRunsLeaveNothing varies shapes, sizes above and below what a call
// keeps, outputs whose shape depends on the data, and errors.
func TestManyRunsLeaveNothing(t *testing.T) {
	g := positives(runtime.Float32, []float32{0})
	g.inputs = messages(info("x", runtime.Float32, "rows", "columns"))
	s := opened(t, g, Options{})
	run := func(i int) {
		data := make([]float32, 2+2*(i%20_000))
		for j := range data {
			data[j] = float32(i%7) - 3
		}
		out, err := s.Run(t.Context(), []runtime.Tensor{tensor(data, 2, len(data)/2)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := out[0].Check(); err != nil {
			t.Fatal(err)
		}
		if _, err = s.Run(t.Context(), []runtime.Tensor{tensor(data, len(data))}, nil); err == nil {
			t.Fatal("a shape that does not fit was taken")
		}
	}
	count := rounds() * 200
	for i := range count / 5 {
		run(i * 37)
	}
	early := resident(t)
	for i := range count {
		run(i * 37)
	}
	if late := resident(t); late > early+early/10+4<<20 {
		t.Errorf("resident memory grew from %d to %d bytes in %d runs", early, late, count)
	}
}

func TestOpenDimensionsAreCounted(t *testing.T) {
	in := func(name string, dims ...string) runtime.Info {
		i := runtime.Info{Name: name, Dims: dims, Shape: make([]int, len(dims))}
		for j, d := range dims {
			i.Shape[j] = -1
			if d == "4" {
				i.Shape[j], i.Dims[j] = 4, ""
			}
		}
		return i
	}
	for _, c := range []struct {
		inputs []runtime.Info
		want   int
	}{
		{nil, 0},
		{[]runtime.Info{in("a", "4", "4")}, 0},
		{[]runtime.Info{in("a", "", "4"), in("b", "")}, 1},
		{[]runtime.Info{in("a", "n", "4"), in("b", "n")}, 1},
		{[]runtime.Info{in("a", "n", "length")}, 2},
		{[]runtime.Info{in("a", "", "")}, 2},
		{[]runtime.Info{{Name: "a", Unranked: true}}, 2},
	} {
		if got := openDims(c.inputs); got != c.want {
			t.Errorf("%v: %d, want %d", c.inputs, got, c.want)
		}
		for nodes, want := range map[int]bool{6: false, 7: c.want <= 1} {
			if g := (&Graph{Inputs: c.inputs, nodes: nodes}); g.planned() != want {
				t.Errorf("%v in %d nodes: planned is %t, want %t", c.inputs, nodes, !want, want)
			}
		}
	}
}
