package codec_test

import (
	"errors"
	"math"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestRowsAreWrittenAsLines(t *testing.T) {
	labelled := []runtime.Info{{Name: "label"}, {Name: "probabilities", Labels: []string{"0", "1", "2"}}}
	scores := tensor("probabilities", []float32{0.97, 0.02, 0.01, 0, 1, 0}, 2, 3)
	for _, c := range []struct {
		name     string
		out      []runtime.Tensor
		infos    []runtime.Info
		params   map[string]string
		want     string
		trailing bool
	}{
		{name: "a classifier", out: []runtime.Tensor{tensor("label", []int64{0, 1}, 2), scores}, infos: labelled, want: "0,0.97,0.02,0.01\n1,0,1,0"},
		{name: "a classifier, scores first", out: []runtime.Tensor{scores, tensor("label", []string{"a", "b"}, 2)},
			infos: []runtime.Info{labelled[1], labelled[0]}, want: "a,0.97,0.02,0.01\nb,0,1,0"},
		{name: "with a line end", out: []runtime.Tensor{tensor("y", []float32{1.5, 2}, 2, 1)}, want: "1.5\n2\n", trailing: true},
		{name: "one value", out: []runtime.Tensor{tensor("y", []float64{0.1}, 1)}, want: "0.1"},
		{name: "a scalar", out: []runtime.Tensor{tensor("y", []float32{0.1})}, want: "0.1"},
		{name: "scalars", out: []runtime.Tensor{tensor("a", []float32{0.1}), tensor("b", []bool{true})}, want: "0.1,true"},
		{name: "three outputs", out: []runtime.Tensor{tensor("a", []float32{1, 2}, 2), tensor("b", []int64{3, 4}, 2, 1), tensor("c", []bool{true, false}, 2)}, want: "1,3,true\n2,4,false"},
		{name: "flattened", out: []runtime.Tensor{tensor("y", []uint8{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)}, want: "1,2,3,4\n5,6,7,8"},
		{name: "text", out: []runtime.Tensor{tensor("s", []string{"a", "b,c", `d"e`, "f\ng", "h\ri", " j ", ""}, 7)}, want: "a\n\"b,c\"\n\"d\"\"e\"\n\"f\ng\"\n\"h\ri\"\n j \n\"\""},
		{name: "a byte order mark in text", out: []runtime.Tensor{tensor("s", []string{"\ufeffa"}, 1)}, want: "\"\ufeffa\""},
		{name: "empty text among others", out: []runtime.Tensor{tensor("s", []string{"", ""}, 1, 2)}, want: ","},
		{name: "not finite", out: []runtime.Tensor{tensor("y", []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}, 1, 3)}, want: "NaN,Infinity,-Infinity"},
		{name: "no rows", out: []runtime.Tensor{tensor("y", []float32{}, 0, 3)}, want: "", trailing: true},
		{name: "no columns", out: []runtime.Tensor{tensor("y", []float32{}, 2, 0)}, want: "\n"},
		{name: "a column and none", out: []runtime.Tensor{tensor("e", []float32{}, 1, 0), tensor("y", []int8{1}, 1)}, want: "1"},
		{name: "semicolons", out: []runtime.Tensor{tensor("y", []float32{1, 2.5}, 1, 2), tensor("s", []string{"a,b;c"}, 1)}, params: map[string]string{"delimiter": ";"}, want: `1;2.5;"a,b;c"`},
		{name: "header", out: []runtime.Tensor{tensor("label", []int64{0}, 1), tensor("probabilities", []float32{1, 0, 0}, 1, 3)}, infos: labelled,
			params: map[string]string{"header": "present"}, want: "label,probabilities_0,probabilities_1,probabilities_2\n0,1,0,0"},
		{name: "header, unlabelled", out: []runtime.Tensor{tensor("a,b", []int64{5, 6}, 1, 2)}, params: map[string]string{"header": "present"}, want: "\"a,b_0\",\"a,b_1\"\n5,6"},
		{name: "header, no rows", out: []runtime.Tensor{tensor("y", []float32{}, 0)}, params: map[string]string{"header": "present"}, want: "y\n", trailing: true},
	} {
		b, err := codec.CSV{}.Encode([]byte("before"), c.out, &codec.Reply{Infos: c.infos, Params: c.params, Trailing: c.trailing})
		if err != nil || string(b) != "before"+c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, b, err, c.want)
		}
	}
}

func TestOutputsWithoutCommonRowsAreNotAcceptable(t *testing.T) {
	for name, out := range map[string][]runtime.Tensor{
		"rows":           {tensor("a", []float32{1, 2}, 2), tensor("b", []float32{1, 2, 3}, 3)},
		"row and scalar": {tensor("a", []float32{1, 2}, 2), tensor("b", []float32{1})},
		"sequence":       {tensor("a", []runtime.Map{})},
		"map":            {tensor("a", runtime.Map{})},
	} {
		if b, err := (codec.CSV{}).Encode(nil, out, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if b, err := (codec.CSV{}).Encode(nil, []runtime.Tensor{tensor("a", []float32{1}, 2)}, &codec.Reply{}); err == nil {
		t.Errorf("a tensor whose shape does not fit was written: %q", b)
	}
}
