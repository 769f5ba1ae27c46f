package onnx

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// bound lets open1 open models as on a GPU, whose memory is the CPU's: runs go
// through IO bindings, with the copies each way.
var bound bool

// TestABindingChangesNothing runs what the other tests run, bound.
func TestABindingChangesNothing(t *testing.T) {
	bound = true
	defer func() { bound = false }()
	for _, test := range []func(*testing.T){
		TestEveryModelAnswersAsPythonDoes, TestAModelWithoutInputsRuns, TestOutputsOfUnknownShapeAreRead, TestUnrankedInputsTakeAnyRank,
		TestAnInputThatIsAnOutputIsCopied, TestAnInitializerThatIsAnOutputStaysWhatItIs, TestStringsOfAnyBytesComeBack,
		TestEveryTypeAndSizeComesBack, TestOutputsFillWhatTheCallerBrings, TestInputsThatDoNotFitAreRefused, TestRunsInParallelDoNotMix,
		TestACancelledRunStopsAndReturnsTheCause, TestCancellingOneRunLeavesTheOthers,
	} {
		test(t)
	}
}

// TestManyBoundRunsLeaveNothing varies sizes, outputs whose shape depends on
// the data, and errors.
func TestManyBoundRunsLeaveNothing(t *testing.T) {
	g := positives(runtime.Float32, []float32{0})
	g.inputs = messages(info("x", runtime.Float32, "rows", "columns"))
	s := opened(t, g, Options{bind: true})
	runs := func(count int) {
		for i := range count {
			data := make([]float32, 2+2*(i*37%20_000))
			for j := range data {
				data[j] = float32(i%7) - 3
			}
			run1(t, s, tensor(data, 2, len(data)/2))
			if _, err := s.Run(t.Context(), []runtime.Tensor{tensor(data, len(data))}, nil); err == nil {
				t.Fatal("a shape that does not fit was taken")
			}
		}
	}
	runs(1000) // all sizes, nearly twice
	early, before := resident(t), live.Load()
	runs(rounds() * 200)
	if late := resident(t); late > early+early/10+8<<20 {
		t.Errorf("resident memory grew from %d to %d bytes", early, late)
	}
	if now := live.Load(); now != before {
		t.Errorf("%d native objects were left", now-before)
	}
}

// TestWhatIsBound: numbers are; strings, sequences and maps fall back.
func TestWhatIsBound(t *testing.T) {
	eachModel(t, func(t *testing.T, path string, e expectation) {
		s := open1(t, path, Options{bind: true})
		want := true
		for _, i := range append(append([]runtime.Info{}, s.Inputs()...), s.Outputs()...) {
			want = want && i.Kind == runtime.KindTensor && i.DType != runtime.String
		}
		if s.Bound() != want {
			t.Errorf("bound: %v, want %v", s.Bound(), want)
		}
		if open1(t, path, Options{}).Bound() {
			t.Error("it is bound on the CPU")
		}
	})
}

// TestBoundRunsAllocateNothing: not in Go, once the caller's outputs fit.
func TestBoundRunsAllocateNothing(t *testing.T) {
	for name, o := range map[string]Options{"bound": {bind: true}, "graphs": {bind: true, CUDA: CUDA{Graphs: []int{1}}}} {
		s := open1(t, models+"/digits/model.onnx", o)
		info := s.Inputs()[0]
		shape := append([]int{1}, info.Shape[1:]...)
		n, err := runtime.Elements(shape)
		if err != nil {
			t.Fatal(err)
		}
		in, ctx := []runtime.Tensor{{Shape: shape, Data: runtime.Make(info.DType, n)}}, t.Context()
		var out []runtime.Tensor
		run := func() {
			if out, err = s.Run(ctx, in, out); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			run()
		}
		if n := testing.AllocsPerRun(100, run); n > 0 {
			t.Errorf("%s: %v allocations in a run", name, n)
		}
	}
}

// TestGraphsAnswerAsOrdinaryRunsDo: numbers of rows that have a graph and those
// that have none, in turn and from many callers.
func TestGraphsAnswerAsOrdinaryRunsDo(t *testing.T) {
	s := open1(t, models+"/iris/model.onnx", Options{bind: true, CUDA: CUDA{Graphs: []int{1, 2, 4}}})
	plain := open1(t, models+"/iris/model.onnx", Options{})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			var out []runtime.Tensor
			for i := range 60 {
				rows := (worker+i)%5 + 1
				data := make([]float32, rows*4)
				for j := range data {
					data[j] = float32((worker*31+i*7+j*3)%80) / 10
				}
				in := []runtime.Tensor{tensor(data, rows, 4)}
				want, err := plain.Run(t.Context(), in, nil)
				if err == nil {
					out, err = s.Run(t.Context(), in, out)
				}
				for k := range want {
					if err == nil {
						err = differ(out[k], want[k], 1e-6)
					}
				}
				if err != nil {
					t.Errorf("%d rows: %v", rows, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(s.graphs.calls) != 3 {
		t.Errorf("%d graphs, want 3", len(s.graphs.calls))
	}
	for rows, c := range s.graphs.calls {
		if !bool(c.c.graph) {
			t.Errorf("%d rows were never recorded", rows)
		}
	}
}

func TestGraphsWantFixedShapes(t *testing.T) {
	for _, test := range []struct {
		g    graphSpec
		o    Options
		want string
	}{
		{identity(runtime.Float32, "n", "m"), Options{bind: true, CUDA: CUDA{Graphs: []int{1}}}, "open dimensions beside its first"},
		{identity(runtime.String, "n"), Options{bind: true, CUDA: CUDA{Graphs: []int{1}}}, "numeric inputs"},
		{identity(runtime.Float32, "n"), Options{CUDA: CUDA{Graphs: []int{1}}}, "wants the provider cuda alone"},
	} {
		if _, err := Open(t.Context(), write(t, file(test.g.bytes())), test.o); !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

// TestWhatIdleCallsKeepIsGivenUp: for a run that finds no memory.
func TestWhatIdleCallsKeepIsGivenUp(t *testing.T) {
	s := opened(t, identity(runtime.Float32, "n"), Options{bind: true})
	for _, n := range []int{1, 1 << 20, 1, 1 << 10} { // what was large does not stay for the small
		run1(t, s, tensor(make([]float32, n), n))
		if room := int(s.idle[0].inputs[0].there_room); room > 8*4*n+1<<20 {
			t.Errorf("%d bytes on the GPU for %d", room, 4*n)
		}
	}
	if !s.spare() || s.spare() {
		t.Error("it was not given up, or twice")
	}
	run1(t, s, tensor(make([]float32, 3), 3))
}

func BenchmarkBoundOneRow(b *testing.B) {
	for name, o := range map[string]Options{"ordinary": {}, "bound": {bind: true}, "graph": {bind: true, CUDA: CUDA{Graphs: []int{1}}}} {
		b.Run(name, func(b *testing.B) {
			s := open1(b, models+"/iris/model.onnx", o)
			in, out, err := row(), []runtime.Tensor(nil), error(nil)
			for b.Loop() {
				if out, err = s.Run(b.Context(), in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
