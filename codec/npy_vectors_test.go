package codec_test

import (
	"archive/zip"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// numpyFiles returns what testdata/npy.py wrote, by name.
func numpyFiles(t testing.TB) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/npy.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 90 {
		t.Fatalf("testdata/npy.zip holds %d files", len(files))
	}
	return files
}

// A vector is one of numpyFiles: its name says what it holds.
type vector struct {
	dtype   runtime.DType
	shape   []int
	plain   bool // numpy would write it the same again: C order, version 1, little-endian
	renamed bool // but for its type: ml_dtypes has its own names for bytes, S becomes U, U becomes as wide as its text
}

func vectorOf(t testing.TB, name string) vector {
	t.Helper()
	parts := strings.Split(strings.TrimSuffix(name, ".npy"), "-")
	if len(parts) != 4 {
		t.Fatalf("%s is not TYPE-ORDER-VERSION-SHAPE", name)
	}
	v := vector{plain: parts[1] == "C" && parts[2] == "1" && name[0] != '>'}
	for _, d := range strings.Split(parts[3], "x") {
		if d != "" {
			n, err := strconv.Atoi(d)
			if err != nil {
				t.Fatal(err)
			}
			v.shape = append(v.shape, n)
		}
	}
	types := map[string]runtime.DType{"b1": runtime.Bool, "i1": runtime.Int8, "i2": runtime.Int16, "i4": runtime.Int32, "i8": runtime.Int64,
		"u1": runtime.Uint8, "u2": runtime.Uint16, "u4": runtime.Uint32, "u8": runtime.Uint64,
		"f2": runtime.Float16, "f4": runtime.Float32, "f8": runtime.Float64, "U3": runtime.String, "S6": runtime.String, "bfloat16": runtime.BFloat16,
		"float8_e4m3fn": runtime.Float8E4M3FN, "float8_e4m3fnuz": runtime.Float8E4M3FNUZ, "float8_e5m2": runtime.Float8E5M2, "float8_e5m2fnuz": runtime.Float8E5M2FNUZ}
	v.dtype = types[strings.TrimPrefix(parts[0], ">")]
	if v.dtype == runtime.Undefined {
		t.Fatalf("%s: unknown type %s", name, parts[0])
	}
	v.renamed = strings.HasPrefix(parts[0], "float8") || parts[0] == "S6" || parts[0] == "U3" && v.shape == nil
	return v
}

// counted returns 0, 1, 2, ... as elements of d, as npy.py does.
func counted(t testing.TB, d runtime.DType, n int) any {
	t.Helper()
	switch d {
	case runtime.String:
		s := make([]string, n)
		for i := range s {
			s[i] = []string{"", "a", "bé", "c漢d"}[i%4]
		}
		return s
	case runtime.Bool:
		s := make([]bool, n)
		for i := range s {
			s[i] = i%2 == 1
		}
		return s
	}
	s := make([]float64, n)
	for i := range s {
		s[i] = float64(i)
	}
	data, err := codec.Convert(d, s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
