package codec_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// members reads the files of an archive that testdata/parquet/parquet.py
// wrote.
func members(t testing.TB, name string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/parquet/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	if len(files) < 20 {
		t.Fatalf("%s has %d members", name, len(files))
	}
	return files
}

// column is what parquet.py puts into a column of that name.
func column(t testing.TB, name string, rows int) runtime.Tensor {
	t.Helper()
	base, null := strings.CutSuffix(name, "?")
	shape, n := []int{rows}, rows
	if kind, width, list := strings.Cut(strings.TrimSuffix(base, "]"), "["); list {
		w, err := strconv.Atoi(width)
		if err != nil {
			t.Fatal(err)
		}
		base, shape, n = kind, []int{rows, w}, rows*w
	}
	whole := make([]int64, n)
	floats := make([]float64, n)
	words := make([]string, n)
	for i := range n {
		whole[i], floats[i] = int64(i), float64(i)/4
		words[i] = []string{"", "a", "bé", "c漢d"}[i%4]
		switch {
		case strings.HasSuffix(base, "int8"):
			whole[i] %= 100
		case base == "bool":
			whole[i] %= 2
		case base == "long":
			words[i] = strings.Repeat("0123456789", i)
		}
	}
	tensor := runtime.Tensor{Name: name, Shape: shape}
	d := runtime.Undefined
	for try := runtime.Float32; try.Known(); try++ {
		if try.String() == base {
			d = try
		}
	}
	var from any = whole
	switch {
	case base == "string" || base == "long":
		tensor.Data = words
		return tensor
	case d == runtime.Undefined:
		t.Fatalf("a column named %s", name)
	case d.Float():
		from = floats
	case null:
		d = runtime.Float64
	}
	if null {
		from = floats
		for i := range floats {
			if !strings.HasPrefix(base, "float") {
				floats[i] = float64(whole[i])
			}
			if i%5 == 2 {
				floats[i] = math.NaN()
			}
		}
	}
	data, err := codec.Convert(d, from)
	if err != nil {
		t.Fatal(err)
	}
	tensor.Data = data
	return tensor
}

// sameColumn reports whether two tensors are the same in every bit but those of
// NaN.
func sameColumn(a, b runtime.Tensor) bool {
	if a.Name != b.Name || !reflect.DeepEqual(a.Shape, b.Shape) || a.DType() != b.DType() {
		return false
	}
	return fmt.Sprint(a.Data) == fmt.Sprint(b.Data) || reflect.DeepEqual(a.Data, b.Data)
}

// tablesOf are how many rows the members have that hold what column says, 20
// where a number is not given.
var tablesOf = map[string]int{"empty": 0, "dictionary": 40, "many": 3000, "snappy-1.0": 60, "snappy-2.0": 60, "gzip-1.0": 60, "gzip-2.0": 60,
	"zstd-1.0": 60, "zstd-2.0": 60, "lz4-1.0": 60, "lz4-2.0": 60, "pages": 200, "pages-2.0": 200, "encoded-dictionary": 300, "delta": 300,
	"delta-length": 300, "delta-bytes": 300, "split": 30, "rle": 300, "polars": 60, "fastparquet": 60,
	"lz4": 60, "zstd": 60, "lz4-blocks": 20000, "batches": 60, "legacy": 60, "slice": 31, "dictionary-replaced": 4, "dictionary-delta": 4}

func checkTable(t *testing.T, c codec.Codec, name string, body []byte) {
	t.Helper()
	rows, ok := tablesOf[name]
	if !ok {
		rows = 20
	}
	tensors, err := c.Decode(body, &codec.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if len(tensors) == 0 {
		t.Fatal("no columns")
	}
	for _, have := range tensors {
		want := column(t, have.Name, rows)
		if rows == 0 && len(want.Shape) == 2 {
			want.Shape[1] = 0 // which no row says
		}
		if !sameColumn(have, want) {
			t.Errorf("%s: %v %v, want %v %v\n%.300v\n%.300v", have.Name, have.DType(), have.Shape, want.DType(), want.Shape, have.Data, want.Data)
		}
	}
}

func TestParquetReadsWhatOthersWrite(t *testing.T) {
	for name, body := range members(t, "parquet.zip") {
		switch name {
		case "refused", "brotli", "int96":
			continue
		}
		t.Run(name, func(t *testing.T) { checkTable(t, codec.Parquet{}, name, body) })
	}
}

func TestArrowReadsWhatOthersWrite(t *testing.T) {
	for name, body := range members(t, "arrow.zip") {
		switch name {
		case "refused", "file":
			continue
		}
		t.Run(name, func(t *testing.T) { checkTable(t, codec.Arrow{}, name, body) })
	}
}

var _ = errors.New
var _ = bytes.NewReader
