package codec_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestSparseMatricesAreWhatSciPyMakesOfThem(t *testing.T) {
	decodeCases(t, codec.NPZ{}, "sparse")
}

// sparseFile is a file of int64 arrays, float32 data and a format, some of
// them changed.
func sparseFile(t testing.TB, changes map[string]any) []byte {
	t.Helper()
	arrays := map[string]any{"format": "csr", "shape": []int64{2, 3}, "data": []float32{1, 2}, "indices": []int64{0, 2}, "indptr": []int64{0, 1, 2}}
	maps.Copy(arrays, changes)
	var members []member
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		var file []byte
		header := func(descr, shape string) string {
			return fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
		}
		switch v := arrays[name].(type) {
		case nil:
			continue
		case string:
			file = npy(header(fmt.Sprintf("|S%d", len(v)), ""), []byte(v))
		case []float32:
			file = npy(header("<f4", fmt.Sprintf("%d,", len(v))), runtime.Bytes(v))
		case []int64:
			file = npy(header("<i8", fmt.Sprintf("%d,", len(v))), runtime.Bytes(v))
		case []uint64:
			file = npy(header("<u8", fmt.Sprintf("%d,", len(v))), runtime.Bytes(v))
		case []byte:
			file = v
		}
		members = append(members, member{name + ".npy", file, zip.Store})
	}
	return zipped(t, members...)
}

