package codec_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

var numericTypes = []runtime.DType{runtime.Float32, runtime.Uint8, runtime.Int8, runtime.Uint16, runtime.Int16, runtime.Int32, runtime.Int64, runtime.Bool,
	runtime.Float16, runtime.Float64, runtime.Uint32, runtime.Uint64, runtime.BFloat16, runtime.Float8E4M3FN, runtime.Float8E4M3FNUZ, runtime.Float8E5M2, runtime.Float8E5M2FNUZ}

func TestRawBytesOfEveryTypeAreReadAndWritten(t *testing.T) {
	for _, d := range numericTypes {
		data := runtime.Make(d, 6)
		for i := range runtime.Bytes(data) {
			runtime.Bytes(data)[i] = byte(i % 2)
		}
		body, err := codec.Raw{}.Encode([]byte("1234567"), []runtime.Tensor{{Name: "y", Shape: []int{2, 3}, Data: data}}, &codec.Reply{})
		if err != nil || string(body) != "1234567"+string(runtime.Bytes(data)) {
			t.Errorf("%v: %q, %v", d, body, err)
			continue
		}
		for _, b := range [][]byte{body[7:], slices.Clone(body[7:])} { // not aligned, and aligned
			r := codec.Request{Want: []runtime.Info{{Name: "x", DType: d, Shape: []int{-1, 3}}}}
			in, err := codec.Raw{}.Decode(b, &r)
			if err != nil || !sameTensor(in[0], runtime.Tensor{Name: "x", Shape: []int{2, 3}, Data: data}) || r.Found.Dialect != codec.Rows {
				t.Errorf("%v: %v, %v", d, in, err)
			}
		}
	}
}

func TestRawBytesFillTheOneOpenDimension(t *testing.T) {
	for _, c := range []struct{ want, got []int }{
		{[]int{-1}, []int{24}}, {[]int{24}, []int{24}}, {[]int{2, -1}, []int{2, 12}}, {[]int{-1, 2, 3}, []int{4, 2, 3}}, {[]int{4, 3, 2}, []int{4, 3, 2}}, {[]int{2, -1, 4}, []int{2, 3, 4}},
	} {
		in, err := codec.Raw{}.Decode(make([]byte, 24*4), &codec.Request{Want: []runtime.Info{{DType: runtime.Float32, Shape: c.want}}})
		if err != nil || !slices.Equal(in[0].Shape, c.got) || in[0].Check() != nil {
			t.Errorf("%v: %v, %v; want %v", c.want, in, err, c.got)
		}
	}
	in, err := codec.Raw{}.Decode(make([]byte, 8), &codec.Request{Want: []runtime.Info{{DType: runtime.Float64}}})
	if err != nil || in[0].Check() != nil || len(in[0].Shape) != 0 {
		t.Errorf("rank 0: %v, %v", in, err)
	}
	in, err = codec.Raw{}.Decode([]byte{1, 2, 3}, &codec.Request{})
	if err != nil || !sameTensor(in[0], runtime.Tensor{Shape: []int{3}, Data: []uint8{1, 2, 3}}) {
		t.Errorf("no model: %v, %v", in, err)
	}
}

func TestAlignedRawBytesAreNotCopied(t *testing.T) {
	body := runtime.Bytes(make([]float64, 1<<10))
	want := []runtime.Info{{DType: runtime.Float64, Shape: []int{-1, 4}}}
	in, err := codec.Raw{}.Decode(body, &codec.Request{Want: want})
	if err != nil || &runtime.Bytes(in[0].Data)[0] != &body[0] {
		t.Errorf("%v", err)
	}
}

func TestRawBytesThatDoNotFitAreRefused(t *testing.T) {
	info := func(d runtime.DType, shape ...int) []runtime.Info {
		return []runtime.Info{{Name: "x", DType: d, Shape: shape}}
	}
	for _, c := range []struct {
		body []byte
		want []runtime.Info
		err  string
	}{
		{make([]byte, 17), info(runtime.Float32, -1, 4), `input "x" (float32 of shape [?,4]): 17 bytes where a multiple of 16 is wanted`},
		{make([]byte, 15), info(runtime.Float32, 1, 4), "of shape [1,4]): 15 bytes where 16 are wanted"},
		{make([]byte, 32), info(runtime.Float32, 1, 4), "32 bytes where 16"},
		{make([]byte, 4), info(runtime.Float32, -1, 0), "holds nothing"},
		{make([]byte, 4), info(runtime.Float32, -1, 1<<62, 1<<62), "more than can be counted"},
		{make([]byte, 16), info(runtime.Float32, -1, -1), "two open dimensions; send application/x-npy"},
		{make([]byte, 16), []runtime.Info{{Name: "x", DType: runtime.Float32, Unranked: true}}, "send application/x-npy"},
		{[]byte("hello"), info(runtime.String, -1), "send text/plain or application/json"},
		{[]byte{0, 1, 2, 1}, info(runtime.Bool, -1), "byte 2: a bool is 2, neither 0 nor 1"},
		{make([]byte, 16), append(info(runtime.Float32, -1), info(runtime.Float32, -1)...), "with 2 inputs: send application/x-npz"},
	} {
		in, err := codec.Raw{}.Decode(c.body, &codec.Request{Want: c.want})
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %v, %v\nwant an error with %q", c.want, in, err, c.err)
		}
	}
	if _, err := (codec.Raw{}).Decode(nil, &codec.Request{}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

func TestRawBytesHoldOneTensor(t *testing.T) {
	two := []runtime.Tensor{{Name: "label", Shape: []int{1}, Data: []int64{1}}, {Name: "p", Shape: []int{1, 2}, Data: []float32{0, 1}}}
	body, err := codec.Raw{}.Encode(nil, two, &codec.Reply{Params: map[string]string{"output": "p"}})
	if err != nil || string(body) != "\x00\x00\x00\x00\x00\x00\x80\x3f" {
		t.Errorf("%q, %v", body, err)
	}
	for _, c := range []struct {
		out []runtime.Tensor
		err string
	}{
		{two, `accept application/x-npz, or "application/octet-stream;output=p"`},
		{nil, "there is no output"},
		{[]runtime.Tensor{{Name: "y", Shape: []int{1}, Data: []string{"a"}}}, "accept application/json"},
		{[]runtime.Tensor{{Name: "y", Data: []runtime.Map{}}}, "accept application/json"},
	} {
		if _, err := (codec.Raw{}).Encode(nil, c.out, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %v, want an error with %q", c.out, err, c.err)
		}
	}
}

func FuzzRaw(f *testing.F) {
	f.Add([]byte("12345678"), uint8(0), -1, 2)
	f.Add([]byte{0, 1, 2}, uint8(7), -1, 1)
	f.Add([]byte{0}, uint8(9), 1<<62, 1<<62)
	f.Fuzz(func(t *testing.T, body []byte, n uint8, rows, cols int) {
		info := runtime.Info{Name: "x", DType: numericTypes[int(n)%len(numericTypes)], Shape: []int{max(rows, -1), max(cols, -1)}}
		in, err := codec.Raw{}.Decode(body, &codec.Request{Want: []runtime.Info{info}})
		if err != nil {
			return
		}
		if err := in[0].Check(); err != nil {
			t.Fatal(err)
		}
		again, err := codec.Raw{}.Encode(nil, in, &codec.Reply{})
		if err != nil || string(again) != string(body) {
			t.Fatalf("%q became %q, %v", body, again, err)
		}
	})
}
