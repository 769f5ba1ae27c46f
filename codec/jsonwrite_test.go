package codec_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestJSONAnswersInTheDialectOfTheRequest(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	y := runtime.Tensor{Name: "y", Shape: []int{2, 2}, Data: []float32{0.5, 1, nan, -inf}}
	n := runtime.Tensor{Name: "n", Shape: []int{2}, Data: []int64{7, -9223372036854775808}}
	ok := runtime.Tensor{Name: "ok", Shape: []int{1}, Data: []bool{true}}
	scalar := runtime.Tensor{Name: "s", Data: []float64{0.1}}
	label := runtime.Tensor{Name: "label", Shape: []int{2}, Data: []string{"no", "y\"es"}}
	score := runtime.Tensor{Name: "score", Shape: []int{2, 2}, Data: []float32{0.9, 0.1, 0.25, 0.75}}
	infos := []runtime.Info{input("label", runtime.String, -1), {Name: "score", DType: runtime.Float32, Shape: []int{-1, 2}, Labels: []string{"no", "y\"es"}}}
	byLabel := map[string]string{"probabilities": "map"}
	maps := runtime.Tensor{Name: "m", Data: []runtime.Map{{Keys: []int64{0, 1}, Values: []float32{0.5, 0.5}}, {Keys: []string{"a"}, Values: []int64{1}}}}
	tensors := runtime.Tensor{Name: "q", Data: []runtime.Tensor{{Shape: []int{2}, Data: []int64{1, 2}}, {Shape: []int{1, 1}, Data: []int64{3}}}}
	type T = []runtime.Tensor

	cases := []struct {
		name    string
		dialect codec.Dialect
		out     T
		reply   codec.Reply
		want    string
	}{
		{"one output", codec.Rows, T{y}, codec.Reply{}, `{"predictions":[[0.5,1],["NaN","-Infinity"]]}`},
		{"one output", codec.Bare, T{y}, codec.Reply{}, `[[0.5,1],["NaN","-Infinity"]]`},
		{"one output", codec.Columns, T{y}, codec.Reply{}, `{"outputs":{"y":[[0.5,1],["NaN","-Infinity"]]}}`},
		{"one output", codec.V2, T{y}, codec.Reply{Model: "m", Found: codec.Found{ID: "a\nb"}}, `{"model_name":"m","id":"a\nb","outputs":[{"name":"y","datatype":"FP32","shape":[2,2],"data":[0.5,1,"NaN","-Infinity"]}]}`},
		{"several outputs", codec.Rows, T{y, n}, codec.Reply{}, `{"predictions":[{"y":[0.5,1],"n":7},{"y":["NaN","-Infinity"],"n":-9223372036854775808}]}`},
		{"several outputs", codec.Bare, T{n, n}, codec.Reply{}, `{"n":[7,-9223372036854775808],"n":[7,-9223372036854775808]}`},
		{"several outputs", codec.V2, T{n, label}, codec.Reply{}, `{"model_name":"","outputs":[{"name":"n","datatype":"INT64","shape":[2],"data":[7,-9223372036854775808]},{"name":"label","datatype":"BYTES","shape":[2],"data":["no","y\"es"]}]}`},
		{"no common rows", codec.Rows, T{n, ok}, codec.Reply{}, `{"outputs":{"n":[7,-9223372036854775808],"ok":[true]}}`},
		{"no common rows", codec.Bare, T{n, ok}, codec.Reply{}, `{"n":[7,-9223372036854775808],"ok":[true]}`},
		{"a scalar", codec.Rows, T{scalar}, codec.Reply{}, `{"outputs":{"s":0.1}}`},
		{"a scalar", codec.Bare, T{scalar}, codec.Reply{}, `0.1`},
		{"a scalar", codec.V2, T{scalar}, codec.Reply{}, `{"model_name":"","outputs":[{"name":"s","datatype":"FP64","shape":[],"data":[0.1]}]}`},
		{"no outputs", codec.Rows, nil, codec.Reply{}, `{"outputs":{}}`},
		{"no rows", codec.Rows, T{{Name: "y", Shape: []int{0, 3}, Data: []float32{}}}, codec.Reply{}, `{"predictions":[]}`},
		{"rows without elements", codec.Bare, T{{Name: "y", Shape: []int{2, 0}, Data: []float32{}}}, codec.Reply{}, `[[],[]]`},
		{"a classifier", codec.Rows, T{label, score}, codec.Reply{Infos: infos}, `{"predictions":[{"label":"no","probabilities":[0.9,0.1]},{"label":"y\"es","probabilities":[0.25,0.75]}]}`},
		{"a classifier", codec.Bare, T{label, score}, codec.Reply{Infos: infos}, `[{"label":"no","probabilities":[0.9,0.1]},{"label":"y\"es","probabilities":[0.25,0.75]}]`},
		{"a classifier", codec.Columns, T{label, score}, codec.Reply{Infos: infos, Params: byLabel}, `{"outputs":{"label":["no","y\"es"],"score":[[0.9,0.1],[0.25,0.75]]}}`},
		{"a classifier by label", codec.Rows, T{label, score}, codec.Reply{Infos: infos, Params: byLabel}, `{"predictions":[{"label":"no","probabilities":{"no":0.9,"y\"es":0.1}},{"label":"y\"es","probabilities":{"no":0.25,"y\"es":0.75}}]}`},
		{"its scores alone", codec.Rows, T{score}, codec.Reply{Infos: infos[1:]}, `{"predictions":[[0.9,0.1],[0.25,0.75]]}`},
		{"its scores alone by label", codec.Rows, T{score}, codec.Reply{Infos: infos[1:], Params: byLabel}, `{"predictions":[{"no":0.9,"y\"es":0.1},{"no":0.25,"y\"es":0.75}]}`},
		{"its scores alone by label", codec.Bare, T{score}, codec.Reply{Infos: infos[1:], Params: byLabel}, `[{"no":0.9,"y\"es":0.1},{"no":0.25,"y\"es":0.75}]`},
		{"a sequence of maps", codec.Rows, T{maps}, codec.Reply{}, `{"predictions":[{"0":0.5,"1":0.5},{"a":1}]}`},
		{"a sequence of maps beside a tensor", codec.Rows, T{n, maps}, codec.Reply{}, `{"predictions":[{"n":7,"m":{"0":0.5,"1":0.5}},{"n":-9223372036854775808,"m":{"a":1}}]}`},
		{"a sequence of tensors", codec.Rows, T{tensors}, codec.Reply{}, `{"outputs":{"q":[[1,2],[[3]]]}}`},
		{"a sequence of tensors", codec.Bare, T{tensors}, codec.Reply{}, `[[1,2],[[3]]]`},
		{"a map", codec.Rows, T{{Name: "m", Data: runtime.Map{Keys: []string{"k"}, Values: []string{"v"}}}}, codec.Reply{}, `{"outputs":{"m":{"k":"v"}}}`},
	}
	for _, c := range cases {
		c.reply.Dialect = c.dialect
		got, err := codec.JSON{}.Encode([]byte(">"), c.out, &c.reply)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%s in dialect %d:\n     %s, %v\nwant >%s", c.name, c.dialect, got, err, c.want)
		}
		if !json.Valid(got[1:]) {
			t.Errorf("%s in dialect %d is not JSON: %s", c.name, c.dialect, got)
		}
	}
}

