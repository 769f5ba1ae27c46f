package codec_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestLibSVMRowsAreWhatScikitLearnReads(t *testing.T) {
	decodeCases(t, codec.LibSVM{}, "libsvm")
}

func TestLibSVMOptionsAreTheModelsUnlessTheRequestSaysOtherwise(t *testing.T) {
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 2}}}
	zeroBased := &codec.Options{LibSVM: codec.LibSVMOptions{ZeroBased: true}, Sparse: codec.SparseOptions{MissingNaN: true}}
	nan := float32(math.NaN())
	for _, c := range []struct {
		options *codec.Options
		params  map[string]string
		want    []float32
	}{
		{nil, nil, []float32{3, 0}},
		{zeroBased, nil, []float32{nan, 3}},
		{zeroBased, map[string]string{"index_base": "1"}, []float32{3, nan}},
		{zeroBased, map[string]string{"missing": "0"}, []float32{0, 3}},
		{nil, map[string]string{"index_base": "0", "missing": "NaN"}, []float32{nan, 3}},
	} {
		in, err := codec.LibSVM{}.Decode([]byte("1:3"), &codec.Request{Want: want, Options: c.options, Params: c.params})
		if err != nil || !sameTensor(in[0], runtime.Tensor{Name: "x", Shape: []int{1, 2}, Data: c.want}) {
			t.Errorf("%v %v: %v, %v", c.options, c.params, in, err)
		}
	}
	for _, params := range []map[string]string{{"index_base": "2"}, {"missing": "mean"}} {
		if _, err := (codec.LibSVM{}).Decode([]byte("1:3"), &codec.Request{Want: want, Params: params}); !errors.Is(err, codec.ErrMediaType) {
			t.Errorf("%v: %v", params, err)
		}
	}
}

func TestLibSVMRowsGoToAnyInputOfThatManyNumbers(t *testing.T) {
	for _, c := range []struct {
		body  string
		info  runtime.Info
		shape []int
		data  any
	}{
		{"1:5\n0\n1:7", runtime.Info{DType: runtime.Float32, Shape: []int{-1}}, []int{3}, []float32{5, 0, 7}},
		{"3:7", runtime.Info{DType: runtime.Int64, Shape: []int{4}}, []int{4}, []int64{0, 0, 7, 0}},
		{"2:1 1:0", runtime.Info{DType: runtime.Bool, Shape: []int{1, 2}}, []int{1, 2}, []bool{false, true}},
		{"2:1", runtime.Info{DType: runtime.Float16, Unranked: true}, []int{1, 2}, []runtime.F16{0, 0x3c00}},
		{"2:255", runtime.Info{DType: runtime.Uint8, Shape: []int{-1, 1, 2}}, []int{1, 1, 2}, []uint8{0, 255}},
	} {
		in, err := codec.LibSVM{}.Decode([]byte(c.body), &codec.Request{Want: []runtime.Info{c.info}})
		if err != nil || !sameTensor(in[0], runtime.Tensor{Shape: c.shape, Data: c.data}) {
			t.Errorf("%q for %v: %v, %v", c.body, c.info, in, err)
		}
	}
}

