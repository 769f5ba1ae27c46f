package codec_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// A member is one file of a zip.
type member struct {
	name   string
	data   []byte
	method uint16
}

func zipped(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: m.method})
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// array returns a .npy file of counted elements.
func array(t testing.TB, d runtime.DType, shape ...int) []byte {
	t.Helper()
	n, err := runtime.Elements(shape)
	if err != nil {
		t.Fatal(err)
	}
	b, err := codec.NPY{}.Encode(nil, []runtime.Tensor{{Shape: shape, Data: counted(t, d, n)}}, &codec.Reply{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatNumPySavesIsReadByName(t *testing.T) {
	for _, name := range []string{"testdata/numpy-dense.npz", "testdata/numpy-deflated.npz"} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// In the model's order, converted to the model's types.
		r := codec.Request{Want: []runtime.Info{
			{Name: "é", DType: runtime.String, Shape: []int{-1, 1}},
			{Name: "a/x:0", DType: runtime.Float64, Shape: []int{-1, 2}},
			{Name: "b", DType: runtime.Bool, Shape: []int{1, -1}},
		}}
		in, err := codec.NPZ{}.Decode(file, &r)
		want := []runtime.Tensor{
			{Name: "é", Shape: []int{2, 1}, Data: []string{"ü", "long"}},
			{Name: "a/x:0", Shape: []int{2, 2}, Data: []float64{0, 1, 2, 3}},
			{Name: "b", Shape: []int{1, 2}, Data: []bool{true, false}},
		}
		if err != nil || !reflect.DeepEqual(in, want) || r.Found.Dialect != codec.Rows {
			t.Errorf("%s: %v, %v", name, in, err)
		}
		// Without a model, in the file's order.
		in, err = codec.NPZ{}.Decode(file, &codec.Request{})
		if err != nil || len(in) != 3 || in[0].Name != "b" || in[1].Name != "a/x:0" || in[1].DType() != runtime.Float32 || in[2].Name != "é" {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
}

func TestOneArrayOfAnyNameGoesToTheOneInput(t *testing.T) {
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 4}}}
	for _, name := range []string{"arr_0.npy", "x.npy", "y.npy", ".npy"} {
		in, err := codec.NPZ{}.Decode(zipped(t, member{name, array(t, runtime.Float32, 2, 4), zip.Store}), &codec.Request{Want: want})
		if err != nil || in[0].Name != "x" || !slices.Equal(in[0].Shape, []int{2, 4}) {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
}

func TestNPZThatDoesNotFitIsRefused(t *testing.T) {
	f4 := array(t, runtime.Float32, 3)
	stored := func(names ...string) []byte {
		var members []member
		for _, n := range names {
			members = append(members, member{n, f4, zip.Store})
		}
		return zipped(t, members...)
	}
	damaged := func(b []byte) []byte {
		b = slices.Clone(b)
		b[bytes.Index(b, []byte("NUMPY"))+130]++ // in the data
		return b
	}
	two := []runtime.Info{{Name: "age", DType: runtime.Float32, Shape: []int{-1}}, {Name: "size", DType: runtime.Float32, Shape: []int{-1}}}
	for _, c := range []struct {
		name string
		body []byte
		want []runtime.Info
		err  string
	}{
		{"no zip", []byte("\x93NUMPY"), two, "no zip file"},
		{"cut", stored("age.npy", "size.npy")[:200], two, "no zip file"},
		{"empty", zipped(t), two, "holds no array"},
		{"missing", stored("age.npy"), two, `no array for input "size"; the model takes age, size`},
		{"unknown", stored("age.npy", "size.npy", "city.npy"), two, `no input is named "city"; the model takes age, size`},
		{"by position", stored("arr_0.npy", "arr_1.npy"), two, `no input is named "arr_0"`},
		{"twice", stored("age.npy", "size.npy", "age.npy"), two, `"age" is there twice`},
		{"other files", stored("age.npy", "size.npy", "README"), two, `"README" is no .npy file`},
		{"folder", zipped(t, member{"a/", nil, zip.Store}), two, `"a/" is no .npy file`},
		{"sparse", stored("indices.npy", "indptr.npy", "format.npy", "shape.npy", "data.npy"), two, "SciPy sparse matrix"},
		{"not npy", zipped(t, member{"age.npy", []byte("hello"), zip.Store}), two[:1], `array "age", byte 0: it does not begin`},
		{"wrong shape", zipped(t, member{"age.npy", array(t, runtime.Float32, 2, 3), zip.Store}), two[:1], `input "age"`},
		{"wrong type", zipped(t, member{"age.npy", array(t, runtime.String, 3), zip.Store}), two[:1], `input "age"`},
		{"damaged", damaged(stored("age.npy")), two[:1], "checksum"},
		{"damaged, deflated", func() []byte {
			b := zipped(t, member{"age.npy", f4, zip.Deflate})
			b[50] ^= 0xff
			return b
		}(), two[:1], `array "age"`},
		{"object", zipped(t, member{"age.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", []byte("\x80\x04.")), zip.Deflate}), two[:1], "never read"},
	} {
		in, err := codec.NPZ{}.Decode(c.body, &codec.Request{Want: c.want})
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want an error with %q", c.name, in, err, c.err)
		}
	}
	if _, err := (codec.NPZ{}).Decode(nil, &codec.Request{}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

// raw writes a zip whose one member lies about itself.
func raw(t testing.TB, h zip.FileHeader, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&h)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// allocated returns how much memory f asks for, freed again or not.
func allocated(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAZipBombCostsLittle(t *testing.T) {
	// 100 MB of zeros deflate to 100 kB.
	bomb := zipped(t, member{"x.npy", append(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (100000000,)}", nil), make([]byte, 100e6)...), zip.Deflate})
	deflated := zipped(t, member{"x.npy", array(t, runtime.Float32, 1000), zip.Deflate})
	r, err := zip.NewReader(bytes.NewReader(deflated), int64(len(deflated)))
	if err != nil {
		t.Fatal(err)
	}
	f := r.File[0]
	start, _ := f.DataOffset()
	data := deflated[start : start+int64(f.CompressedSize64)]
	lie := func(size uint64, method uint16) []byte {
		h := zip.FileHeader{Name: "x.npy", Method: method, CRC32: f.CRC32, CompressedSize64: uint64(len(data)), UncompressedSize64: size}
		return raw(t, h, data)
	}
	many := make([]member, 30)
	for i := range many {
		many[i] = member{strings.Repeat("x", i+1) + ".npy", append(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4000000,)}", nil), make([]byte, 4e6)...), zip.Deflate}
	}
	encrypted := zip.FileHeader{Name: "x.npy", Method: zip.Store, Flags: 1, CRC32: crc32.ChecksumIEEE(data), CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data))}
	for _, c := range []struct {
		name string
		body []byte
		err  string
	}{
		{"100 MB in 100 kB", bomb, "64 MiB or 20 times"},
		{"30 members of 4 MB", zipped(t, many...), "64 MiB or 20 times"},
		{"declares 63 MB, has 4 kB", lie(63<<20, zip.Deflate), "cannot come from"},
		{"declares 1 MB, has 4 kB", lie(1<<20, zip.Deflate), "ends before"},
		{"declares less than it has", lie(200, zip.Deflate), "holds more than"},
		{"declares nothing", lie(0, zip.Deflate), `array "x"`},
		{"declares 2^63", lie(1<<63, zip.Deflate), "64 MiB or 20 times"},
		{"stored, of another size", lie(uint64(len(data))-1, zip.Store), "not within the file"},
		{"LZMA", lie(1000, 14), "method 14"},
		{"encrypted", raw(t, encrypted, data), "encrypted"},
	} {
		var in []runtime.Tensor
		var err error
		spent := allocated(func() { in, err = codec.NPZ{}.Decode(c.body, &codec.Request{}) })
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want an error with %q", c.name, in, err, c.err)
		}
		if spent > 8<<20 {
			t.Errorf("%s: %d bytes of memory for a body of %d", c.name, spent, len(c.body))
		}
	}
}

func TestNPZRepliesAreAlwaysTheSameBytes(t *testing.T) {
	out := []runtime.Tensor{
		{Name: "label", Shape: []int{2}, Data: []string{"setosa", "ü"}},
		{Name: "probabilities", Shape: []int{2, 3}, Data: []float32{1, 0, 0, 0, 1, 0}},
		{Name: "Identity:0", Shape: nil, Data: []bool{true}},
	}
	b, err := codec.NPZ{}.Encode([]byte("before"), out, &codec.Reply{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := codec.NPZ{}.Encode(nil, out, &codec.Reply{})
	if err != nil || string(b) != "before"+string(again) {
		t.Errorf("twice is not the same: %v", err)
	}
	in, err := codec.NPZ{}.Decode(again, &codec.Request{})
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v, %v; want %v", in, err, out)
	}
	z, err := zip.NewReader(bytes.NewReader(again), int64(len(again)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if f.Method != zip.Store || f.Modified.Year() != 1980 {
			t.Errorf("%s: method %d, of %v", f.Name, f.Method, f.Modified)
		}
	}
}

func TestMembersUnpackWhereTheyAreUnpacked(t *testing.T) {
	one := func(name string) runtime.Tensor {
		return runtime.Tensor{Name: name, Shape: []int{1}, Data: []float32{1}}
	}
	for name, want := range map[string]string{
		"x": "x", "a/b": "a/b", "Identity:0": "Identity:0", "é": "é", "..x": "..x", "": "arr_0",
		"/fc/out": "_fc/out", "../../etc/passwd": "__/__/etc/passwd", "a/../b": "a/__/b", "./a": "_/a", `..\a`: ".._a", `C:\a`: "C__a", "c:a": "c_a", "a\x00b\n": "a_b_", "a\xffb": "a_b",
	} {
		b, err := codec.NPZ{}.Encode(nil, []runtime.Tensor{one(name)}, &codec.Reply{})
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil || z.File[0].Name != want+".npy" || z.File[0].NonUTF8 {
			t.Errorf("%q is member %q, want %q: %v", name, z.File[0].Name, want, err)
		}
	}
	if _, err := (codec.NPZ{}).Encode(nil, []runtime.Tensor{one("/a"), one("_a")}, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("two outputs of one name: %v", err)
	}
	if _, err := (codec.NPZ{}).Encode(nil, []runtime.Tensor{{Name: "s", Data: []runtime.Tensor{}}}, &codec.Reply{}); !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("a sequence: %v", err)
	}
}

func FuzzNPZ(f *testing.F) {
	f.Add(zipped(f, member{"x.npy", array(f, runtime.Float32, 2, 3), zip.Store}, member{"y.npy", array(f, runtime.String, 2), zip.Deflate}))
	f.Add(zipped(f, member{"arr_0.npy", array(f, runtime.Float64, 4), zip.Deflate}))
	f.Add(zipped(f))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := codec.NPZ{}.Decode(body, &codec.Request{})
		if err != nil {
			return
		}
		total := 0
		for _, tensor := range in {
			if err := tensor.Check(); err != nil {
				t.Fatal(err)
			}
			total += len(runtime.Bytes(tensor.Data))
		}
		if total > max(64<<20, 20*len(body)) {
			t.Fatalf("%d bytes became %d", len(body), total)
		}
		b, err := codec.NPZ{}.Encode(nil, in, &codec.Reply{})
		if errors.Is(err, codec.ErrNotAcceptable) {
			return // names that become the same, text too wide
		} else if err != nil {
			t.Fatal(err)
		}
		again, err := codec.NPZ{}.Decode(b, &codec.Request{})
		if err != nil || len(again) != len(in) {
			t.Fatalf("%v, %v", again, err)
		}
		for i := range in {
			if !slices.Equal(again[i].Shape, in[i].Shape) || !sameData(again[i].Data, in[i].Data) {
				t.Fatalf("%v became %v", in[i], again[i])
			}
		}
	})
}
