package codec_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// tables reads the files of an archive that testdata/parquet/parquet.py wrote.
func tables(t testing.TB, name string) map[string][]byte {
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
	if base == "string" || base == "long" {
		tensor.Data = words
		return tensor
	}
	d := dtypeNamed(t, base)
	var from any = whole
	if d.Float() || null {
		from = floats
	}
	for i := range floats {
		if null && !d.Float() {
			floats[i] = float64(whole[i])
		}
		if null && i%5 == 2 {
			floats[i] = math.NaN()
		}
	}
	if null && !d.Float() {
		d = runtime.Float64
	}
	data, err := codec.Convert(d, from)
	if err != nil {
		t.Fatal(err)
	}
	tensor.Data = data
	return tensor
}

// rowsIn are how many rows the members have that hold what column says, where
// it is not 20.
var rowsIn = map[string]int{"empty": 0, "dictionary": 40, "many": 3000, "snappy-1.0": 60, "snappy-2.0": 60, "gzip-1.0": 60, "gzip-2.0": 60,
	"zstd-1.0": 60, "zstd-2.0": 60, "lz4-1.0": 60, "lz4-2.0": 60, "pages": 200, "pages-2.0": 200, "encoded-dictionary": 300, "delta": 300,
	"delta-length": 300, "delta-bytes": 300, "split": 30, "rle": 300, "polars": 60, "fastparquet": 60,
	"lz4": 60, "zstd": 60, "lz4-blocks": 9000, "batches": 60, "legacy": 60, "slice": 31, "dictionary-replaced": 4, "dictionary-delta": 4}

// checkTables decodes the members of an archive that can be read.
func checkTables(t *testing.T, c codec.Codec, archive string) {
	for name, body := range tables(t, archive) {
		switch kind, _, _ := strings.Cut(name, "-"); kind {
		case "refused", "bomb", "brotli", "int96", "file", "allnull", "nested":
			continue
		}
		rows, given := rowsIn[name]
		if !given {
			rows = 20
		}
		before := string(body)
		have, err := c.Decode(body, &codec.Request{})
		if err != nil || len(have) == 0 {
			t.Errorf("%s: %d columns, %v", name, len(have), err)
		}
		for _, have := range have {
			want := column(t, have.Name, rows)
			if rows == 0 && len(want.Shape) == 2 {
				want.Shape[1] = 0 // which no row says
			}
			if have.Check() != nil || !sameTensor(have, want) {
				t.Errorf("%s: %s is %v %v, want %v %v\n%.300v\n%.300v", name, have.Name, have.DType(), have.Shape, want.DType(), want.Shape, have.Data, want.Data)
			}
		}
		if string(body) != before {
			t.Errorf("%s: the body was written to", name)
		}
	}
}

func TestParquetFilesThatOthersWriteAreRead(t *testing.T) {
	checkTables(t, codec.Parquet{}, "parquet.zip")
}

func TestArrowStreamsThatOthersWriteAreRead(t *testing.T) { checkTables(t, codec.Arrow{}, "arrow.zip") }

// refusals is what an error says of a member, where both formats say the same.
var refusals = map[string]string{
	"refused-timestamp": "it is a timestamp", "refused-date": "it is a date", "refused-time": "it is a time", "refused-decimal": "it is a decimal",
	"refused-fixed": "it is binary of", "refused-struct": "it is a struct", "refused-map": "it is a map", "refused-nested": "it is a list",
	"refused-structs": "it is a list", "refused-ragged": "row 1 has 2 elements and those before it 1", "refused-nulllist": "row 1 is null, and a list is wanted",
	"refused-nullbool": "row 1 is null, and bool is wanted", "refused-nullstring": "row 1 is null, and string is wanted", "refused-latin": "UTF-8",
}

// checkRefused decodes members that are wrong: the error says so, and names
// the column.
func checkRefused(t *testing.T, c codec.Codec, archive string, more map[string]string) {
	files := tables(t, archive)
	for _, list := range []map[string]string{refusals, more} {
		for name, says := range list {
			body := files[name]
			if body == nil {
				t.Fatalf("there is no %s", name)
			}
			_, err := c.Decode(body, &codec.Request{})
			var e *codec.Error
			if !errors.As(err, &e) || !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want an error with %q", name, err, says)
			} else if column, ok := strings.CutPrefix(name, "refused-"); ok && !strings.Contains(e.Where+e.Msg, `column "`+column+`"`) {
				t.Errorf("%s: %v does not name the column", name, err)
			}
		}
	}
}

func TestWhatNoTensorHoldsIsRefusedInParquet(t *testing.T) {
	checkRefused(t, codec.Parquet{}, "parquet.zip", map[string]string{
		"brotli": "compression Brotli is not read", "int96": "it is a timestamp"})
}

func TestWhatNoTensorHoldsIsRefusedInArrow(t *testing.T) {
	checkRefused(t, codec.Arrow{}, "arrow.zip", map[string]string{"file": "send the streaming format", "nested-index": "an index of a nested type"})
}

