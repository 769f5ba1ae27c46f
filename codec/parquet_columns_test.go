package codec_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// named is a Parquet file of columns, of which row i of the one at j is
// 10*i+j.
func named(t testing.TB, rows int, names ...string) []byte {
	t.Helper()
	out := make([]runtime.Tensor, len(names))
	for j, name := range names {
		data := make([]float64, rows)
		for i := range data {
			data[i] = float64(10*i + j)
		}
		out[j] = tensor(name, data, rows)
	}
	body, err := codec.Parquet{}.Encode(nil, out, &codec.Reply{})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestColumnsGoToInputsByNameElseInOrder(t *testing.T) {
	f32, i64 := runtime.Float32, runtime.Int64
	for _, c := range []struct {
		says    string
		columns string
		want    []runtime.Info
		in      []runtime.Tensor
	}{
		{"one input takes all", "a b c", []runtime.Info{info("x", f32, -1, 3)},
			[]runtime.Tensor{tensor("x", []float32{0, 1, 2, 10, 11, 12}, 2, 3)}},
		{"its width may be open", "a b c", []runtime.Info{info("x", i64, -1, -1)},
			[]runtime.Tensor{tensor("x", []int64{0, 1, 2, 10, 11, 12}, 2, 3)}},
		{"a row may have more dimensions", "a b c d", []runtime.Info{info("x", i64, -1, 2, 2)},
			[]runtime.Tensor{tensor("x", []int64{0, 1, 2, 3, 10, 11, 12, 13}, 2, 2, 2)}},
		{"the batch may be fixed", "a b", []runtime.Info{info("x", i64, 2, 2)},
			[]runtime.Tensor{tensor("x", []int64{0, 1, 10, 11}, 2, 2)}},
		{"one column is a vector, too", "a", []runtime.Info{info("x", f32, -1)}, []runtime.Tensor{tensor("x", []float32{0, 10}, 2)}},
		{"by name, in any order", "b c a", []runtime.Info{info("a", f32, -1, 1), info("b", i64, -1), info("c", runtime.Float64, -1, 1)},
			[]runtime.Tensor{tensor("a", []float32{2, 12}, 2, 1), tensor("b", []int64{0, 10}, 2), tensor("c", []float64{1, 11}, 2, 1)}},
		{"in order where the names are others", "q p", []runtime.Info{info("a", f32, -1, 1), info("b", f32, -1, 1)},
			[]runtime.Tensor{tensor("a", []float32{0, 10}, 2, 1), tensor("b", []float32{1, 11}, 2, 1)}},
		{"several columns each", "p q r", []runtime.Info{info("a", f32, -1, 1), info("b", f32, -1, 2)},
			[]runtime.Tensor{tensor("a", []float32{0, 10}, 2, 1), tensor("b", []float32{1, 2, 11, 12}, 2, 2)}},
		{"the open one takes what the others leave", "p q r s", []runtime.Info{info("a", f32, -1, 1), info("b", f32, -1, -1), info("c", f32, -1)},
			[]runtime.Tensor{tensor("a", []float32{0, 10}, 2, 1), tensor("b", []float32{1, 2, 11, 12}, 2, 2), tensor("c", []float32{3, 13}, 2)}},
		{"pandas' index is passed over", "a __index_level_0__ b __index_level_11__", []runtime.Info{info("x", i64, -1, 2)},
			[]runtime.Tensor{tensor("x", []int64{0, 2, 10, 12}, 2, 2)}},
		{"but not where an input has its name", "b __index_level_0__", []runtime.Info{info("__index_level_0__", i64, -1), info("b", i64, -1)},
			[]runtime.Tensor{tensor("__index_level_0__", []int64{1, 11}, 2), tensor("b", []int64{0, 10}, 2)}},
		{"an input of no columns", "a", []runtime.Info{info("none", f32, -1, 0), info("x", f32, -1, 1)},
			[]runtime.Tensor{tensor("none", []float32{}, 2, 0), tensor("x", []float32{0, 10}, 2, 1)}},
	} {
		in, err := codec.Parquet{}.Decode(named(t, 2, strings.Fields(c.columns)...), &codec.Request{Want: c.want})
		if err != nil || !slices.EqualFunc(in, c.in, sameTensor) {
			t.Errorf("%s: %v, %v; want %v", c.says, in, err, c.in)
		}
	}
}

func TestColumnsThatDoNotFitTheModelAreRefused(t *testing.T) {
	f32 := runtime.Float32
	a, b, open := info("a", f32, -1, 1), info("b", f32, -1, 1), info("open", f32, -1, -1)
	sequence := runtime.Info{Name: "s", Kind: runtime.KindSequence, DType: f32}
	for _, c := range []struct {
		columns string
		want    []runtime.Info
		err     string
	}{
		{"p q r", []runtime.Info{info("x", f32, -1, 4)}, `input "x": shape [2,3] where [?,4] is wanted`},
		{"p q", []runtime.Info{info("x", f32, 3, 2)}, `input "x": shape [2,2] where [3,2] is wanted`},
		{"p q r", []runtime.Info{a, b}, `3 columns ("p", "q", "r"), the model takes a, b`},
		{"p", []runtime.Info{a, info("c", f32, -1, 2)}, `1 columns ("p"), the model takes a, 2 for c`},
		{"p", []runtime.Info{open, a}, `1 columns ("p"), the model takes any number for open, a`},
		{"p q r", []runtime.Info{open, info("more", f32, -1, -1)}, `inputs "open" and "more" both take any number of columns`},
		{"p a", []runtime.Info{a, b}, `column "a": in its place the model takes "b"`},
		{"a b label", []runtime.Info{a, b}, "3 columns"},
		{"p q", []runtime.Info{a, sequence}, `input "s" is not a tensor`},
		{"a s", []runtime.Info{a, sequence}, `input "s" is not a tensor`},
		{"p", []runtime.Info{{Name: "c", DType: 99, Shape: []int{-1}}}, `input "c" is not a tensor of a known type`},
		{"p", []runtime.Info{}, "the model takes no inputs"},
		{"p", []runtime.Info{info("x", runtime.String, -1)}, `column "p": float64 where string is wanted`},
		{"p q", []runtime.Info{info("x", runtime.Bool, -1, 2)}, `column "p": element 1: 10 is not a bool`},
		{"p q", []runtime.Info{info("x", runtime.Uint8, -1, 2)}, ""},
	} {
		_, err := codec.Parquet{}.Decode(named(t, 2, strings.Fields(c.columns)...), &codec.Request{Want: c.want})
		if c.err == "" && err == nil {
			continue
		}
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want an error with %q", c.columns, err, c.err)
		}
	}
}

