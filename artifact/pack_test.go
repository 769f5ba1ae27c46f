package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claryhq/clary/artifact"
)

func pack(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := artifact.Pack(&b, dir); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatPackWritesOpens(t *testing.T) {
	emptyTemp(t)
	dir := tree(t, "net.onnx=the model", "net.onnx.data=weights", "clary.yaml=name: n\nmodel: net.onnx", "labels/en.txt", "empty/",
		".git/config", "._net.onnx", "labels/.DS_Store", "model.tar.gz=an earlier package")
	path := filepath.Join(t.TempDir(), "model.tar.gz")
	if err := os.WriteFile(path, pack(t, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := artifact.Open(path, artifact.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	want := []string{"clary.yaml", "empty/", "labels/", "labels/en.txt", "net.onnx", "net.onnx.data"}
	if got := held(t, a.Dir); !slices.Equal(got, want) {
		t.Errorf("it holds %q, want %q", got, want)
	}
	if content, err := os.ReadFile(a.Model); err != nil || string(content) != "the model" {
		t.Errorf("the model holds %q, %v", content, err)
	}
}

func TestPackWritesTheSameBytesForTheSameFiles(t *testing.T) {
	files := []string{"model.onnx=x", "b/c.txt", "a.txt", "z/"}
	first := pack(t, tree(t, files...))
	slices.Reverse(files)
	dir := tree(t, files...)
	for _, name := range []string{"a.txt", "b"} {
		path := filepath.Join(dir, name)
		if err := os.Chtimes(path, time.Unix(1, 2), time.Unix(3, 4)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, link} {
		if !bytes.Equal(first, pack(t, d)) {
			t.Errorf("%s packs to other bytes than the same files elsewhere", d)
		}
	}
}

func TestPackedEntriesAreSortedAndCarryNothingOfTheirOwner(t *testing.T) {
	zr, err := gzip.NewReader(bytes.NewReader(pack(t, tree(t, "model.onnx", "b/c.txt", "a.txt"))))
	if err != nil {
		t.Fatal(err)
	}
	if !zr.ModTime.IsZero() || zr.Name != "" {
		t.Errorf("the gzip header says %q, %v", zr.Name, zr.ModTime)
	}
	var names []string
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.ModTime.Unix() != 0 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s carries %v, %d:%d, %s:%s", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		if want := map[bool]int64{true: 0o755, false: 0o644}[h.Typeflag == tar.TypeDir]; h.Mode != want {
			t.Errorf("%s has mode %o, want %o", h.Name, h.Mode, want)
		}
	}
	if want := []string{"a.txt", "b/", "b/c.txt", "model.onnx"}; !slices.Equal(names, want) {
		t.Errorf("it holds %q, want %q", names, want)
	}
}

func TestPackRefusesWhatCouldNotBeServed(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(dir string) error
		says  string
	}{
		{"no model", func(dir string) error { return os.Remove(filepath.Join(dir, "model.onnx")) }, "no model in"},
		{"a wrong setting", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "clary.yaml"), []byte("nmae: x"), 0o644)
		}, "did you mean name?"},
		{"a link", func(dir string) error {
			return os.Symlink(filepath.Join(dir, "model.onnx"), filepath.Join(dir, "other.onnx"))
		}, "other.onnx is a link"},
		{"a pipe", func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) }, "neither a file nor a folder"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, "model.onnx", "readme.txt")
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if err := artifact.Pack(io.Discard, dir); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Pack says %v, want %q", err, c.says)
			}
		})
	}
}