// A body that claims to be more than it may become costs no more than it is.
func TestABombInColumnsCostsLittle(t *testing.T) {
	for _, c := range []struct {
		codec   codec.Codec
		archive string
	}{{codec.Parquet{}, "parquet.zip"}, {codec.Arrow{}, "arrow.zip"}} {
		files := tables(t, c.archive)
		for _, name := range []string{"bomb", "bomb-zstd", "bomb-lists"} {
			body := files[name]
			if body == nil {
				t.Fatalf("there is no %s", name)
			}
			for _, want := range [][]runtime.Info{nil, {info("x", runtime.Float32, -1, 1)}, {info("x", runtime.Float32, -1, -1)}} {
				var err error
				spent := allocated(func() { _, err = c.codec.Decode(body, &codec.Request{Want: want}) })
				if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), "64 MiB or 20 times the body") {
					t.Errorf("%s in %s: %v", name, c.archive, err)
				}
				if spent > 1<<20 {
					t.Errorf("%s in %s: %d bytes of memory for a body of %d", name, c.archive, spent, len(body))
				}
			}
		}
	}
}

// spoil calls try with what is left of each small member when it is cut off
// somewhere, and with one of its bytes changed.
func spoil(t *testing.T, archive string, try func(name string, body []byte, cut bool)) {
	n := 0
	for name, body := range tables(t, archive) {
		if len(body) > 3000 || strings.HasPrefix(name, "bomb") {
			continue
		}
		n++
		step := 1 + len(body)/300
		for i := 0; i < len(body); i += step {
			try(name, body[:i:i], true)
		}
		changed := bytes.Clone(body)
		for i := 0; i < len(body); i += step {
			c := body[i]
			for _, v := range []byte{0, 0xff, c ^ 1} {
				changed[i] = v
				try(name, changed, false)
			}
			changed[i] = c
		}
	}
	if n < 10 {
		t.Fatalf("%d members of %s are small", n, archive)
	}
}

