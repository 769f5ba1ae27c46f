package codec_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// What a body claims to become is checked before memory is taken for it, and
// what it does become is bounded by its size.
func TestABodyTakesNoMoreMemoryThanItsSizeAllows(t *testing.T) {
	open := []runtime.Info{{Name: "x", DType: runtime.Float64, Shape: []int{-1, -1}}}
	four := []runtime.Info{{Name: "x", DType: runtime.Float64, Shape: []int{-1, 4}}}
	const mib = 1 << 20
	ones := bytes.Repeat([]byte{1}, mib)
	keys := func(n int) []byte {
		v := make([]uint64, n)
		for i := range v {
			v[i] = uint64(n - 1 - i)
		}
		return varints(2, v...)
	}
	for _, c := range []struct {
		name  string
		codec codec.Codec
		body  []byte
		want  []runtime.Info
		err   bool
		most  uint64
	}{
		{"a record of 8 TB", codec.RecordIO{}, frame(feature("values", 2, varints(3, 1e12))), open, true, mib},
		{"a key of 8 TB", codec.RecordIO{}, frame(feature("values", 2, float32s(1), varints(2, 1e12))), open, true, mib},
		{"records without anything", codec.RecordIO{}, bytes.Repeat(frame(nil), mib/8), four, true, mib},
		{"a frame of 4 GiB", codec.RecordIO{}, append([]byte("\x0a\x23\xd7\xce\xff\xff\xff\xff"), ones...), open, true, mib},
		{"ints of a byte", codec.RecordIO{}, frame(feature("values", 7, message(1, ones))), open, false, 24 * mib},
		{"strings of nothing", codec.RecordIO{}, frame(feature("values", 9, bytes.Repeat([]byte{0x0a, 0}, mib/2))), nil, false, 24 * mib},
		{"keys downwards", codec.RecordIO{}, frame(feature("values", 7, message(1, ones[:100000]), keys(100000))), open, false, 24 * mib},
		{"an index of 8 TB", codec.LibSVM{}, []byte("1 1000000000000:1"), open, true, mib},
		{"colons", codec.LibSVM{}, bytes.Repeat([]byte{':'}, mib), open, true, 8 * mib},
		{"labels", codec.LibSVM{}, bytes.Repeat([]byte("1\n"), mib/2), four, false, 48 * mib},
		{"pairs", codec.LibSVM{}, []byte(strings.Repeat("1:1\n", mib/4)), four, false, 32 * mib},
		{"a matrix of 8 TB", codec.NPZ{}, sparseFile(t, map[string]any{"shape": []int64{2, 1e12}}), open, true, mib},
	} {
		var err error
		n := allocated(func() { _, err = c.codec.Decode(c.body, &codec.Request{Want: c.want}) })
		if n > c.most || (err != nil) != c.err {
			t.Errorf("%s: %d bytes took %d, want at most %d; error %v, want one: %t", c.name, len(c.body), n, c.most, err, c.err)
		}
	}
}

// XGBoost takes what a sparse row does not name for missing, which is NaN once
// the row is dense; a zero that is given stays one.
func TestWhatASparseRowDoesNotNameIsNaNWhereThatIsAskedFor(t *testing.T) {
	nan := float32(math.NaN())
	three := runtime.Info{Name: "x", DType: runtime.Float32, Shape: []int{-1, 3}}
	body := bytes.Join([][]byte{
		frame(feature("values", 7, varints(1, 0, 5), varints(2, 0, 2))),
		frame(feature("values", 2, varints(3, 3))),
		frame(feature("values", 2, float32s(1, 0, 2))),
	}, nil)
	records := []float32{0, nan, 5, nan, nan, nan, 1, 0, 2}
	matrix := sparseFile(t, map[string]any{"data": []float32{0, 2}})
	for _, c := range []struct {
		codec codec.Codec
		body  []byte
		want  []float32
	}{
		{codec.RecordIO{}, body, records},
		{codec.LibSVM{}, []byte("1:0 3:5\n0\n1:1 2:0 3:2"), records},
		{codec.NPZ{}, matrix, []float32{0, nan, nan, nan, nan, 2}},
	} {
		for _, r := range []codec.Request{{Params: map[string]string{"missing": "nan"}}, {Options: &codec.Options{Sparse: codec.SparseOptions{MissingNaN: true}}}} {
			r.Want = []runtime.Info{three}
			in, err := c.codec.Decode(c.body, &r)
			if err != nil || !sameTensor(in[0], runtime.Tensor{Name: "x", Shape: []int{len(c.want) / 3, 3}, Data: c.want}) {
				t.Errorf("%T: %v, %v; want %v", c.codec, in, err, c.want)
			}
			r.Want = []runtime.Info{{Name: "x", DType: runtime.Int64, Shape: []int{-1, 3}}}
			if in, err := c.codec.Decode(c.body, &r); !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), "NaN") {
				t.Errorf("%T for integers: %v, %v", c.codec, in, err)
			}
		}
		r := codec.Request{Want: []runtime.Info{three}, Params: map[string]string{"missing": "mean"}}
		if _, err := c.codec.Decode(c.body, &r); !errors.Is(err, codec.ErrMediaType) {
			t.Errorf("%T with missing=mean: %v", c.codec, err)
		}
	}
}
