package post_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/claryhq/clary/handler/post"
	"github.com/claryhq/clary/runtime"
)

func tensor(name string, data any, shape ...int) runtime.Tensor {
	return runtime.Tensor{Name: name, Shape: shape, Data: data}
}

func info(name string, d runtime.DType, shape ...int) runtime.Info {
	return runtime.Info{Name: name, DType: d, Shape: shape}
}

func labelled(i runtime.Info, labels ...string) runtime.Info {
	i.Labels = labels
	return i
}

var nan, inf = math.NaN(), math.Inf(1)

// describe writes outputs as name type[shape] (labels).
func describe(infos []runtime.Info) string {
	var list []string
	for _, i := range infos {
		s := fmt.Sprintf("%s %v%v", i.Name, i.DType, i.Shape)
		if i.Labels != nil {
			s += fmt.Sprint(" ", i.Labels)
		}
		list = append(list, s)
	}
	return strings.Join(list, "; ")
}

func show(ts []runtime.Tensor) string {
	var list []string
	for _, t := range ts {
		list = append(list, fmt.Sprintf("%s%v %T%v", t.Name, t.Shape, t.Data, t.Data))
	}
	return strings.ReplaceAll(strings.Join(list, "; "), "runtime.", "")
}

func TestStepsDoToTensorsWhatTheySayOfThem(t *testing.T) {
	logits := info("logits", runtime.Float32, -1, 3)
	abc := []string{"a", "b", "c"}
	for _, c := range []struct {
		name  string
		in    []runtime.Info
		ts    []runtime.Tensor
		steps []post.Step
		infos string
		want  string
	}{
		{"softmax", []runtime.Info{logits}, []runtime.Tensor{tensor("logits", []float32{1, 2, 3, 1000, 1001, 1002.5, -104, -3, 0}, 3, 3)},
			[]post.Step{post.Softmax{}}, "logits float32[-1 3]",
			"logits[3 3] []float32[0.09003057 0.24472848 0.66524094 0.062890016 0.17095278 0.7661572 0 0.047425874 0.95257413]"},
		{"softmax in float64", []runtime.Info{info("logits", runtime.Float64, -1, 3)}, []runtime.Tensor{tensor("logits", []float64{1, 2, 3}, 1, 3)},
			[]post.Step{post.Softmax{As: "p"}}, "p float64[-1 3]", "p[1 3] []float64[0.09003057317038046 0.24472847105479764 0.6652409557748218]"},
		{"softmax in float16", []runtime.Info{info("logits", runtime.Float16, -1, 3)},
			[]runtime.Tensor{tensor("logits", []runtime.F16{0x3c00, 0x4000, 0x4200}, 1, 3)}, []post.Step{post.Softmax{}},
			"logits float16[-1 3]", fmt.Sprintf("logits[1 3] []F16%v", []int{0x2dc3, 0x33d5, 0x3952})},
		{"softmax in bfloat16", []runtime.Info{info("logits", runtime.BFloat16, -1, 2)},
			[]runtime.Tensor{tensor("logits", []runtime.BF16{0x3f80, 0x3f80}, 1, 2)}, []post.Step{post.Softmax{}},
			"logits bfloat16[-1 2]", fmt.Sprintf("logits[1 2] []BF16%v", []int{0x3f00, 0x3f00})},
		{"softmax of what is not finite", []runtime.Info{info("x", runtime.Float64, -1, 2)},
			[]runtime.Tensor{tensor("x", []float64{nan, 1, inf, 1, -inf, 0, -inf, -inf}, 4, 2)}, []post.Step{post.Softmax{}},
			"x float64[-1 2]", "x[4 2] []float64[NaN NaN NaN NaN 0 1 NaN NaN]"},
		{"softmax along another axis", []runtime.Info{info("x", runtime.Float32, -1, 2, 2)},
			[]runtime.Tensor{tensor("x", []float32{0, 5, 0, 5, 1, 2, 1, 2}, 2, 2, 2)}, []post.Step{post.Softmax{Axis: 1}},
			"x float32[-1 2 2]", "x[2 2 2] []float32[0.5 0.5 0.5 0.5 0.5 0.5 0.5 0.5]"},
		{"softmax of no rows", []runtime.Info{logits}, []runtime.Tensor{tensor("logits", []float32{}, 0, 3)}, []post.Step{post.Softmax{}},
			"logits float32[-1 3]", "logits[0 3] []float32[]"},
		{"sigmoid", []runtime.Info{info("x", runtime.Float32, -1)},
			[]runtime.Tensor{tensor("x", []float32{-104, -88.5, -20, -1, 0, 0.5, 17, 88, 745, float32(inf), float32(-inf), float32(nan)}, 12)},
			[]post.Step{post.Sigmoid{As: "p"}}, "p float32[-1]",
			"p[12] []float32[0 3.672302e-39 2.0611537e-09 0.26894143 0.5 0.62245935 0.99999994 1 1 1 0 NaN]"},
		{"sigmoid in float16", []runtime.Info{info("x", runtime.Float16, -1, 1)}, []runtime.Tensor{tensor("x", []runtime.F16{0, 0x7c00}, 2, 1)},
			[]post.Step{post.Sigmoid{}}, "x float16[-1 1]", fmt.Sprintf("x[2 1] []F16%v", []int{0x3800, 0x3c00})},
		{"argmax", []runtime.Info{logits}, []runtime.Tensor{tensor("logits", []float32{1, 3, 3, 2, float32(nan), float32(nan), -1, -2, -3}, 3, 3)},
			[]post.Step{post.Argmax{}}, "label int64[-1]; logits float32[-1 3]",
			"label[3] []int64[1 1 0]; logits[3 3] []float32[1 3 3 2 NaN NaN -1 -2 -3]"},
		{"argmax of named classes", []runtime.Info{labelled(logits, abc...)}, []runtime.Tensor{tensor("logits", []float32{1, 3, 2}, 1, 3)},
			[]post.Step{post.Argmax{As: "class"}}, "class string[-1]; logits float32[-1 3] [a b c]", "class[1] []string[b]; logits[1 3] []float32[1 3 2]"},
		{"argmax along another axis", []runtime.Info{info("x", runtime.Float16, -1, 2, 3)},
			[]runtime.Tensor{tensor("x", []runtime.F16{1, 5, 3, 4, 2, 3}, 1, 2, 3)}, []post.Step{post.Argmax{Axis: -2}},
			"label int64[-1 3]; x float16[-1 2 3]", "label[1 3] []int64[1 0 0]; x[1 2 3] []F16[1 5 3 4 2 3]"},
		{"top two", []runtime.Info{info("id", runtime.Int64, -1), labelled(logits, abc...)},
			[]runtime.Tensor{tensor("id", []int64{7, 8}, 2), tensor("logits", []float32{1, 3, 3, 0.5, 0, 0.5}, 2, 3)},
			[]post.Step{post.TopK{Output: "logits", K: 2}}, "id int64[-1]; labels string[-1 2]; scores float32[-1 2]",
			"id[2] []int64[7 8]; labels[2 2] []string[b c a c]; scores[2 2] []float32[3 3 0.5 0.5]"},
		{"top of bfloat16, NaN first", []runtime.Info{info("x", runtime.BFloat16, -1, 4)},
			[]runtime.Tensor{tensor("x", []runtime.BF16{1, 0x7fc0, 3, 2}, 1, 4)}, []post.Step{post.TopK{K: 3}},
			"labels int64[-1 3]; scores bfloat16[-1 3]", fmt.Sprintf("labels[1 3] []int64[1 2 3]; scores[1 3] []BF16%v", []int{0x7fc0, 3, 2})},
		{"top of fewer than k", []runtime.Info{info("x", runtime.Float64, -1, -1)}, []runtime.Tensor{tensor("x", []float64{1, 2}, 1, 2)},
			[]post.Step{post.TopK{K: 5}}, "labels int64[-1 -1]; scores float64[-1 -1]", "labels[1 2] []int64[1 0]; scores[1 2] []float64[2 1]"},
		{"threshold", []runtime.Info{info("x", runtime.Float32, -1)}, []runtime.Tensor{tensor("x", []float32{0.69999, 0.7, 0.70001, float32(nan)}, 4)},
			[]post.Step{post.Threshold{At: 0.7}}, "label int64[-1]; x float32[-1]", "label[4] []int64[0 1 1 0]; x[4] []float32[0.69999 0.7 0.70001 NaN]"},
		{"threshold of one value a row", []runtime.Info{info("x", runtime.Float64, -1, 1)}, []runtime.Tensor{tensor("x", []float64{0, 1}, 2, 1)},
			[]post.Step{post.Threshold{At: 0.5, As: "yes"}}, "yes int64[-1]; x float64[-1 1]", "yes[2] []int64[0 1]; x[2 1] []float64[0 1]"},
		{"threshold of the second value", []runtime.Info{labelled(info("p", runtime.Float32, -1, 2), "no", "yes")},
			[]runtime.Tensor{tensor("p", []float32{0.8, 0.2, 0.6, 0.4}, 2, 2)},
			[]post.Step{post.Threshold{Output: "p[1]", At: 0.3}, post.Labels{Output: "label", Names: []string{"no", "yes"}}},
			"label string[-1]; p float32[-1 2] [no yes]", "label[2] []string[no yes]; p[2 2] []float32[0.8 0.2 0.6 0.4]"},
		{"threshold of every value", []runtime.Info{info("p", runtime.Float32, -1, 2)}, []runtime.Tensor{tensor("p", []float32{0.8, 0.2, 0.6, 0.4}, 2, 2)},
			[]post.Step{post.Threshold{At: 0.5}, post.Drop{"p"}}, "label int64[-1 2]", "label[2 2] []int64[1 0 1 0]"},
		{"names for scores", []runtime.Info{logits}, []runtime.Tensor{tensor("logits", []float32{1, 3, 2}, 1, 3)},
			[]post.Step{post.Labels{Names: abc}, post.Argmax{}, post.Keep{"label"}}, "label string[-1]", "label[1] []string[b]"},
		{"names for classes", []runtime.Info{info("y", runtime.Int32, -1)}, []runtime.Tensor{tensor("y", []int32{2, 0}, 2)},
			[]post.Step{post.Labels{Output: "y", Names: abc}}, "y string[-1]", "y[2] []string[c a]"},
		{"rename, swapping", []runtime.Info{info("a", runtime.Int8, 1), info("b", runtime.Bool, 1)},
			[]runtime.Tensor{tensor("a", []int8{1}, 1), tensor("b", []bool{true}, 1)},
			[]post.Step{post.Rename{{"a", "b"}, {"b", "a"}}}, "b int8[1]; a bool[1]", "b[1] []int8[1]; a[1] []bool[true]"},
		{"keep in another order", []runtime.Info{info("a", runtime.Int8, 1), info("b", runtime.Bool, 1), info("c", runtime.String, 1)},
			[]runtime.Tensor{tensor("a", []int8{1}, 1), tensor("b", []bool{true}, 1), tensor("c", []string{"x"}, 1)},
			[]post.Step{post.Keep{"c", "a"}}, "c string[1]; a int8[1]", "c[1] []string[x]; a[1] []int8[1]"},
		{"fields", []runtime.Info{info("label", runtime.Int64, -1), labelled(info("p", runtime.Float32, -1, 2), "0", "1"), info("v", runtime.Float32, -1, 1), info("s", runtime.String, -1, 2)},
			[]runtime.Tensor{tensor("label", []int64{1, 0}, 2), tensor("p", []float32{0.4, 0.6, 0.9, 0.1}, 2, 2), tensor("v", []float32{5, 6}, 2, 1), tensor("s", []string{"a", "b", "c", "d"}, 2, 2)},
			[]post.Step{post.Fields{{"score", "p[1]"}, {"scores", "p"}, {"predicted_label", "label"}, {"v", "v"}, {"word", "s[0]"}}},
			"score float32[-1]; scores float32[-1 2]; predicted_label int64[-1]; v float32[-1]; word string[-1]",
			"score[2] []float32[0.6 0.1]; scores[2 2] []float32[0.4 0.6 0.9 0.1]; predicted_label[2] []int64[1 0]; v[2] []float32[5 6]; word[2] []string[a c]"},
		{"an output whose name has brackets", []runtime.Info{info("p[1]", runtime.Float32, -1, 2)}, []runtime.Tensor{tensor("p[1]", []float32{1, 2}, 1, 2)},
			[]post.Step{post.Fields{{"whole", "p[1]"}, {"first", "p[1][0]"}}}, "whole float32[-1 2]; first float32[-1]", "whole[1 2] []float32[1 2]; first[1] []float32[1]"},
		{"the best class", []runtime.Info{info("label", runtime.String, -1), labelled(logits, abc...)},
			[]runtime.Tensor{tensor("label", []string{"a"}, 1), tensor("logits", []float32{1, 3, 2}, 1, 3)},
			[]post.Step{post.Best{}}, "label string[-1]; score float32[-1]", "label[1] []string[b]; score[1] []float32[3]"},
		{"no class to be best", []runtime.Info{logits}, []runtime.Tensor{tensor("logits", []float32{1, 3, 2}, 1, 3)},
			[]post.Step{post.Best{}}, "logits float32[-1 3]", "logits[1 3] []float32[1 3 2]"},
		{"an unknown rank, seen at the run", []runtime.Info{{Name: "x", DType: runtime.Float64, Unranked: true}}, []runtime.Tensor{tensor("x", []float64{1, 2}, 1, 2)},
			[]post.Step{post.Softmax{As: "p"}, post.Argmax{}, post.Keep{"label"}}, "label int64[]", "label[1] []int64[1]"},
	} {
		chain, err := post.Plan(c.in, c.steps...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := describe(chain.Outputs()); got != c.infos {
			t.Errorf("%s says %s; want %s", c.name, got, c.infos)
		}
		ts, err := chain.Run(c.ts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := show(ts); got != c.want {
			t.Errorf("%s gives\n%s; want\n%s", c.name, got, c.want)
		}
		for i := range ts {
			if err := ts[i].Check(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if ts[i].DType() != chain.Outputs()[i].DType || ts[i].Name != chain.Outputs()[i].Name {
				t.Errorf("%s: output %d is not what it says: %v", c.name, i, ts[i])
			}
		}
	}
}

func TestXGBoostSelectsAsItsContainerDoes(t *testing.T) {
	label := info("label", runtime.Int64, -1)
	binary := labelled(info("probabilities", runtime.Float32, -1, 2), "0", "1")
	multi := info("probabilities", runtime.Float32, -1, 3)
	all := []string{"predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores", "predicted_score"}
	two := func() []runtime.Tensor {
		return []runtime.Tensor{tensor("label", []int64{1, 0}, 2), tensor("probabilities", []float32{0.25, 0.75, 0.875, 0.125}, 2, 2)}
	}
	for _, c := range []struct {
		name string
		in   []runtime.Info
		ts   []runtime.Tensor
		keys []string
		want string
	}{
		{"binary", []runtime.Info{label, binary}, two(), all, "predicted_label[2] []int64[1 0]; labels[2 2] []int64[0 1 0 1]; probability[2] []float32[0.75 0.125]; " +
			"probabilities[2 2] []float32[0.25 0.75 0.875 0.125]; raw_score[2] []float32[0.75 0.125]; raw_scores[2 2] []float32[0.25 0.75 0.875 0.125]; predicted_score[2] []float32[NaN NaN]"},
		{"binary, nothing selected", []runtime.Info{label, binary}, two(), nil, "score[2] []float32[0.75 0.125]"},
		{"several classes", []runtime.Info{label, multi}, []runtime.Tensor{tensor("label", []int64{2}, 1), tensor("probabilities", []float32{0.25, 0.25, 0.5}, 1, 3)},
			[]string{"probability", "labels", "predicted_label", "raw_score", "nonsense"},
			"probability[1] []float32[0.5]; labels[1 3] []int64[0 1 2]; predicted_label[1] []int64[2]; raw_score[1] []float32[0.5]; nonsense[1] []float32[NaN]"},
		{"several classes, nothing selected", []runtime.Info{label, multi}, []runtime.Tensor{tensor("label", []int64{2}, 1), tensor("probabilities", []float32{0.25, 0.25, 0.5}, 1, 3)},
			nil, "score[1 3] []float32[0.25 0.25 0.5]"},
		{"probabilities alone", []runtime.Info{labelled(multi, "5", "6", "7")}, []runtime.Tensor{tensor("probabilities", []float32{0.5, 0.25, 0.25}, 1, 3)},
			[]string{"predicted_label", "labels"}, "predicted_label[1] []int64[5]; labels[1 3] []int64[5 6 7]"},
		{"names for classes", []runtime.Info{labelled(multi, "x", "y", "z")}, []runtime.Tensor{tensor("probabilities", []float32{0.5, 0.25, 0.25}, 1, 3)},
			[]string{"predicted_label", "labels"}, "predicted_label[1] []string[x]; labels[1 3] []string[x y z]"},
		{"regression", []runtime.Info{info("variable", runtime.Float32, -1, 1)}, []runtime.Tensor{tensor("variable", []float32{1.5, 2}, 2, 1)},
			[]string{"predicted_score", "predicted_label", "probabilities"}, "predicted_score[2] []float32[1.5 2]; predicted_label[2] []float32[NaN NaN]; probabilities[2] []float32[NaN NaN]"},
		{"regression, nothing selected", []runtime.Info{info("variable", runtime.Float32, -1, 1)}, []runtime.Tensor{tensor("variable", []float32{1.5, 2}, 2, 1)}, nil, "score[2] []float32[1.5 2]"},
		{"no rows", []runtime.Info{label, binary}, []runtime.Tensor{tensor("label", []int64{}, 0), tensor("probabilities", []float32{}, 0, 2)},
			[]string{"labels", "probability"}, "labels[0 2] []int64[]; probability[0] []float32[]"},
	} {
		chain, err := post.Plan(c.in, post.XGBoost{Keys: c.keys})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		ts, err := chain.Run(c.ts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := show(ts); got != c.want {
			t.Errorf("%s gives\n%s; want\n%s", c.name, got, c.want)
		}
		for i, out := range chain.Outputs() {
			if ts[i].DType() != out.DType || len(ts[i].Shape) != len(out.Shape) || ts[i].Check() != nil {
				t.Errorf("%s: %s says %v%v", c.name, out.Name, out.DType, out.Shape)
			}
		}
	}
}

func TestWhatDoesNotFitTheModelIsAnErrorWhenItIsPlanned(t *testing.T) {
	p := info("p", runtime.Float32, -1, 3)
	for _, c := range []struct {
		in   []runtime.Info
		step post.Step
		want string
	}{
		{[]runtime.Info{p}, post.Softmax{Output: "q"}, `there is no output "q" here; there is "p"`},
		{[]runtime.Info{p, info("q", runtime.Float32, -1)}, post.Softmax{}, `several outputs, "p", "q": say which`},
		{[]runtime.Info{info("p", runtime.Int64, -1, 3)}, post.Softmax{}, `output "p" is int64, and floating-point numbers are wanted`},
		{[]runtime.Info{info("p", runtime.Float32, -1)}, post.Softmax{}, `output "p" has rank 1`},
		{[]runtime.Info{info("p", runtime.Float32)}, post.Argmax{}, "rank 0"},
		{[]runtime.Info{p}, post.Softmax{Axis: 2}, "no axis 2: its axes are 1 to 1"},
		{[]runtime.Info{p}, post.Argmax{Axis: -2}, "no axis -2"},
		{[]runtime.Info{{Name: "p", Kind: runtime.KindSequence, DType: runtime.Float32}}, post.Softmax{}, "a sequence or a map"},
		{[]runtime.Info{p, info("label", runtime.Int64, -1)}, post.Argmax{Output: "p"}, `two outputs would be called "label"`},
		{[]runtime.Info{p}, post.TopK{K: 4}, `the 4 greatest of output "p" are wanted, and it has 3 values`},
		{[]runtime.Info{info("p", runtime.Float32, -1)}, post.TopK{K: 1}, "rank 1"},
		{[]runtime.Info{p}, post.Labels{Names: []string{"a"}}, `1 names for output "p", which has 3 classes`},
		{[]runtime.Info{info("p", runtime.Bool, -1)}, post.Labels{}, "no tensor of numbers"},
		{[]runtime.Info{info("p", runtime.Float32, -1)}, post.Labels{Names: []string{"a"}}, "rank 1"},
		{[]runtime.Info{info("p", runtime.String, -1)}, post.Threshold{}, "is string"},
		{[]runtime.Info{p}, post.Threshold{Output: "p[3]"}, `p[3]: output "p" has 3 values a row, the first is [0]`},
		{[]runtime.Info{p}, post.Threshold{Output: "p[-1]"}, `no output "p[-1]"`},
		{[]runtime.Info{info("p", runtime.Float32, -1)}, post.Threshold{Output: "p[0]"}, "rank 1"},
		{[]runtime.Info{p}, post.Rename{{"q", "r"}}, `no output "q"`},
		{[]runtime.Info{p}, post.Rename{{"p", "r"}, {"p", "s"}}, "two names"},
		{[]runtime.Info{p, info("q", runtime.Float32)}, post.Rename{{"p", "q"}}, `two outputs would be called "q"`},
		{[]runtime.Info{p}, post.Drop{"q"}, `no output "q"`},
		{[]runtime.Info{p}, post.Drop{"p"}, "no output is left"},
		{[]runtime.Info{p}, post.Keep{"p", "p"}, `two outputs would be called "p"`},
		{[]runtime.Info{p}, post.Fields{{"score", "q"}}, `score: there is no output "q"`},
		{[]runtime.Info{p}, post.Fields{{"score", "p"}, {"score", "p[0]"}}, `two outputs would be called "score"`},
		{[]runtime.Info{{Name: "m", Kind: runtime.KindSequence}}, post.Fields{{"score", "m[0]"}}, "no columns"},
		{[]runtime.Info{info("p", runtime.String, -1)}, post.XGBoost{}, "floating-point numbers"},
	} {
		_, err := post.Plan(c.in, post.Rename{}, c.step)
		var at *post.StepError
		if !errors.As(err, &at) || at.Step != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: %v; want %q", c.step, err, c.want)
		}
	}
}

// What a model leaves open is looked at when there are tensors.
func TestTensorsThatDoNotFitAreErrorsOfTheRun(t *testing.T) {
	any2 := info("p", runtime.Float32, -1, -1)
	unknown := runtime.Info{Name: "p", DType: runtime.Float32, Unranked: true}
	flat, wide := tensor("p", []float32{1, 2}, 2), tensor("p", []float32{1, 2}, 1, 2)
	for _, c := range []struct {
		in   runtime.Info
		step post.Step
		t    runtime.Tensor
		want string
	}{
		{unknown, post.Softmax{}, flat, "rank 1"},
		{unknown, post.Argmax{}, flat, "rank 1"},
		{unknown, post.TopK{K: 1}, flat, "rank 1"},
		{unknown, post.Labels{Names: []string{"a"}}, flat, "rank 1"},
		{unknown, post.Threshold{Output: "p[1]"}, flat, "rank 1"},
		{unknown, post.XGBoost{}, tensor("p", []float32{1}), "no row"},
		{any2, post.Argmax{}, tensor("p", []float32{}, 2, 0), "no values along axis 1"},
		{any2, post.Labels{Names: []string{"a"}}, wide, "1 names"},
		{any2, post.Threshold{Output: "p[2]"}, wide, "2 values a row, and number 2 is wanted"},
		{any2, post.XGBoost{}, tensor("p", []float32{}, 1, 0), "no row"},
		{info("p", runtime.Int64, -1), post.Labels{Names: []string{"a"}}, tensor("p", []int64{1}, 1), "class 1, and there are names for 0 to 0"},
		{info("p", runtime.Uint64, -1), post.Labels{Names: []string{"a"}}, tensor("p", []uint64{math.MaxUint64}, 1), "class -1"},
		{info("p", runtime.Int8, -1), post.Labels{Names: []string{"a"}}, tensor("p", []int8{-1}, 1), "class -1"},
	} {
		chain, err := post.Plan([]runtime.Info{c.in}, c.step)
		if err != nil {
			t.Errorf("%T: %v", c.step, err)
			continue
		}
		if ts, err := chain.Run([]runtime.Tensor{c.t}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: %v, %v; want %q", c.step, ts, err, c.want)
		}
	}
}

// fixed is a session that always answers the same.
type fixed struct {
	runtime.Session
	err error
}

func (f fixed) Outputs() []runtime.Info { return []runtime.Info{info("y", runtime.Float32, -1, 2)} }

func (f fixed) Run(context.Context, []runtime.Tensor, []runtime.Tensor) ([]runtime.Tensor, error) {
	return []runtime.Tensor{tensor("y", []float32{1, 2}, 1, 2)}, f.err
}

func TestASessionWithStepsIsASession(t *testing.T) {
	chain, err := post.Plan(fixed{}.Outputs(), post.Argmax{}, post.Drop{"y"})
	if err != nil {
		t.Fatal(err)
	}
	s := chain.Session(fixed{})
	out, err := s.Run(context.Background(), nil, nil)
	if err != nil || !reflect.DeepEqual(out, []runtime.Tensor{tensor("label", []int64{1}, 1)}) {
		t.Errorf("%v, %v", out, err)
	}
	if got := describe(s.Outputs()); got != "label int64[-1]" {
		t.Error(got)
	}
	if _, err := chain.Session(fixed{err: runtime.ErrInput}).Run(context.Background(), nil, nil); !errors.Is(err, runtime.ErrInput) {
		t.Error(err)
	}
}
