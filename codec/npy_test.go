package codec_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func TestEveryArrayThatNumPyWritesIsRead(t *testing.T) {
	for name, file := range numpyFiles(t) {
		v := vectorOf(t, name)
		r := codec.Request{Want: []runtime.Info{{Name: "x", DType: v.dtype, Shape: slices.Repeat([]int{-1}, len(v.shape))}}}
		in, err := codec.NPY{}.Decode(file, &r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n, _ := runtime.Elements(v.shape)
		if err := in[0].Check(); err != nil || in[0].Name != "x" || !slices.Equal(in[0].Shape, v.shape) || !reflect.DeepEqual(in[0].Data, counted(t, v.dtype, n)) {
			t.Errorf("%s: %v, %v", name, in[0], err)
		}
		if r.Found.Dialect != codec.Rows {
			t.Errorf("%s: dialect %v", name, r.Found.Dialect)
		}
		if !v.plain {
			continue
		}
		// Written again, it is the same file.
		again, err := codec.NPY{}.Encode([]byte("before"), in, &codec.Reply{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again = again[len("before"):]; !v.renamed && string(again) != string(file) {
			t.Errorf("%s is written as %q, numpy writes %q", name, again, file)
		}
		if back, err := (codec.NPY{}).Decode(again, &r); err != nil || !reflect.DeepEqual(back[0].Data, in[0].Data) {
			t.Errorf("%s: %v, %v", name, back, err)
		}
	}
}

func TestAnArrayWithoutAModelSaysItsOwnType(t *testing.T) {
	for name, file := range numpyFiles(t) {
		v := vectorOf(t, name)
		in, err := codec.NPY{}.Decode(file, &codec.Request{})
		switch {
		case strings.HasPrefix(name, "float8"): // one byte of no type could be any of four
			if !errors.Is(err, runtime.ErrInput) {
				t.Errorf("%s: %v, %v", name, in, err)
			}
		case err != nil || in[0].DType() != v.dtype || !slices.Equal(in[0].Shape, v.shape):
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
}

// npy returns a file with that header and data.
func npy(header string, data []byte) []byte {
	b := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(b[8:], uint16(len(header)))
	return append(append(b, header...), data...)
}

func TestNPYHeadersAreReadAsPythonLiterals(t *testing.T) {
	for _, header := range []string{
		`{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`,
		`{"shape":(2,3),"fortran_order":False,"descr":"<f4"}`,
		"  {'shape': (2L, 3L), 'descr': '<f4',\n\t'fortran_order' : False}   \n",
		`{'descr': '=f4', 'fortran_order': False, 'shape': (2, 3,)}`,
	} {
		in, err := codec.NPY{}.Decode(npy(header, make([]byte, 24)), &codec.Request{})
		if err != nil || !slices.Equal(in[0].Shape, []int{2, 3}) || in[0].DType() != runtime.Float32 {
			t.Errorf("%s: %v, %v", header, in, err)
		}
	}
}

func TestNPYThatIsNotWhatItClaimsIsRefused(t *testing.T) {
	header := func(descr, order, shape string) string {
		return fmt.Sprintf("{'descr': %s, 'fortran_order': %s, 'shape': %s, }", descr, order, shape)
	}
	good := npy(header("'<f4'", "False", "(2, 2)"), make([]byte, 16))
	version := func(major, minor byte) []byte {
		b := slices.Clone(good)
		b[6], b[7] = major, minor
		return b
	}
	for _, c := range []struct {
		body []byte
		want string // a part of the error
	}{
		{[]byte("x"), "no .npy file"},
		{[]byte("PK\x03\x04aaaaaaaaaaaa"), "no .npy file"},
		{[]byte("\x93NUMPY\x01\x00"), "no .npy file"},
		{[]byte("\x93NUMPY\x02\x00\x00\x00"), "within the header's length"},
		{version(0, 0), "version 0.0"},
		{version(4, 0), "version 4.0"},
		{version(1, 1), "version 1.1"},
		{good[:40], "are there"},
		{good[:len(good)-1], "takes 16 bytes, 15 follow"},
		{append(slices.Clone(good), 0), "takes 16 bytes, 17 follow"},
		{append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), "{}"...), "at most"},
		{npy("", nil), "a dict was expected"},
		{npy("[]", nil), "a dict was expected"},
		{npy("{", nil), "string was expected"},
		{npy("{}", nil), "must have the keys"},
		{npy("{'descr': '<f4', 'shape': (1,)}", make([]byte, 4)), "must have the keys"},
		{npy("{'descr': '<f4' 'shape': (1,)}", nil), "comma or }"},
		{npy("{'descr' '<f4'}", nil), "colon was expected"},
		{npy(`{'des\x63r': '<f4'}`, nil), "plain string"},
		{npy("{'descr: '<f4'}", nil), "colon was expected"},
		{npy("{'a': 1}", nil), "not one of descr"},
		{npy("{'shape': (1,), 'shape': (1,)}", nil), "twice"},
		{npy(header("'<f4'", "False", "(1,)")+"x", make([]byte, 4)), "follows the dict"},
		{npy(header("'<f4'", "False", "(1,)")+"\x00", make([]byte, 4)), "follows the dict"},
		{npy(header("'<f4'", "0", "(1,)"), make([]byte, 4)), "True or False"},
		{npy(header("'<f4'", "False", "(-1,)"), nil), "whole numbers"},
		{npy(header("'<f4'", "False", "(1)"), make([]byte, 4)), "is a number"},
		{npy(header("'<f4'", "False", "[1]"), make([]byte, 4)), "tuple"},
		{npy(header("'<f4'", "False", "(1 2)"), make([]byte, 8)), "comma or )"},
		{npy(header("'<f4'", "False", "(,)"), nil), "whole numbers"},
		{npy(header("'<f4'", "False", "(1, "), nil), "whole numbers"},
		{npy(header("'<f4'", "False", "(1.0,)"), make([]byte, 4)), "comma or )"},
		{npy(header("'<f4'", "False", "(99999999999999999999,)"), nil), "whole numbers"},
		{npy(header("'<f4'", "False", "("+strings.Repeat("1,", 65)+")"), make([]byte, 4)), "more than 64 dimensions"},
		// Shapes that claim more than there is, or than can be counted.
		{npy(header("'<f4'", "False", "(1000000000000, 3)"), make([]byte, 12)), "takes 12000000000000 bytes, 12 follow"},
		{npy(header("'<f8'", "False", "(4611686018427387904, 4)"), nil), "more elements than"},
		{npy(header("'<f8'", "False", "(4611686018427387904,)"), nil), "more bytes than"},
		{npy(header("'<U4611686018427387904'", "False", "(1,)"), nil), "known are"},
		{npy(header("'<U0'", "False", "(1000000000000,)"), nil), "no width"},
		{npy(header("'|S0'", "False", "(1,)"), nil), "no width"},
		// Types that no input takes.
		{npy(header("'|O'", "False", "(1,)"), []byte("\x80\x04cos\nsystem\n")), "never read"},
		{npy(header("'O'", "False", "()"), nil), "never read"},
		{npy(header("[('a', '<f4'), ('b', '<i4')]", "False", "(1,)"), make([]byte, 8)), "structured"},
		{npy(header("('<f4', (2,))", "False", "(1,)"), make([]byte, 8)), "structured"},
		{npy(header("'<c8'", "False", "(1,)"), make([]byte, 8)), "complex"},
		{npy(header("'<M8[ns]'", "False", "(1,)"), make([]byte, 8)), "dates"},
		{npy(header("'<m8[s]'", "False", "(1,)"), make([]byte, 8)), "time spans"},
		{npy(header("'<f16'", "False", "(1,)"), make([]byte, 16)), "known are"},
		{npy(header("'<f3'", "False", "(1,)"), make([]byte, 3)), "known are"},
		{npy(header("'|V8'", "False", "(1,)"), make([]byte, 8)), "known are"},
		{npy(header("'<q'", "False", "(1,)"), make([]byte, 8)), "no element type"},
		{npy(header("'<i+4'", "False", "(1,)"), make([]byte, 4)), "no element type"},
		{npy(header("''", "False", "(1,)"), make([]byte, 4)), "no element type"},
		{npy(header("'<'", "False", "(1,)"), make([]byte, 4)), "no element type"},
		// Values.
		{npy(header("'|b1'", "False", "(3,)"), []byte{0, 1, 2}), "element 2: a bool is the byte 2"},
		{npy(header("'<U1'", "False", "(2,)"), []byte{'a', 0, 0, 0, 0, 0xd8, 0, 0}), "element 1: a string holds 0xd800"},
		{npy(header("'<U1'", "False", "(1,)"), []byte{0, 0, 0x11, 0}), "0x110000"},
		{npy(header("'<U1'", "False", "(1,)"), []byte{0xff, 0xff, 0xff, 0xff}), "no character"},
		{npy(header("'|S2'", "False", "(1,)"), []byte{'a', 0xff}), "not UTF-8"},
	} {
		in, err := codec.NPY{}.Decode(c.body, &codec.Request{})
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.100q: %v, %v; want an error with %q", c.body, in, err, c.want)
		}
	}
	if _, err := (codec.NPY{}).Decode(nil, &codec.Request{}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

func TestAnArrayIsFittedToTheInput(t *testing.T) {
	file := func(shape ...int) []byte {
		n, _ := runtime.Elements(shape)
		b, err := codec.NPY{}.Encode(nil, []runtime.Tensor{{Shape: shape, Data: counted(t, runtime.Float64, n)}}, &codec.Reply{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		sent []int
		want runtime.Info
		got  []int // nil: refused
	}{
		{[]int{5, 4}, runtime.Info{DType: runtime.Float64, Shape: []int{-1, 4}}, []int{5, 4}},
		{[]int{4}, runtime.Info{DType: runtime.Float32, Shape: []int{-1, 4}}, []int{1, 4}},
		{[]int{4}, runtime.Info{DType: runtime.Int64, Shape: []int{1, 4}}, []int{1, 4}},
		{[]int{7}, runtime.Info{DType: runtime.Float32, Shape: []int{-1, 1}}, []int{7, 1}},
		{[]int{}, runtime.Info{DType: runtime.Float32, Shape: []int{-1}}, []int{1}},
		{[]int{0, 4}, runtime.Info{DType: runtime.Float16, Shape: []int{-1, 4}}, []int{0, 4}},
		{[]int{2, 3}, runtime.Info{DType: runtime.Float32, Unranked: true}, []int{2, 3}},
		{[]int{3, 5}, runtime.Info{DType: runtime.Float32, Shape: []int{-1, 4}}, nil},
		{[]int{4}, runtime.Info{DType: runtime.Float32, Shape: []int{2, 4}}, nil},
		{[]int{2, 2, 4}, runtime.Info{DType: runtime.Float32, Shape: []int{-1, 4}}, nil},
		{[]int{4}, runtime.Info{DType: runtime.String, Shape: []int{-1}}, nil},
		{[]int{1000}, runtime.Info{DType: runtime.Uint8, Shape: []int{-1}}, nil},
	} {
		c.want.Name = "x"
		in, err := codec.NPY{}.Decode(file(c.sent...), &codec.Request{Want: []runtime.Info{c.want}})
		if c.got == nil {
			if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), `"x"`) {
				t.Errorf("%v for %v: %v, %v; want an error that names the input", c.sent, c.want, in, err)
			}
			continue
		}
		if err != nil || !slices.Equal(in[0].Shape, c.got) || in[0].DType() != c.want.DType || in[0].Check() != nil {
			t.Errorf("%v for %v: %v, %v", c.sent, c.want, in, err)
		}
	}
	two := []runtime.Info{{Name: "age", DType: runtime.Float32, Shape: []int{-1}}, {Name: "city", DType: runtime.String, Shape: []int{-1}}}
	if _, err := (codec.NPY{}).Decode(file(3), &codec.Request{Want: two}); !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), "application/x-npz with arrays named age, city") {
		t.Errorf("one array for two inputs: %v", err)
	}
}

func TestOneByteElementsAreFloat8WhereTheModelWantsIt(t *testing.T) {
	for _, descr := range []string{"|V1", "<V1", "|u1", "<f1"} {
		body := npy("{'descr': '"+descr+"', 'fortran_order': False, 'shape': (2,)}", []byte{0x38, 0xb8})
		in, err := codec.NPY{}.Decode(body, &codec.Request{Want: []runtime.Info{{Name: "x", DType: runtime.Float8E4M3FN, Shape: []int{-1}}}})
		if err != nil || !reflect.DeepEqual(in[0].Data, []runtime.F8E4M3FN{0x38, 0xb8}) {
			t.Errorf("%s: %v, %v", descr, in, err)
		}
		_, err = codec.NPY{}.Decode(body, &codec.Request{Want: []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1}}}})
		if descr == "|u1" != (err == nil) {
			t.Errorf("%s for a float32 input: %v", descr, err)
		}
	}
	body := npy("{'descr': '|V2', 'fortran_order': False, 'shape': (1,)}", []byte{0x80, 0x3f})
	for _, d := range []runtime.DType{runtime.Float16, runtime.Float32, runtime.Int16} {
		if _, err := (codec.NPY{}).Decode(body, &codec.Request{Want: []runtime.Info{{Name: "x", DType: d, Shape: []int{-1}}}}); !errors.Is(err, runtime.ErrInput) {
			t.Errorf("V2 for %v: %v", d, err)
		}
	}
}

