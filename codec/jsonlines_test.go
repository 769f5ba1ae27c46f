package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestJSONLinesAreRows(t *testing.T) {
	cases := []struct{ name, model, body, want string }{
		{"lists", "iris", "[1,2,3,4]\n[5,6,7,8]\n", "x float32[2 4] [1 2 3 4 5 6 7 8]"},
		{"no newline at the end", "iris", "[1,2,3,4]\n[5,6,7,8]", "x float32[2 4] [1 2 3 4 5 6 7 8]"},
		{"CRLF and blank lines", "iris", "\r\n[1,2,3,4]\r\n \t\r\n\r\n[5,6,7,8]\r\n\r\n", "x float32[2 4] [1 2 3 4 5 6 7 8]"},
		{"scalars", "vector", "1\n2\n3", "v int64[3] [1 2 3]"},
		{"strings", "text", "\"a\"\n\"b\\n\"\n", "t string[2] [a b\n]"},
		{"objects", "mixed", `{"age":1,"job":"a"}` + "\n" + `{"job":"b","age":2}`, "age float32[2 1] [1 2]; job string[2 1] [a b]"},
		{"lists for many", "mixed", "[1,\"a\"]\n[2,\"b\"]", "age float32[2 1] [1 2]; job string[2 1] [a b]"},
		{"features in each form", "iris", `{"features":[1,2,3,4]}` + "\n" + `{"data":{"features":{"values":[5,6,7,8]}}}` + "\n" + `[9,10,11,12]`, "x float32[3 4] [1 2 3 4 5 6 7 8 9 10 11 12]"},
		{"features of an image", "image", `{"features":[1,2,3,4]}`, "img uint8[1 1 2 2] [1 2 3 4]"},
		{"a byte order mark", "vector", "\ufeff1", "v int64[1] [1]"},
		{"no model", "any", `{"a":1}` + "\n" + `{"a":0.5}`, "a float64[2] [1 0.5]"},
		{"no inputs", "none", "{}\n{}", ""},
	}
	for _, c := range cases {
		req := codec.Request{Want: models[c.model], Found: codec.Found{Dialect: codec.V2}}
		got, err := codec.JSONLines{}.Decode([]byte(c.body), &req)
		if err != nil || show(got) != c.want || req.Found.Dialect != codec.Rows {
			t.Errorf("%s: %q\n  is %s (%v)\nwant %s", c.name, c.body, show(got), err, c.want)
		}
	}
}

func TestBadJSONLinesAreRefusedWithTheirLine(t *testing.T) {
	cases := []struct{ name, model, body, want string }{
		{"a scalar after a row", "iris", "[1,2,3,4]\n[1,2,3,4] 5", `line 2, column 11: 5 where the end of the line`},
		{"a truncated line", "iris", "[1,2,3,4]\n\n[1,2,", `line 3, column 6: it ends where a value`},
		{"a line cut by the next", "iris", "[1,2,\n3,4]", `line 1, column 6: it ends where a value`},
		{"a value of another type", "iris", "[1,2,3,4]\n[1,2,\"x\",4]", `line 2, [2]: "x" where a number`},
		{"a value under a name", "mixed", `{"age":"x","job":"a"}`, `line 1, age: "x" where a number`},
		{"a missing input", "mixed", "{\"age\":1,\"job\":\"a\"}\n{\"age\":1}", `line 2: input "job" is missing`},
		{"a ragged line", "iris", "[1,2,3,4]\n[1,2,3]", `line 2: a list of 3 where 4`},
		{"a whole request", "iris", `{"instances":[[1,2,3,4]]}`, `line 1: no input is called "instances"; the inputs are "x"; a line is one row: "instances" belongs to application/json`},
		{"pretty-printed JSON", "iris", "[\n  [1,2,3,4]\n]", `line 1, column 2`},
		{"a wrong shape", "iris", "[1,2,3]", `input "x": shape [1,3] where [?,4]`},
		{"invalid UTF-8", "text", "\"a\"\n\"\xff\"", `line 2, column 2`},
	}
	for _, c := range cases {
		got, err := codec.JSONLines{}.Decode([]byte(c.body), &codec.Request{Want: models[c.model]})
		var e *codec.Error
		switch {
		case err == nil:
			t.Errorf("%s: %q was read as %s", c.name, c.body, show(got))
		case !errors.As(err, &e) || !errors.Is(err, runtime.ErrInput):
			t.Errorf("%s: %v is a %T", c.name, err, err)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %q\n  said %q\n  want %q", c.name, c.body, err, c.want)
		}
	}
}

func TestJSONLinesAnswerALineARow(t *testing.T) {
	two := []runtime.Tensor{
		{Name: "label", Shape: []int{2}, Data: []int64{1, 0}},
		{Name: "probabilities", Shape: []int{2, 2}, Data: []float32{0.25, 0.75, 1, 0}},
	}
	infos := []runtime.Info{input("label", runtime.Int64, -1), {Name: "probabilities", DType: runtime.Float32, Shape: []int{-1, 2}, Labels: []string{"no", "yes"}}}
	cases := []struct {
		name  string
		out   []runtime.Tensor
		reply codec.Reply
		want  string
	}{
		{"a classifier", two, codec.Reply{Infos: infos}, `{"label":1,"probabilities":[0.25,0.75]}` + "\n" + `{"label":0,"probabilities":[1,0]}`},
		{"with a newline at the end", two[1:], codec.Reply{Trailing: true}, "[0.25,0.75]\n[1,0]\n"},
		{"by label", two, codec.Reply{Infos: infos, Params: map[string]string{"probabilities": "map"}}, `{"label":1,"probabilities":{"no":0.25,"yes":0.75}}` + "\n" + `{"label":0,"probabilities":{"no":1,"yes":0}}`},
		{"several outputs", two, codec.Reply{}, `{"label":1,"probabilities":[0.25,0.75]}` + "\n" + `{"label":0,"probabilities":[1,0]}`},
		{"no rows", []runtime.Tensor{{Name: "y", Shape: []int{0, 3}, Data: []float32{}}}, codec.Reply{Trailing: true}, ""},
	}
	for _, c := range cases {
		got, err := codec.JSONLines{}.Encode([]byte(">"), c.out, &c.reply)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%s: %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
	_, err := codec.JSONLines{}.Encode(nil, []runtime.Tensor{{Name: "y", Data: []float32{1}}}, &codec.Reply{})
	if !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("a reply without rows: %v", err)
	}
}