func TestLibSVMThatIsNotWhatItClaimsIsRefused(t *testing.T) {
	one := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 4}}}
	open := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, -1}}}
	ints := []runtime.Info{{Name: "x", DType: runtime.Int8, Shape: []int{-1, 4}}}
	for _, c := range []struct {
		body string
		want []runtime.Info
		err  string
	}{
		{"1 5:1", one, "line 1, column 3: index 5, where the input's row has 4 values (indices 1 to 4)"},
		{"1 1:1\n# two\n1 2:2 0:1", one, `line 3, column 7: index 0, and they are counted from 1; if yours are counted from 0, send "text/libsvm; index_base=0"`},
		{"1 99999999999999999999999999:1", one, "index 99999999999999999999999999, where"},
		{"1 99999999999999999999999999:1", open, "is beyond all bounds"},
		{"1 36028797018963967:1", open, "send fewer rows at a time"},
		{"1 1000000000:1", open, "send fewer rows at a time"},
		{"1 1:1\n1 2:1 1:3 2:5", one, "line 2, column 1: index 2 is there twice"},
		{"1 2:1 2:1", one, "index 2 is there twice"},
		{"1 2 3:1", one, "line 1, column 3: 2 is not index:value"},
		{"1 x:1", one, "x:1 is not index:value"},
		{"1 -1:1", one, "-1:1 is not index:value"},
		{"1 1.0:1", one, "1.0:1 is not index:value"},
		{"1 :1", one, ":1 is not index:value"},
		{"1 1: 2", one, "line 1, column 5: index 1 has no value"},
		{"1 1:x", one, "line 1, column 5: x is not a number, and float32 is wanted"},
		{"1 1:1,2", one, "1,2 is not a number"},
		{"1 1:1:2", one, "1:2 is not a number"},
		{"1 1:0x10", one, "0x10 is not a number"},
		{"1 1:1e39", one, "outside the range of float32"},
		{"1 1:1 qid:3", one, "qid:3 is not index:value"},
		{"5.1,3.5,1.4,0.2", one, "line 1, column 1: 5.1,3.5,1.4,0.2 is neither a label"},
		{"1,2 1:1", one, "1,2 is neither a label"},
		{`{"instances":[1]}`, one, "is not index:value"},
		{"setosa 1:1", one, "setosa is neither a label"},
		{"1 1:1.5", ints, "1.5 is not a whole number, and int8"},
		{"1 1:128", ints, "128 is outside the range of int8, -128 to 127"},
		{"1 1:nan", ints, "nan cannot be int8, which is finite only"},
		{"1 1:1\n1 2:1", []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{1, 4}}}, `input "x": shape [2,4] where [1,4] is wanted`},
		{"1 1:1", append(one, one...), "the model has 2"},
		{"1 1:1", []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{-1, 4}}}, "does not take numbers"},
	} {
		in, err := codec.LibSVM{}.Decode([]byte(c.body), &codec.Request{Want: c.want})
		var e *codec.Error
		if !errors.As(err, &e) || e.Format != "LibSVM" || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, %v\nwant an error with %q", c.body, in, err, c.err)
		}
	}
	_, err := codec.LibSVM{}.Decode([]byte("1:1"), &codec.Request{Want: ints, Params: map[string]string{"missing": "nan"}})
	if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), "and int8 has none") {
		t.Errorf("missing=nan for int8: %v", err)
	}
	for _, body := range []string{"", "\n", "# nothing\n\r\n  \t", "\ufeff"} {
		if _, err := (codec.LibSVM{}).Decode([]byte(body), &codec.Request{Want: one}); !errors.Is(err, codec.ErrEmpty) {
			t.Errorf("%q: %v", body, err)
		}
	}
	if _, err := (codec.LibSVM{}).Encode(nil, nil, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("Encode: %v", err)
	}
}

func FuzzLibSVM(f *testing.F) {
	for _, c := range cases(f, "libsvm") {
		f.Add(c.Body, uint8(0), c.Params["index_base"] == "0")
	}
	f.Add([]byte("1 1000000000:1"), uint8(1), true)
	dtypes := []runtime.DType{runtime.Float32, runtime.Float64, runtime.Int64, runtime.Uint8, runtime.Bool, runtime.Float16, runtime.Float8E4M3FN}
	f.Fuzz(func(t *testing.T, body []byte, n uint8, zeroBased bool) {
		if len(body) > 1<<16 {
			return
		}
		info := runtime.Info{Name: "x", DType: dtypes[int(n)%len(dtypes)], Shape: [][]int{{-1, -1}, {-1, 9}, {9}, {-1}}[n%4]}
		options := codec.Options{LibSVM: codec.LibSVMOptions{ZeroBased: zeroBased}, Sparse: codec.SparseOptions{MissingNaN: n >= 128}}
		in, err := codec.LibSVM{}.Decode(body, &codec.Request{Want: []runtime.Info{info}, Options: &options})
		if err != nil {
			return
		}
		if err := in[0].Check(); err != nil {
			t.Fatal(err)
		}
		if size := len(runtime.Bytes(in[0].Data)); size > 64<<20+20*len(body) {
			t.Fatalf("%d bytes became %d", len(body), size)
		}
		// Every row written out, from the first index to the last, is the same.
		if len(in[0].Shape) != 2 || in[0].Shape[1] == 0 || runtime.Len(in[0].Data) > 1<<10 {
			return
		}
		csv, err := codec.CSV{}.Encode(nil, in, &codec.Reply{})
		if err != nil {
			t.Fatal(err)
		}
		var again []byte
		for _, line := range strings.Split(string(csv), "\n") {
			again = append(again, "7 "...)
			for i, cell := range strings.Split(line, ",") {
				if !zeroBased {
					i++
				}
				again = append(again, strconv.Itoa(i)+":"+cell+" "...)
			}
			again = append(again, '\n')
		}
		again = []byte(strings.NewReplacer(":true", ":1", ":false", ":0").Replace(string(again)))
		back, err := codec.LibSVM{}.Decode(again, &codec.Request{Want: []runtime.Info{info}, Options: &options})
		if err != nil || !sameTensor(back[0], in[0]) {
			t.Fatalf("%q:\n%v\nas %q:\n%v, %v", body, in[0], again, back, err)
		}
	})
}