func TestKServeV2CarriesEveryElementType(t *testing.T) {
	for d := runtime.DType(1); d < 32; d++ {
		if !d.Known() {
			continue
		}
		x := runtime.Tensor{Name: "x", Shape: []int{2, 1}, Data: runtime.Make(d, 2)}
		body, err := codec.JSON{}.Encode(nil, []runtime.Tensor{x}, &codec.Reply{Found: codec.Found{Dialect: codec.V2}})
		if err != nil {
			t.Fatal(err)
		}
		body = []byte(`{"inputs"` + string(body[len(`{"model_name":"","outputs"`):]))
		for _, want := range [][]runtime.Info{nil, {input("x", d, -1, 1)}} {
			back, err := codec.JSON{}.Decode(body, &codec.Request{Want: want})
			if err != nil || show(back) != show([]runtime.Tensor{x}) {
				t.Errorf("%v: %s comes back as %s, %v", d, body, show(back), err)
			}
		}
	}
}

func TestKServeV2HasNoPlaceForSequences(t *testing.T) {
	_, err := codec.JSON{}.Encode(nil, []runtime.Tensor{{Name: "m", Data: []runtime.Map{}}}, &codec.Reply{Found: codec.Found{Dialect: codec.V2}})
	if !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("a sequence: %v", err)
	}
}

// A handler's own tensors may be wrong: that is an error, not a panic.
func TestInconsistentOutputsAreAnError(t *testing.T) {
	for _, bad := range []runtime.Tensor{
		{Name: "y", Shape: []int{2, 3}, Data: []float32{1}},
		{Name: "y", Shape: []int{-1}, Data: []float32{}},
		{Name: "y", Shape: []int{1}, Data: 5},
		{Name: "y"},
		{Name: "y", Data: []runtime.Tensor{{Shape: []int{2}, Data: []int64{1}}}},
		{Name: "y", Data: []runtime.Map{{Keys: []int64{1}, Values: []float32{}}}},
		{Name: "y", Data: runtime.Map{Keys: []float32{1}, Values: []float32{1}}},
		{Name: "y", Data: runtime.Map{}},
	} {
		for _, c := range []codec.Codec{codec.JSON{}, codec.JSONLines{}} {
			if got, err := c.Encode(nil, []runtime.Tensor{bad}, &codec.Reply{}); err == nil {
				t.Errorf("%T wrote %v as %s", c, bad, got)
			}
		}
	}
}

func TestJSONStringsAreEscaped(t *testing.T) {
	for _, s := range []string{"", "plain", "\"quoted\\\"", "\x00\x1f\n\r\t\b\f", "日本語", "a\u2028b", "<&>", "tab\tend", "\x7f"} {
		got, err := codec.JSON{}.Encode(nil, []runtime.Tensor{{Data: []string{s}}}, &codec.Reply{Found: codec.Found{Dialect: codec.Bare}})
		var back string
		if err != nil || json.Unmarshal(got, &back) != nil || back != s {
			t.Errorf("%q was written %s, %v", s, got, err)
		}
	}
	got, _ := codec.JSON{}.Encode(nil, []runtime.Tensor{{Data: []string{"a\xffb\xe2\x82"}}}, &codec.Reply{Found: codec.Found{Dialect: codec.Bare}})
	if string(got) != "\"a\ufffdb\ufffd\ufffd\"" {
		t.Errorf("invalid UTF-8 was written %q", got)
	}
}

func TestEncodingIntoABufferThatIsLargeEnoughDoesNotAllocate(t *testing.T) {
	out := []runtime.Tensor{{Name: "y", Shape: []int{100, 10}, Data: floats(1000)}}
	buf := make([]byte, 0, 1<<16)
	reply := &codec.Reply{}
	for _, c := range []codec.Codec{codec.JSON{}, codec.JSONLines{}} {
		if n := testing.AllocsPerRun(10, func() {
			if _, err := c.Encode(buf, out, reply); err != nil {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("%T: %v allocations", c, n)
		}
	}
}