// lists are the columns float32[3], int64[2], string[2], float64[1] and
// bool[9] of 20 rows.
func lists(t testing.TB, archive string) []byte { return tables(t, archive)["lists"] }

func TestListColumnsAreRows(t *testing.T) {
	archives := map[string]codec.Codec{"parquet.zip": codec.Parquet{}, "arrow.zip": codec.Arrow{}}
	for archive, c := range archives {
		want := []runtime.Info{info("int64[2]", runtime.Float64, -1, 2), info("float32[3]", runtime.Float64, 20, 3, 1),
			info("bool[9]", runtime.Bool, -1, 3, 3), info("string[2]", runtime.String, -1, -1), info("float64[1]", runtime.Float32, -1, 1)}
		in, err := c.Decode(lists(t, archive), &codec.Request{Want: want})
		if err != nil {
			t.Errorf("%s by name: %v", archive, err)
			continue
		}
		for i, shape := range [][]int{{20, 2}, {20, 3, 1}, {20, 3, 3}, {20, 2}, {20, 1}} {
			if !slices.Equal(in[i].Shape, shape) || in[i].DType() != want[i].DType {
				t.Errorf("%s: %v %v, want %v", archive, in[i].DType(), in[i].Shape, shape)
			}
		}
		if v := in[0].Data.([]float64)[39]; v != 39 {
			t.Errorf("%s: %v", archive, v)
		}
		for i := range want {
			want[i].Name = "another"
		}
		want[0], want[1] = want[1], want[0]
		want[3], want[2] = want[2], want[3]
		want[3], want[4] = want[4], want[3]
		if _, err = c.Decode(lists(t, archive), &codec.Request{Want: want}); err != nil {
			t.Errorf("%s in order: %v", archive, err)
		}
		_, err = c.Decode(tables(t, archive)["varlists"], &codec.Request{Want: []runtime.Info{info("x", runtime.Float32, -1, 5)}})
		if err == nil || !strings.Contains(err.Error(), `column "string[2]": string where float32 is wanted`) {
			t.Errorf("%s: %v", archive, err)
		}
	}
}