func TestAnArrayOfTheRightTypeIsNotCopied(t *testing.T) {
	file, err := codec.NPY{}.Encode(nil, []runtime.Tensor{{Shape: []int{1, 1000}, Data: make([]float32, 1000)}}, &codec.Reply{})
	if err != nil {
		t.Fatal(err)
	}
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 1000}}}
	in, err := codec.NPY{}.Decode(file, &codec.Request{Want: want})
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)-1] = 0x40
	if in[0].Data.([]float32)[999] != 2 {
		t.Error("the tensor does not share the body's memory")
	}
	// Out of line, it is.
	odd := append([]byte{0}, file...)[1:]
	in, err = codec.NPY{}.Decode(odd, &codec.Request{Want: want})
	if err != nil {
		t.Fatal(err)
	}
	odd[len(odd)-1] = 0
	if in[0].Data.([]float32)[999] != 2 {
		t.Error("unaligned data was not copied")
	}
}

func TestNPYCarriesOneOutput(t *testing.T) {
	out := []runtime.Tensor{{Name: "label", Shape: []int{1}, Data: []int64{2}}, {Name: "probabilities", Shape: []int{1, 3}, Data: []float32{0, 0, 1}}}
	_, err := codec.NPY{}.Encode(nil, out, &codec.Reply{})
	for _, part := range []string{"label, probabilities", "application/x-npz", "application/x-npy;output=probabilities", "ort-outputs=probabilities"} {
		if !errors.Is(err, codec.ErrNotAcceptable) || !strings.Contains(err.Error(), part) {
			t.Errorf("two outputs: %v; it should name %s", err, part)
		}
	}
	b, err := codec.NPY{}.Encode(nil, out, &codec.Reply{Params: map[string]string{"output": "probabilities"}})
	if err != nil {
		t.Fatal(err)
	}
	if in, err := (codec.NPY{}).Decode(b, &codec.Request{}); err != nil || !reflect.DeepEqual(in[0].Data, out[1].Data) {
		t.Errorf("output=probabilities: %v, %v", in, err)
	}
	for name, out := range map[string][]runtime.Tensor{
		"none":     nil,
		"sequence": {{Name: "s", Data: []runtime.Map{}}},
		"map":      {{Name: "m", Data: runtime.Map{}}},
		"bytes":    {{Name: "b", Shape: []int{1}, Data: []string{"\xff"}}},
		"wide":     {{Name: "w", Shape: []int{1 << 16}, Data: append(make([]string, 1<<16-1), strings.Repeat("x", 1<<16))}},
	} {
		if b, err := (codec.NPY{}).Encode(nil, out, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if _, err := (codec.NPY{}).Encode(nil, out, &codec.Reply{Params: map[string]string{"output": "score"}}); !errors.Is(err, codec.ErrNotAcceptable) || !strings.Contains(err.Error(), "label, probabilities") {
		t.Errorf("an unknown output: %v", err)
	}
	if _, err := (codec.NPY{}).Encode(nil, []runtime.Tensor{{Name: "x", Shape: []int{3}, Data: []float32{1}}}, &codec.Reply{}); err == nil {
		t.Error("a tensor whose shape does not fit was written")
	}
}

func FuzzNPY(f *testing.F) {
	for _, file := range numpyFiles(f) {
		f.Add(file, uint8(0))
	}
	f.Add(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1000000000000, 3)}", make([]byte, 16)), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, dtype uint8) {
		r := codec.Request{}
		if d := runtime.DType(dtype); d.Known() {
			r.Want = []runtime.Info{{Name: "x", DType: d, Shape: []int{-1, -1}}}
		}
		in, err := codec.NPY{}.Decode(body, &r)
		if err != nil {
			return
		}
		if err := in[0].Check(); err != nil {
			t.Fatal(err)
		}
		if n := runtime.Len(in[0].Data); n > len(body) {
			t.Fatalf("%d bytes became %d elements", len(body), n)
		}
		b, err := codec.NPY{}.Encode(nil, in, &codec.Reply{})
		if errors.Is(err, codec.ErrNotAcceptable) {
			return // text too wide
		} else if err != nil {
			t.Fatal(err)
		}
		if r.Want == nil {
			r.Want = []runtime.Info{{DType: in[0].DType(), Shape: in[0].Shape}}
		}
		again, err := codec.NPY{}.Decode(b, &r)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again[0].Shape, in[0].Shape) || !sameData(again[0].Data, in[0].Data) {
			t.Fatalf("%v became %v", in[0], again[0])
		}
	})
}

// sameData compares the bits: a NaN equals itself.
func sameData(a, b any) bool {
	if s, ok := a.([]string); ok {
		return reflect.DeepEqual(s, b)
	}
	return runtime.DTypeOf(a) == runtime.DTypeOf(b) && string(runtime.Bytes(a)) == string(runtime.Bytes(b))
}
