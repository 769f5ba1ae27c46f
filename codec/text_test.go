package codec_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestTheWholeTextIsOneString(t *testing.T) {
	for _, c := range []struct {
		info  runtime.Info
		shape []int
	}{
		{runtime.Info{DType: runtime.String, Shape: []int{-1}}, []int{1}},
		{runtime.Info{DType: runtime.String, Shape: []int{1}}, []int{1}},
		{runtime.Info{DType: runtime.String, Shape: []int{-1, 1}}, []int{1, 1}},
		{runtime.Info{DType: runtime.String, Shape: []int{1, -1}}, []int{1, 1}},
		{runtime.Info{DType: runtime.String}, nil},
		{runtime.Info{DType: runtime.String, Unranked: true}, []int{1}},
	} {
		for _, text := range []string{"hello", "two\nlines\r\n", "ünïcode\x00", " "} {
			r := codec.Request{Want: []runtime.Info{c.info}}
			in, err := codec.Text{}.Decode([]byte("\ufeff"+text), &r)
			if err != nil || !sameTensor(in[0], runtime.Tensor{Shape: c.shape, Data: []string{text}}) || r.Found.Dialect != codec.Rows {
				t.Errorf("%q for %v: %v, %v", text, c.info, in, err)
				continue
			}
			body, err := codec.Text{}.Encode([]byte("before"), in, &codec.Reply{})
			if err != nil || string(body) != "before"+text {
				t.Errorf("%q became %q, %v", text, body, err)
			}
		}
	}
	if in, err := (codec.Text{}).Decode([]byte("a"), &codec.Request{}); err != nil || !sameTensor(in[0], runtime.Tensor{Shape: []int{1}, Data: []string{"a"}}) {
		t.Errorf("no model: %v, %v", in, err)
	}
}

func TestTextThatDoesNotFitIsRefused(t *testing.T) {
	one := runtime.Info{Name: "x", DType: runtime.String, Shape: []int{-1}}
	for _, c := range []struct {
		body string
		want []runtime.Info
		err  string
	}{
		{"1,2", []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 2}}}, `text for input "x", which takes float32: send text/csv`},
		{"a", []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{-1, 2}}}, "shape [1] where [?,2] is wanted"},
		{"a", []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{5}}}, "shape [1] where [5]"},
		{"a", []runtime.Info{one, one}, "with 2 inputs: send application/json"},
		{"caf\xe9", []runtime.Info{one}, "byte 3: 0xe9 is not UTF-8"},
	} {
		in, err := codec.Text{}.Decode([]byte(c.body), &codec.Request{Want: c.want})
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q for %v: %v, %v; want an error with %q", c.body, c.want, in, err, c.err)
		}
	}
	if _, err := (codec.Text{}).Decode(nil, &codec.Request{Want: []runtime.Info{one}}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

func TestTextIsOneValueALine(t *testing.T) {
	classes := []runtime.Info{{Name: "label"}, {Name: "p", Labels: []string{"0", "1"}}}
	scores := runtime.Tensor{Name: "p", Shape: []int{2, 2}, Data: make([]float32, 4)}
	for _, c := range []struct {
		out   []runtime.Tensor
		infos []runtime.Info
		text  string
	}{
		{[]runtime.Tensor{{Shape: []int{2}, Data: []string{"a", ""}}}, nil, "a\n"},
		{[]runtime.Tensor{{Shape: []int{2, 1}, Data: []string{"a", "ü"}}}, nil, "a\nü"},
		{[]runtime.Tensor{{Shape: []int{3, 1}, Data: []float32{0.5, 1e-9, 2}}}, nil, "0.5\n1e-9\n2"},
		{[]runtime.Tensor{{Name: "label", Shape: []int{2}, Data: []int64{7, -7}}, scores}, classes, "7\n-7"},
		{[]runtime.Tensor{{Name: "label", Shape: []int{2}, Data: []string{"setosa", "virginica"}}, scores}, classes, "setosa\nvirginica"},
		{[]runtime.Tensor{{Shape: []int{0}, Data: []string{}}}, nil, ""},
	} {
		for _, trailing := range []bool{false, true} {
			want := c.text
			if trailing && runtime.Len(c.out[0].Data) > 0 {
				want += "\n"
			}
			body, err := codec.Text{}.Encode(nil, c.out, &codec.Reply{Infos: c.infos, Trailing: trailing})
			if err != nil || string(body) != want {
				t.Errorf("%v: %q, %v; want %q", c.out, body, err, want)
			}
		}
	}
}

func TestWhatIsNoTextIsNotAcceptable(t *testing.T) {
	for _, c := range []struct {
		out []runtime.Tensor
		err string
	}{
		{nil, "there are 0 outputs"},
		{[]runtime.Tensor{{Name: "a", Shape: []int{1}, Data: []string{"a"}}, {Name: "b", Shape: []int{1}, Data: []string{"b"}}}, "there are 2 outputs"},
		{[]runtime.Tensor{{Name: "p", Shape: []int{2, 2}, Data: make([]float32, 4)}}, `output "p" has rows of shape [2]`},
		{[]runtime.Tensor{{Name: "s", Shape: []int{2}, Data: []string{"a", "b\n"}}}, `string 1 of output "s" holds a line end`},
		{[]runtime.Tensor{{Name: "s", Data: []runtime.Tensor{}}}, "is a sequence or a map"},
	} {
		body, err := codec.Text{}.Encode(nil, c.out, &codec.Reply{})
		if !errors.Is(err, codec.ErrNotAcceptable) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %q, %v; want an error with %q", c.out, body, err, c.err)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("hello"))
	f.Add([]byte("caf\xe9"))
	f.Add([]byte("\ufeff\ufeff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := codec.Text{}.Decode(body, &codec.Request{})
		if err != nil {
			if utf8.Valid(body) && len(body) > 0 {
				t.Fatal(err)
			}
			return
		}
		again, err := codec.Text{}.Encode(nil, in, &codec.Reply{})
		if err != nil || string(again) != strings.TrimPrefix(string(body), "\ufeff") {
			t.Fatalf("%q became %q, %v", body, again, err)
		}
	})
}
