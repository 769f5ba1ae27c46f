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

func TestManyRunsLeaveNothing(t *testing.T) {
	s := opened(t, positives(runtime.Float32, []float32{0}), Options{})
	run := func(i int) {
		data := make([]float32, 1+i%40_000) // below and above what a call keeps
		for j := range data {
			data[j] = float32(i%7) - 3
		}
		out, err := s.Run(t.Context(), []runtime.Tensor{tensor(data, len(data))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := out[0].Check(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Run(t.Context(), []runtime.Tensor{tensor(data, len(data), 1)}, nil)
		if err == nil {
			t.Fatal("a shape that does not fit was taken")
		}
	}
	count := rounds() * 500
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