func TestListAndScalarColumnsLieSideBySideInOneInput(t *testing.T) {
	whole := info("x", runtime.Float32, -1, 5)
	parts := []runtime.Info{info("a", runtime.Float32, -1, 1), info("b", runtime.Float32, -1, 3), info("c", runtime.Float32, -1, 1)}
	for archive, c := range map[string]codec.Codec{"parquet.zip": codec.Parquet{}, "arrow.zip": codec.Arrow{}} {
		body := tables(t, archive)["mixed"]
		in, err := c.Decode(body, &codec.Request{Want: []runtime.Info{whole}})
		if err != nil {
			t.Fatalf("%s: %v", archive, err)
		}
		split, err := c.Decode(body, &codec.Request{Want: parts})
		if err != nil {
			t.Fatalf("%s: %v", archive, err)
		}
		for r := range 20 {
			v := float32(r)
			row := []float32{v / 4, 3 * v / 4, (3*v + 1) / 4, (3*v + 2) / 4, v}
			if have := in[0].Data.([]float32)[5*r : 5*r+5]; !slices.Equal(have, row) {
				t.Errorf("%s: %v, want %v", archive, have, row)
			}
			if split[0].Data.([]float32)[r] != row[0] || split[1].Data.([]float32)[3*r+2] != row[3] || split[2].Data.([]float32)[r] != row[4] {
				t.Errorf("%s: row %d of %v", archive, r, split)
			}
		}
	}
}

// A null is NaN where the input has it.
func TestNullsAreNaNInFloatsAndRefusedElsewhere(t *testing.T) {
	for archive, c := range map[string]codec.Codec{"parquet.zip": codec.Parquet{}, "arrow.zip": codec.Arrow{}} {
		body := tables(t, archive)["nulls"]
		for _, d := range []runtime.DType{runtime.Float32, runtime.Float64, runtime.Float16, runtime.BFloat16, runtime.Float8E4M3FNUZ} {
			in, err := c.Decode(body, &codec.Request{Want: []runtime.Info{info("x", d, -1, 11)}})
			if err != nil {
				t.Errorf("%s, %v: %v", archive, d, err)
				continue
			}
			values, err := codec.Convert(runtime.Float64, in[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range values.([]float64) {
				if row := i / 11; math.IsNaN(v) != (row%5 == 2) {
					t.Fatalf("%s, %v: row %d is %v", archive, d, row, v)
				}
			}
		}
		for _, d := range []runtime.DType{runtime.Int64, runtime.Uint8, runtime.String, runtime.Bool} {
			_, err := c.Decode(body, &codec.Request{Want: []runtime.Info{info("x", d, -1, 11)}})
			if err == nil || !strings.Contains(err.Error(), "row 2 is null, and "+d.String()+" is wanted") {
				t.Errorf("%s, %v: %v", archive, d, err)
			}
		}
	}
}

func TestAColumnOfNothingButNullsIsNaN(t *testing.T) {
	for archive, c := range map[string]codec.Codec{"parquet.zip": codec.Parquet{}, "arrow.zip": codec.Arrow{}} {
		in, err := c.Decode(tables(t, archive)["allnull"], &codec.Request{Want: []runtime.Info{info("x", runtime.Float32, -1)}})
		if err != nil {
			t.Errorf("%s: %v", archive, err)
			continue
		}
		if v := in[0].Data.([]float32); len(v) != 3 || v[0] == v[0] || v[1] == v[1] || v[2] == v[2] {
			t.Errorf("%s: %v", archive, v)
		}
	}
}

func TestATableWithoutRowsIsNoRows(t *testing.T) {
	for archive, c := range map[string]codec.Codec{"parquet.zip": codec.Parquet{}, "arrow.zip": codec.Arrow{}} {
		in, err := c.Decode(tables(t, archive)["empty"], &codec.Request{Want: []runtime.Info{
			info("float32", runtime.Float32, -1, 1), info("string", runtime.String, -1), info("float32[3]", runtime.Int64, -1, 3)}})
		if err != nil || !slices.Equal(in[0].Shape, []int{0, 1}) || !slices.Equal(in[1].Shape, []int{0}) || !slices.Equal(in[2].Shape, []int{0, 3}) {
			t.Errorf("%s: %v, %v", archive, in, err)
		}
	}
}