func TestSpoiledColumnsAreErrors(t *testing.T) {
	check := func(c codec.Codec, name string, body []byte, cut bool) {
		tensors, err := c.Decode(body, &codec.Request{})
		var e *codec.Error
		switch {
		case err != nil && !errors.As(err, &e) && err != codec.ErrEmpty:
			t.Errorf("%s: %v is no *codec.Error", name, err)
		case err == nil && cut && c == codec.Codec(codec.Parquet{}):
			t.Errorf("%s, %d bytes of it: no error", name, len(body))
		}
		for _, tensor := range tensors {
			if err := tensor.Check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	spoil(t, "parquet.zip", func(name string, body []byte, cut bool) { check(codec.Parquet{}, name, body, cut) })
	spoil(t, "arrow.zip", func(name string, body []byte, cut bool) { check(codec.Arrow{}, name, body, cut) })
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	for _, c := range []codec.Codec{codec.Parquet{}, codec.Arrow{}} {
		if _, err := c.Decode(nil, &codec.Request{}); !errors.Is(err, codec.ErrEmpty) {
			t.Errorf("%T: %v, want ErrEmpty", c, err)
		}
		for _, body := range []string{"{}", `{"instances":[[1,2,3,4]]}`, "PAR1", "PAR1PAR1PAR1", "PAR1\xff\xff\xff\x7fPAR1", "PAR1    \x00\x00\x00\x00PARE",
			"\xff\xff\xff\xff\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\x08\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("\x00", 1000)} {
			_, err := c.Decode([]byte(body), &codec.Request{Want: []runtime.Info{info("x", runtime.Float32, -1, 4)}})
			var e *codec.Error
			if !errors.As(err, &e) {
				t.Errorf("%T, %q: %v", c, body, err)
			}
		}
	}
}

// What is written is read again as it was; what Parquet has no type for as
// float32.
func TestParquetIsReadAgain(t *testing.T) {
	for d := runtime.Float32; d <= runtime.Float8E5M2FNUZ; d++ {
		if !d.Known() {
			continue
		}
		wide, scalar := tensor("wide", counted(t, d, 14), 7, 2), tensor("scalar", counted(t, d, 7), 7)
		body, err := codec.Parquet{}.Encode([]byte("before"), []runtime.Tensor{wide, scalar}, &codec.Reply{})
		if err != nil || !bytes.HasPrefix(body, []byte("beforePAR1")) {
			t.Fatalf("%v: %v, %.20q", d, err, body)
		}
		own := d
		if d == runtime.BFloat16 || d >= runtime.Float8E4M3FN {
			own = runtime.Float32
		}
		columns, err := codec.Parquet{}.Decode(body[6:], &codec.Request{})
		if err != nil || len(columns) != 3 || columns[0].Name != "wide_0" || columns[1].Name != "wide_1" || columns[0].DType() != own {
			t.Fatalf("%v: %v, %v", d, columns, err)
		}
		again, err := codec.Parquet{}.Decode(body[6:], &codec.Request{Want: []runtime.Info{info("wide", d, -1, 2), info("scalar", d, -1)}})
		if err != nil || !sameTensor(again[0], wide) || !sameTensor(again[1], scalar) {
			t.Errorf("%v: %v, %v; want %v, %v", d, again, err, wide, scalar)
		}
	}
}

func TestManyPagesOfAColumnAreReadAgain(t *testing.T) {
	const rows = 300_000
	words := make([]string, rows)
	odd := make([]bool, rows)
	for i := range words {
		words[i] = strconv.Itoa(i)
		odd[i] = i%3 == 1
	}
	out := []runtime.Tensor{tensor("x", floats(2*rows), rows, 2), tensor("s", words, rows), tensor("b", odd, rows, 1)}
	body, err := codec.Parquet{}.Encode(nil, out, &codec.Reply{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := codec.Parquet{}.Decode(body, &codec.Request{Want: infosOf(out)})
	if err != nil || !sameTensors(again, out) {
		t.Errorf("%v", err)
	}
}

func TestParquetNamesColumnsAsCSVDoes(t *testing.T) {
	scores := info("scores", runtime.Float32, -1, 2)
	scores.Labels = []string{"no", "yes"}
	out := []runtime.Tensor{tensor("scores", []float32{0.25, 0.75}, 1, 2), tensor("label", []string{"yes"}, 1), tensor("raw", []int8{1, 2, 3, 4}, 1, 2, 2), tensor("n", []int64{5}, 1, 1)}
	for _, c := range []struct {
		out   []runtime.Tensor
		names string
	}{
		{out[:2], "label scores_no scores_yes"},
		{out, "scores_no scores_yes label raw_0 raw_1 raw_2 raw_3 n"},
		{out[2:], "raw_0 raw_1 raw_2 raw_3 n"},
	} {
		r := codec.Reply{Infos: []runtime.Info{scores, info("label", runtime.String, -1), info("raw", runtime.Int8, -1, 2, 2), info("n", runtime.Int64, -1, 1)}}
		body, err := codec.Parquet{}.Encode(nil, c.out, &r)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := codec.Parquet{}.Decode(body, &codec.Request{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, column := range columns {
			names = append(names, column.Name)
		}
		if have := strings.Join(names, " "); have != c.names {
			t.Errorf("%s, want %s", have, c.names)
		}
	}
}

func TestWhatHasNoColumnsIsNotAcceptable(t *testing.T) {
	for name, out := range map[string][]runtime.Tensor{
		"a sequence":   {{Name: "s", Data: []runtime.Tensor{}}},
		"a map":        {{Name: "m", Data: runtime.Map{Keys: []string{}, Values: []float32{}}}},
		"other rows":   {tensor("a", []float32{1, 2}, 2), tensor("b", []float32{1}, 1)},
		"twice a name": {tensor("a", []float32{1, 2}, 1, 2), tensor("a_1", []float32{1}, 1)},
		"no UTF-8":     {tensor("a", []string{"\xff"}, 1)},
		"too wide":     {tensor("a", make([]bool, 1<<18+1), 1, 1<<18+1)},
	} {
		if _, err := (codec.Parquet{}).Encode(nil, out, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (codec.Arrow{}).Encode(nil, nil, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("Arrow: %v", err)
	}
}

// fuzzTables decodes anything; what can be read is written as Parquet and read
// again.
func fuzzTables(f *testing.F, c codec.Codec, archive string) {
	for _, body := range tables(f, archive) {
		if len(body) < 4000 {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		for _, want := range [][]runtime.Info{nil, {info("x", runtime.Float32, -1, -1)}, {info("string", runtime.String, -1)},
			{info("int64", runtime.Int64, -1), info("y", runtime.Float64, -1, -1), info("float64", runtime.Float16, -1, 1)}} {
			tensors, err := c.Decode(body, &codec.Request{Want: want})
			var e *codec.Error
			if err != nil {
				if !errors.As(err, &e) && err != codec.ErrEmpty {
					t.Fatalf("%v is no *codec.Error", err)
				}
				continue
			}
			for i, tensor := range tensors {
				if err := tensor.Check(); err != nil {
					t.Fatal(err)
				}
				if want != nil && (tensor.Name != want[i].Name || tensor.DType() != want[i].DType) {
					t.Fatalf("%v, want %v", tensor, want[i])
				}
			}
			written, err := codec.Parquet{}.Encode(nil, tensors, &codec.Reply{})
			if err != nil {
				if !errors.Is(err, codec.ErrNotAcceptable) {
					t.Fatal(err)
				}
				continue // two columns of one name
			}
			again, err := codec.Parquet{}.Decode(written, &codec.Request{Want: infosOf(tensors)})
			if len(tensors) == 0 || len(written) > 1<<20 {
				continue // more than such a body may become
			}
			if err != nil || !sameTensors(again, tensors) {
				t.Fatalf("%v, again %v, %v", tensors, again, err)
			}
		}
		if string(body) != before {
			t.Fatal("the body was written to")
		}
	})
}

func FuzzParquet(f *testing.F) { fuzzTables(f, codec.Parquet{}, "parquet.zip") }

func FuzzArrow(f *testing.F) { fuzzTables(f, codec.Arrow{}, "arrow.zip") }
