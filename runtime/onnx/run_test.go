package onnx

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/claryhq/clary/runtime"
)

func TestAModelWithoutInputsRuns(t *testing.T) {
	s := opened(t, graphSpec{
		nodes:   messages(op("", "Constant", nil, names("y"), tensorAttribute("value", weights("", []float32{1, 2}, 2)))),
		outputs: messages(info("y", runtime.Float32, 2)),
	}, Options{})
	for range 4 {
		if err := differ(run1(t, s)[0], runtime.Tensor{Name: "y", Shape: []int{2}, Data: []float32{1, 2}}, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// positives returns those elements of x that are above zero: an output whose
// shape depends on the data, and which the file does not tell.
func positives(d runtime.DType, zero any) graphSpec {
	return graphSpec{
		nodes: messages(
			op("", "Greater", names("x", "zero"), names("above")),
			op("", "Compress", names("x", "above"), names("y")),
		),
		initializers: messages(weights("zero", zero, 1)),
		inputs:       messages(info("x", d, "n")),
		outputs:      messages(unranked("y", d)),
	}
}

func TestOutputsOfUnknownShapeAreRead(t *testing.T) {
	s := opened(t, positives(runtime.Float16, []runtime.F16{0}), Options{})
	if !s.Outputs()[0].Unranked {
		t.Error("the output should be unranked")
	}
	half := func(v ...float64) []runtime.F16 {
		h := []runtime.F16{}
		for _, f := range v {
			h = append(h, runtime.ToF16(f))
		}
		return h
	}
	// The same shape goes in each time, so that outputs would be kept.
	for _, c := range []struct{ in, out []runtime.F16 }{
		{half(1, -1, 2, -2), half(1, 2)},
		{half(3, -1, 4, -2), half(3, 4)},
		{half(5, -1, 6, -2), half(5, 6)},
		{half(1, 2, 3, 4), half(1, 2, 3, 4)},
		{half(1, 2, 3, 5), half(1, 2, 3, 5)},
		{half(-1, -1, -1, -1), half()},
		{half(-1, 7, -1, -1), half(7)},
	} {
		got := run1(t, s, tensor(c.in, 4))[0]
		if err := differ(got, runtime.Tensor{Name: "y", Shape: []int{len(c.out)}, Data: c.out}, 0); err != nil {
			t.Errorf("%v: %v", c.in, err)
		}
	}
}

func TestUnrankedInputsTakeAnyRank(t *testing.T) {
	s := opened(t, graphSpec{
		nodes:   messages(op("", "Identity", names("x"), names("y"))),
		inputs:  messages(unranked("x", runtime.Int32)),
		outputs: messages(unranked("y", runtime.Int32)),
	}, Options{})
	for range 3 {
		for _, in := range []runtime.Tensor{
			tensor([]int32{7}), tensor([]int32{7}, 1), tensor([]int32{1, 2, 3, 4}, 2, 2), tensor([]int32{}, 3, 0, 2), tensor([]int32{5}, 1, 1, 1, 1, 1, 1, 1),
		} {
			got := run1(t, s, in)[0]
			in.Name = "y"
			if err := differ(got, in, 0); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := s.Run(t.Context(), []runtime.Tensor{tensor([]int32{1}, slices.Repeat([]int{1}, maxRank+1)...)}, nil)
	if !errors.Is(err, runtime.ErrInput) {
		t.Errorf("65 dimensions: %v", err)
	}
}

func TestAnInputThatIsAnOutputIsCopied(t *testing.T) {
	s := opened(t, graphSpec{
		inputs:  messages(info("x", runtime.Float32, "n")),
		outputs: messages(info("x", runtime.Float32, "n")),
	}, Options{})
	for i := range 5 {
		in := []float32{float32(i), 2}
		got := run1(t, s, tensor(in, 2))[0]
		in[1] = 9
		if err := differ(got, runtime.Tensor{Name: "x", Shape: []int{2}, Data: []float32{float32(i), 2}}, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnInitializerThatIsAnOutputStaysWhatItIs(t *testing.T) {
	s := opened(t, graphSpec{
		initializers: messages(weights("w", []float32{1, 2, 3}, 3)),
		outputs:      messages(info("w", runtime.Float32, 3)),
	}, Options{})
	for range 5 {
		got := run1(t, s)[0]
		if err := differ(got, runtime.Tensor{Name: "w", Shape: []int{3}, Data: []float32{1, 2, 3}}, 0); err != nil {
			t.Fatal(err)
		}
		got.Data.([]float32)[0] = 99
	}
}

func TestStringsOfAnyBytesComeBack(t *testing.T) {
	s := opened(t, identity(runtime.String, "n"), Options{})
	long := strings.Repeat("long ", 40_000)
	for range 3 {
		for _, in := range [][]string{
			{"", "a", "ü"}, {"a\x00b", "\xff\xfe", ""}, {"", "", ""}, {long, "x", long}, {"x", long, ""}, {}, {long},
		} {
			got := run1(t, s, tensor(in, len(in)))[0]
			if err := differ(got, runtime.Tensor{Name: "y", Shape: []int{len(in)}, Data: in}, 0); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestStringsThatAnOperatorLeavesEmptyAreEmpty(t *testing.T) {
	s := opened(t, graphSpec{
		nodes:   messages(op("", "StringSplit", names("x"), names("words", "counts"), attribute("delimiter", 3, message(4, []byte(" "))))),
		inputs:  messages(info("x", runtime.String, 2)),
		outputs: messages(info("words", runtime.String, 2, nil), info("counts", runtime.Int64, 2)),
	}, Options{})
	for range 2 {
		for _, c := range []struct{ in, words []string }{
			{[]string{"a b", "c d"}, []string{"a", "b", "c", "d"}},
			{[]string{"a b", "c d"}, []string{"a", "b", "c", "d"}},
			{[]string{"e f", "g"}, []string{"e", "f", "g", ""}},
			{[]string{"h", "i j"}, []string{"h", "", "i", "j"}},
		} {
			got := run1(t, s, tensor(c.in, 2))[0]
			if err := differ(got, runtime.Tensor{Name: "words", Shape: []int{2, 2}, Data: c.words}, 0); err != nil {
				t.Errorf("%q: %v", c.in, err)
			}
		}
	}
}

func TestEveryTypeAndSizeComesBack(t *testing.T) {
	for d := range runtime.DType(32) {
		if !d.Known() || d == runtime.String {
			continue
		}
		t.Run(d.String(), func(t *testing.T) {
			s := opened(t, identity(d, nil, nil), Options{})
			for _, rows := range []int{1, 1, 1, 0, 0, 0, 3, 3, 3, 20_000, 20_000, 1} {
				data := runtime.Make(d, rows*4)
				for i, b := 0, runtime.Bytes(data); i < len(b); i++ {
					b[i] = byte(i*7+rows) & 1
				}
				got := run1(t, s, tensor(data, rows, 4))[0]
				if err := got.Check(); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got.Data, data) || !slices.Equal(got.Shape, []int{rows, 4}) {
					t.Fatalf("%d rows: not what was sent", rows)
				}
			}
		})
	}
}

func TestOutputsFillWhatTheCallerBrings(t *testing.T) {
	s := opened(t, identity(runtime.Float32, "n"), Options{})
	in := []runtime.Tensor{tensor([]float32{1, 2, 3}, 3)}
	data, shape := make([]float32, 1, 8), make([]int, 0, 4)
	out, err := s.Run(t.Context(), in, []runtime.Tensor{{Shape: shape, Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Data.([]float32); &got[0] != &data[0] || len(got) != 3 || &out[0].Shape[0] != &shape[:1][0] {
		t.Error("the caller's memory was not used")
	}
	for name, out := range map[string][]runtime.Tensor{
		"too small": {{Data: make([]float32, 2)}}, "another type": {{Data: make([]float64, 8)}}, "empty": {{}}, "none": {},
	} {
		got, err := s.Run(t.Context(), in, out)
		if err == nil {
			err = differ(got[0], runtime.Tensor{Name: "y", Shape: []int{3}, Data: []float32{1, 2, 3}}, 0)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInputsThatDoNotFitAreRefused(t *testing.T) {
	s := opened(t, graphSpec{
		nodes: messages(
			op("", "Identity", names("a"), names("p")), op("", "Identity", names("b"), names("q")),
		),
		inputs:  messages(info("a", runtime.Float32, nil, 4), info("b", runtime.Int64)),
		outputs: messages(info("p", runtime.Float32, nil, 4), info("q", runtime.Int64)),
	}, Options{})
	a, b := runtime.Tensor{Name: "a", Shape: []int{1, 4}, Data: []float32{1, 2, 3, 4}}, runtime.Tensor{Name: "b", Data: []int64{5}}
	with := func(t runtime.Tensor, name string, shape []int, data any) runtime.Tensor {
		return runtime.Tensor{Name: name, Shape: shape, Data: data}
	}
	for _, c := range []struct {
		why string
		in  []runtime.Tensor
	}{
		{`input "a" is missing, the model takes "a", "b"`, nil},
		{`input "b" is missing, the model takes "a", "b"`, []runtime.Tensor{a}},
		{`3 inputs were sent, the model takes "a", "b"`, []runtime.Tensor{a, b, b}},
		{`input "a" was sent twice`, []runtime.Tensor{a, a}},
		{`the model has no input "c", it takes "a", "b"`, []runtime.Tensor{a, with(b, "c", nil, []int64{5})}},
		{`input "a": shape [3 5], want [-1 4]`, []runtime.Tensor{with(a, "a", []int{3, 5}, make([]float32, 15)), b}},
		{`input "a": shape [4], want [-1 4]`, []runtime.Tensor{with(a, "a", []int{4}, make([]float32, 4)), b}},
		{`input "b": shape [1], want []`, []runtime.Tensor{a, with(b, "b", []int{1}, []int64{5})}},
		{`input "a": type float64, want float32`, []runtime.Tensor{with(a, "a", []int{1, 4}, make([]float64, 4)), b}},
		{`input "a": a []runtime.Tensor is no tensor's data, want float32`, []runtime.Tensor{with(a, "a", nil, []runtime.Tensor{}), b}},
		{`input "a": a <nil> is no tensor's data, want float32`, []runtime.Tensor{with(a, "a", nil, nil), b}},
		{`shape [2 4] holds 8 elements, its data has 7`, []runtime.Tensor{with(a, "a", []int{2, 4}, make([]float32, 7)), b}},
		{`negative dimension -1`, []runtime.Tensor{with(a, "a", []int{-1, 4}, make([]float32, 4)), b}},
		{`more elements than an int counts`, []runtime.Tensor{with(a, "a", []int{1 << 62, 4}, make([]float32, 4)), b}},
	} {
		_, err := s.Run(t.Context(), c.in, nil)
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(fmt.Sprint(err), c.why) {
			t.Errorf("want %s\ngot  %v", c.why, err)
		}
		for _, in := range [][]runtime.Tensor{{a, b}, {b, a}, {with(a, "", a.Shape, a.Data), b}, {a, with(b, "", nil, b.Data)}} {
			out := run1(t, s, in...)
			if out[0].Data.([]float32)[3] != 4 || out[1].Data.([]int64)[0] != 5 {
				t.Fatalf("after that: %v", out)
			}
		}
	}
}

func TestRunsInParallelDoNotMix(t *testing.T) {
	s := opened(t, identity(runtime.Int64, "n", 3), Options{})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			var out []runtime.Tensor
			for i := range 200 {
				rows := (worker+i/10)%3 + 1
				in := make([]int64, rows*3)
				for j := range in {
					in[j] = int64(worker*1_000_000 + i*100 + j)
				}
				var err error
				if out, err = s.Run(t.Context(), []runtime.Tensor{tensor(in, rows, 3)}, out); err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(out[0].Data.([]int64), in) || !slices.Equal(out[0].Shape, []int{rows, 3}) {
					t.Errorf("worker %d, run %d: sent %v, got %v", worker, i, in, out[0])
					return
				}
			}
		})
	}
	wg.Wait()
}