func TestSparseMatricesThatAreNotWhatTheyClaimAreRefused(t *testing.T) {
	type arrays = map[string]any
	one := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 3}}}
	open := []runtime.Info{{Name: "x", DType: runtime.Float64, Shape: []int{-1, -1}}}
	coo := func(row, col []int64) arrays {
		return arrays{"format": "coo", "indices": nil, "indptr": nil, "row": row, "col": col}
	}
	if in, err := (codec.NPZ{}).Decode(sparseFile(t, nil), &codec.Request{Want: one}); err != nil || !sameTensor(in[0], runtime.Tensor{Name: "x", Shape: []int{2, 3}, Data: []float32{1, 0, 0, 0, 0, 2}}) {
		t.Fatalf("the file that the others are made from: %v, %v", in, err)
	}
	for _, c := range []struct {
		name    string
		changes arrays
		want    []runtime.Info
		err     string
	}{
		{"another format", arrays{"format": "bsr"}, one, `array "format": a matrix in format "bsr"; csr, csc and coo are read: save m.tocsr()`},
		{"a format that is a number", arrays{"format": []float32{1}}, one, `array "format": it is not one string`},
		{"three dimensions", arrays{"shape": []int64{2, 3, 1}}, one, "a sparse array of 3 dimensions"},
		{"a negative shape", arrays{"shape": []int64{2, -3}}, one, "the dimension -3"},
		{"a shape beyond counting", arrays{"shape": []uint64{2, 1 << 63}}, one, `array "shape": element 1: 9223372036854775808 is outside the range of int64`},
		{"a shape of floats", arrays{"shape": []float32{2, 3}}, one, "float32 where integers are wanted"},
		{"too wide", arrays{"shape": []int64{2, 4}}, one, "shape [2,4] where [?,3] is wanted"},
		{"too narrow", arrays{"shape": []int64{2, 2}}, one, "shape [2,2] where [?,3] is wanted"},
		{"of 16 TB", arrays{"shape": []int64{2, 1 << 40}}, open, "send fewer rows at a time"},
		{"of more than memory has addresses for", arrays{"shape": []int64{1 << 62, 1 << 62}}, open, "send fewer rows at a time"},
		{"many rows", arrays{"shape": []int64{1 << 40, 3}}, one, "send fewer rows at a time"},
		{"rows without columns", arrays{"shape": []int64{1<<63 - 1, 0}}, open, "the dimension 9223372036854775807"},
		{"no indptr", arrays{"indptr": nil}, one, `the sparse matrix has no array "indptr"`},
		{"no indices", arrays{"indices": nil}, one, `has no array "indices"`},
		{"indptr of another shape's", arrays{"indptr": []int64{0, 2}}, one, `array "indptr": shape [2] where [3] is wanted`},
		{"indptr not from 0", arrays{"indptr": []int64{1, 1, 2}}, one, `array "indptr", element 0: 1 where 0 is wanted`},
		{"indptr falling", arrays{"indptr": []int64{0, 2, 1}}, one, `array "indptr", element 2: 1 after 2`},
		{"indptr negative", arrays{"indptr": []int64{0, -1, 2}}, one, `array "indptr", element 1: -1 after 0`},
		{"indptr beyond the data", arrays{"indptr": []int64{0, 1, 3}}, one, `array "indptr", element 2: 3 after 1, with 2 elements`},
		{"fewer indices", arrays{"indices": []int64{0}}, one, `array "indices": shape [1] where [2] is wanted`},
		{"an index beyond the columns", arrays{"indices": []int64{0, 3}}, one, `array "indices", element 1: 3 in a matrix of shape [2,3]`},
		{"a negative index", arrays{"indices": []int64{-1, 2}}, one, `array "indices", element 0: -1 in`},
		{"an index beyond the rows", arrays{"format": "csc", "indptr": []int64{0, 1, 2, 2}}, one, `array "indices", element 1: 2 in`},
		{"a row beyond the rows", coo([]int64{0, 2}, []int64{0, 0}), one, "element 1: row 2, column 0 in a matrix of shape [2,3]"},
		{"a column beyond the columns", coo([]int64{0, 1}, []int64{0, 3}), one, "element 1: row 1, column 3"},
		{"a negative row", coo([]int64{0, -1}, []int64{0, 0}), one, "element 1: row -1"},
		{"no columns", coo([]int64{0, 1}, nil), one, `array "col"`},
		{"coords of one dimension", arrays{"format": "coo", "coords": []int64{0, 1, 0, 1}}, one, `array "coords": shape [4] where [2,2] is wanted`},
		{"data of strings", arrays{"data": "ab"}, one, `array "data"`},
		{"data of halves", arrays{"data": npy("{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", make([]byte, 4))}, one, "type float16"},
		{"data of two dimensions", arrays{"data": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", make([]byte, 8))}, one, "2 dimensions"},
		{"odd bools", arrays{"data": npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", []byte{1, 2})}, one, "element 1: a bool is the byte 2"},
		{"data that is no array", arrays{"data": []byte("hello")}, one, `array "data", byte 0`},
		{"fractions for an int", arrays{"data": []float32{1, 2.5}}, []runtime.Info{{Name: "x", DType: runtime.Int32, Shape: []int{-1, 3}}}, `input "x": element 5: 2.5 is not a whole number`},
	} {
		in, err := codec.NPZ{}.Decode(sparseFile(t, c.changes), &codec.Request{Want: c.want})
		var e *codec.Error
		if !errors.As(err, &e) || e.Format != "NPZ" || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v\nwant an error with %q", c.name, in, err, c.err)
		}
	}
}

func FuzzSparse(f *testing.F) {
	f.Add("csr", uint16(2), uint16(3), []byte{0, 2}, []byte{0, 1, 2}, []byte{1, 2})
	f.Add("csc", uint16(2), uint16(3), []byte{0, 1}, []byte{0, 1, 2, 2}, []byte{1, 2})
	f.Add("coo", uint16(2), uint16(3), []byte{0, 1}, []byte{0, 2}, []byte{1, 2})
	f.Add("coo", uint16(65535), uint16(65535), []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, format string, rows, cols uint16, first, second, data []byte) {
		int64s := func(b []byte) []int64 {
			v := make([]int64, len(b))
			for i := range b {
				v[i] = int64(int8(b[i]))
			}
			return v
		}
		values := make([]float32, len(data))
		for i, v := range data {
			values[i] = float32(v)
		}
		body := sparseFile(t, map[string]any{"format": format, "shape": []int64{int64(rows), int64(cols)}, "data": values,
			"indices": int64s(first), "indptr": int64s(second), "row": int64s(first), "col": int64s(second)})
		in, err := codec.NPZ{}.Decode(body, &codec.Request{})
		if err != nil {
			return
		}
		if err := in[0].Check(); err != nil || !slices.Equal(in[0].Shape, []int{int(rows), int(cols)}) {
			t.Fatal(in[0].Shape, err)
		}
		if size := len(runtime.Bytes(in[0].Data)); size > 64<<20+20*len(body) {
			t.Fatalf("%d bytes became %d", len(body), size)
		}
		var sum, given float64
		for _, v := range in[0].Data.([]float32) {
			sum += float64(v)
		}
		for i, v := range values {
			if format == "coo" || i < int(int8(second[len(second)-1])) {
				given += float64(v)
			}
		}
		if sum != given { // small integers: exact
			t.Fatalf("the elements given sum to %v, those written out to %v", given, sum)
		}
	})
}

// FuzzSparseFile is for the bytes of a file rather than for its arrays.
func FuzzSparseFile(f *testing.F) {
	for _, c := range cases(f, "sparse") {
		f.Add(c.Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := codec.NPZ{}.Decode(body, &codec.Request{Want: []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, -1}}}})
		if err != nil {
			return
		}
		if err := in[0].Check(); err != nil {
			t.Fatal(err)
		}
	})
}
