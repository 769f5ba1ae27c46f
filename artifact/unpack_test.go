package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/artifact"
)

// An item is one entry of an archive that a test writes.
type item struct {
	tar.Header
	content string
}

func file(name, content string) item {
	return item{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o7777, Size: int64(len(content))}, content}
}

func folder(name string) item { return item{tar.Header{Typeflag: tar.TypeDir, Name: name}, ""} }

func other(kind byte, name, target string) item {
	return item{tar.Header{Typeflag: kind, Name: name, Linkname: target}, ""}
}

func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, it := range items {
		if err := w.WriteHeader(&it.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(it.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// held lists the paths below dir, folders with a slash at the end.
func held(t testing.TB, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if e.IsDir() {
			rel += "/"
		}
		list = append(list, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func TestUnpackTakesFilesAndFolders(t *testing.T) {
	cases := []struct {
		name  string
		items []item
		want  []string
	}{
		{"one file", []item{file("model.onnx", "x")}, []string{"model.onnx"}},
		{"as tar writes ./ paths", []item{folder("./"), folder("./a/"), file("./a/b.txt", "x")}, []string{"a/", "a/b.txt"}},
		{"folders that only paths imply", []item{file("a/b/c", "x")}, []string{"a/", "a/b/", "a/b/c"}},
		{"a folder after its file", []item{file("a/b", "x"), folder("a/")}, []string{"a/", "a/b"}},
		{"a folder twice", []item{folder("a"), folder("a/")}, []string{"a/"}},
		{"empty files", []item{file("a", ""), file("b", "")}, []string{"a", "b"}},
		{"hidden files and folders left out", []item{file("._model.onnx", "x"), file(".git/config", "x"), file("a/.b/c", "x"), file("..x", "x"), file("model.onnx", "x")}, []string{"model.onnx"}},
		{"a hidden link left out", []item{other(tar.TypeSymlink, ".bin/x", "/etc"), file("model.onnx", "x")}, []string{"model.onnx"}},
		{"a global header passed over", []item{{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}}, file("model.onnx", "x")}, []string{"model.onnx"}},
		{"strange but plain names", []item{file("a b\\c", "x"), file("日本/モデル.onnx", "x"), file("a..b", "x")}, []string{"a b\\c", "a..b", "日本/", "日本/モデル.onnx"}},
		{"double slashes", []item{file("a//b", "x")}, []string{"a/", "a/b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plain := tarOf(t, c.items...)
			for kind, data := range map[string][]byte{"tar": plain, "gzip": gzipped(t, plain)} {
				dir := filepath.Join(t.TempDir(), "new")
				if err := artifact.Unpack(bytes.NewReader(data), dir, artifact.Limits{}); err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if got := held(t, dir); !slices.Equal(got, c.want) {
					t.Errorf("%s: unpacked %q, want %q", kind, got, c.want)
				}
			}
		})
	}
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	good := gzipped(t, tarOf(t, file("a.onnx", strings.Repeat("weights ", 1000)), file("b.txt", "b")))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-6] ^= 1 // in the gzip trailer's checksum
	plain := tarOf(t, file("a.onnx", strings.Repeat("weights ", 1000)))
	small := artifact.Limits{Bytes: 20_000, Files: 10}
	var many []item
	for i := range 11 {
		many = append(many, file(string(rune('a'+i)), ""))
	}
	cases := []struct {
		name string
		data []byte
		says string
	}{
		{"nothing", nil, "the archive is empty"},
		{"gzip of nothing", gzipped(t, nil), "the archive is empty"},
		{"text", []byte(strings.Repeat("hello, world ", 100)), "no tar archive"},
		{"gzip of text", gzipped(t, []byte(strings.Repeat("hello, world ", 100))), "no tar archive"},
		{"half a gzip header", good[:6], "truncated"},
		{"gzip cut in its data", good[:len(good)/2], "truncated"},
		{"gzip cut in its trailer", good[:len(good)-3], "truncated"},
		{"gzip with a wrong checksum", flipped, "damaged"},
		{"garbage in the gzip data", append(bytes.Clone(good[:10]), 0xff, 0xff, 0xff, 0xff, 0xff), "damaged"},
		{"garbage after the gzip data", append(bytes.Clone(good), "garbage after it"...), "damaged"},
		{"tar cut in a file", plain[:2000], "truncated"},
		{"tar cut in a header", plain[:300], "truncated"},
		{"a second archive behind the first", append(bytes.Clone(plain), plain...), "data follows the end"},
		{"an absolute path", tarOf(t, file("/etc/cron.d/x", "x")), "absolute path"},
		{"a parent path", tarOf(t, file("../x", "x")), "points outside"},
		{"a parent path in the middle", tarOf(t, file("a/../../x", "x")), "points outside"},
		{"a parent path that stays inside", tarOf(t, file("a/../x", "x")), "points outside"},
		{"a parent folder", tarOf(t, folder("..")), "points outside"},
		{"a symbolic link", tarOf(t, other(tar.TypeSymlink, "x", "/etc/passwd")), `"x" is a link`},
		{"a way out through a link", tarOf(t, other(tar.TypeSymlink, "x", "/tmp"), file("x/y", "")), `"x" is a link`},
		{"a hard link", tarOf(t, file("a", ""), other(tar.TypeLink, "x", "a")), `"x" is a link`},
		{"a character device", tarOf(t, other(tar.TypeChar, "x", "")), "a device"},
		{"a block device", tarOf(t, other(tar.TypeBlock, "x", "")), "a device"},
		{"a pipe", tarOf(t, other(tar.TypeFifo, "x", "")), "a pipe"},
		{"a sparse file, the old way", oldSparse(t), "a sparse file"},
		{"a sparse file, the new way", newSparse(t), "a sparse file"},
		{"an unknown type", tarOf(t, other('Z', "x", "")), "unknown type"},
		{"a file twice", tarOf(t, file("a", "1"), file("./a", "2")), `"a" twice`},
		{"a file where a folder is", tarOf(t, folder("a"), file("a", "x")), `"a" twice`},
		{"a folder where a file is", tarOf(t, file("a", "x"), folder("a")), `"a" twice`},
		{"a file below a file", tarOf(t, file("a", "x"), file("a/b", "x")), `"a" twice`},
		{"a file for the root", tarOf(t, file(".", "x")), `"." twice`},
		{"no name", tarOf(t, file("", "x")), "without a name"},
		{"a path without end", tarOf(t, file(strings.Repeat("a/", 1000)+"b", "x")), "a path of 2001 bytes"},
		{"a component without end", tarOf(t, file(strings.Repeat("a", 300), "x")), "name too long"},
		{"too many files", tarOf(t, many...), "more than 10 files"},
		{"too many hidden files", tarOf(t, slices.Collect(renamed(many, ".x"))...), "more than 10 files"},
		{"too many folders in one path", tarOf(t, file("a/a/a/a/a/a/a/a/a/a/b", "")), "more than 10 files"},
		{"too much in one file", tarOf(t, file("a", strings.Repeat("x", 30_000))), "more than 20000 bytes"},
		{"too much in a hidden file", tarOf(t, file(".a", strings.Repeat("x", 30_000))), "more than 20000 bytes"},
		{"too much behind the end", gzipped(t, append(tarOf(t, file("a", "")), make([]byte, 1<<20)...)), "more than 20000 bytes"},
		{"a bomb", gzipped(t, tarOf(t, file("a", strings.Repeat("\x00", 64<<20)))), "more than 20000 bytes"},
		{"a size that is a lie", huge(t), "more than 20000 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			above := t.TempDir()
			existing := filepath.Join(above, "existing")
			if err := os.Mkdir(existing, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{existing, filepath.Join(above, "new")} {
				err := artifact.Unpack(bytes.NewReader(c.data), dir, small)
				if err == nil {
					t.Fatalf("unpacked %q", held(t, dir))
				}
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("the error does not say %q: %v", c.says, err)
				}
			}
			if left := held(t, above); !slices.Equal(left, []string{"existing/"}) {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func renamed(items []item, prefix string) func(func(item) bool) {
	return func(yield func(item) bool) {
		for _, it := range items {
			it.Name = prefix + it.Name
			if !yield(it) {
				return
			}
		}
	}
}

// oldSparse is an archive with one GNU sparse file, which expands to 1 TB.
func oldSparse(t *testing.T) []byte {
	data := tarOf(t, item{tar.Header{Typeflag: tar.TypeReg, Name: "x", Format: tar.FormatGNU}, ""})
	data[156] = tar.TypeGNUSparse
	copy(data[483:495], "00000000000\x00") // the real size
	return checksummed(data)
}

// newSparse is the same in PAX records, which package tar writes for nobody.
func newSparse(t *testing.T) []byte {
	records := map[string]string{"XNU.sparse.major": "1", "XNU.sparse.minor": "0", "XNU.sparse.name": "x", "XNU.sparse.realsize": "1099511627776"}
	data := tarOf(t, item{tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 512, PAXRecords: records}, "1\n0\n0\n" + strings.Repeat("\x00", 506)})
	return bytes.ReplaceAll(data, []byte("XNU.sparse"), []byte("GNU.sparse"))
}

// huge is an archive whose header promises more than follows.
func huge(t *testing.T) []byte {
	data := tarOf(t, file("x", ""))
	copy(data[124:136], "77777777777\x00")
	return append(checksummed(data)[:512], make([]byte, 100_000)...)
}

// checksummed mends the first header's checksum.
func checksummed(data []byte) []byte {
	copy(data[148:156], "        ")
	sum := 0
	for _, b := range data[:512] {
		sum += int(b)
	}
	for i, at := range []int{153, 152, 151, 150, 149, 148} {
		data[at] = byte('0' + sum>>(3*i)&7)
	}
	data[154] = 0
	return data
}

func TestLimitsAreMetExactly(t *testing.T) {
	data := tarOf(t, folder("a"), file("a/b", "12345"), file("c/d", ""))
	if err := artifact.Unpack(bytes.NewReader(data), t.TempDir(), artifact.Limits{Bytes: int64(len(data)), Files: 4}); err != nil {
		t.Errorf("%d bytes in 4 files and folders, exactly the limits: %v", len(data), err)
	}
	for _, l := range []artifact.Limits{{Bytes: int64(len(data)) - 1}, {Files: 3}} {
		if err := artifact.Unpack(bytes.NewReader(data), t.TempDir(), l); err == nil {
			t.Errorf("%d bytes in 4 files and folders passed %+v", len(data), l)
		}
	}
}

func TestUnpackWantsAnEmptyFolder(t *testing.T) {
	dir := tree(t, "mine.txt")
	for _, into := range []string{dir, filepath.Join(dir, "mine.txt"), filepath.Join(dir, "no", "such")} {
		if err := artifact.Unpack(bytes.NewReader(tarOf(t, file("a", ""))), into, artifact.Limits{}); err == nil {
			t.Errorf("unpacked into %s", into)
		}
	}
	if left := held(t, dir); !slices.Equal(left, []string{"mine.txt"}) {
		t.Errorf("the folder holds %q", left)
	}
}

func FuzzUnpack(f *testing.F) {
	for _, items := range [][]item{
		{file("model.onnx", "x"), folder("a"), file("a/b", "y")},
		{file("../x", "x")}, {file("/x", "x")}, {other(tar.TypeSymlink, "x", "/tmp"), file("x/y", "z")},
		{other(tar.TypeLink, "x", "y")}, {file("a", "x"), file("a", "y")}, {file(".hidden/x", "x")},
		{{Header: tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 60) + "x", PAXRecords: map[string]string{"comment": "x"}}}},
	} {
		data := tarOf(f, items...)
		f.Add(data)
		f.Add(gzipped(f, data))
		f.Add(data[:len(data)/3])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "in")
		limits := artifact.Limits{Bytes: 1 << 16, Files: 20}
		err := artifact.Unpack(bytes.NewReader(data), dir, limits)
		if err != nil {
			if left := held(t, above); len(left) > 0 {
				t.Fatalf("left behind after %v: %q", err, left)
			}
			return
		}
		if beside := held(t, above); slices.ContainsFunc(beside, func(name string) bool { return !strings.HasPrefix(name, "in/") }) {
			t.Fatalf("written outside: %q", beside)
		}
		list := held(t, dir)
		if len(list) > limits.Files {
			t.Fatalf("%d files of %d", len(list), limits.Files)
		}
		var total int64
		for _, name := range list {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if !info.IsDir() && !info.Mode().IsRegular() {
				t.Fatalf("%s is %v", name, info.Mode())
			}
			if !info.IsDir() {
				total += info.Size()
			}
		}
		if total > limits.Bytes {
			t.Fatalf("%d bytes of %d", total, limits.Bytes)
		}
	})
}
