package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/artifact/store/storetest"
)

func TestMain(m *testing.M) {
	// What the machine itself knows of AWS is nobody's business here.
	for _, kv := range os.Environ() {
		if k, _, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "AWS_") {
			if err := os.Unsetenv(k); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// setenv lets the AWS SDK find the server at url in place of s's own.
func setenv(t *testing.T, s *storetest.Server, url string) {
	t.Helper()
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	if url != "" {
		t.Setenv("AWS_ENDPOINT_URL_S3", url)
	}
}

func open(t *testing.T, location string) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s store.Store, name, content string) {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(content), int64(len(content))); err != nil {
		t.Fatalf("Put %s: %v", name, err)
	}
}

func read(t *testing.T, s store.Store, name string) (string, store.Object) {
	t.Helper()
	r, o, err := s.Read(t.Context(), name)
	if err != nil {
		t.Fatalf("Read %s: %v", name, err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("Read %s: %v", name, err)
	}
	return string(data), o
}

func list(t *testing.T, s store.Store, prefix string) string {
	t.Helper()
	var names []string
	for o, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List %q: %v", prefix, err)
		}
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

// Both kinds of store keep the same promises.
func TestAStoreKeepsItsPromises(t *testing.T) {
	t.Run("folder", func(t *testing.T) { promises(t, open(t, t.TempDir())) })
	t.Run("s3", func(t *testing.T) {
		setenv(t, storetest.Start(t, "models"), "")
		promises(t, open(t, "s3://models"))
		t.Run("below a prefix", func(t *testing.T) { promises(t, open(t, "s3://models/some/where/")) })
	})
}

func promises(t *testing.T, s store.Store) {
	if got := list(t, s, ""); got != "" && !strings.Contains(s.String(), "where") {
		t.Errorf("a new store lists %q", got)
	}
	put(t, s, "a.tar.gz", "one")
	put(t, s, "team/b.tar.gz", "two")
	put(t, s, "team/b/c d+é%.txt", "")
	put(t, s, "team.txt", "three")

	content, o := read(t, s, "team/b.tar.gz")
	if content != "two" || o.Size != 3 || o.Name != "team/b.tar.gz" || o.Version == "" || o.Modified.IsZero() {
		t.Errorf("Read gives %q and %+v", content, o)
	}
	if now, err := s.Stat(t.Context(), "team/b.tar.gz"); err != nil || now.Version != o.Version || now.Size != 3 {
		t.Errorf("Stat gives %+v, %v; Read gave %+v", now, err, o)
	}
	if content, o := read(t, s, "team/b/c d+é%.txt"); content != "" || o.Size != 0 {
		t.Errorf("an empty object reads as %q, %+v", content, o)
	}
	for prefix, want := range map[string]string{
		"": "a.tar.gz team.txt team/b.tar.gz team/b/c d+é%.txt", "team/": "team/b.tar.gz team/b/c d+é%.txt",
		"team": "team.txt team/b.tar.gz team/b/c d+é%.txt", "team/b.": "team/b.tar.gz", "none": "", "none/": "",
	} {
		if got := list(t, s, prefix); got != want {
			t.Errorf("List %q gives %s, want %s", prefix, got, want)
		}
	}

	put(t, s, "team/b.tar.gz", "another")
	now, err := s.Stat(t.Context(), "team/b.tar.gz")
	if err != nil || now.Version == o.Version || now.Size != 7 {
		t.Errorf("after a second Put, Stat gives %+v, %v; before %+v", now, err, o)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 65<<16) // in parts, where there are parts
	if err := s.Put(t.Context(), "large", bytes.NewReader(large), int64(len(large))); err != nil {
		t.Fatal(err)
	}
	if content, o := read(t, s, "large"); content != string(large) || o.Size != int64(len(large)) {
		t.Errorf("a large object came back as %d bytes, %+v", len(content), o)
	}

	for _, name := range []string{"none", "team", "team/b", "team/none.tar.gz", "a.tar.gz/b"} {
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Stat %s: %v, want ErrNotFound", name, err)
		}
		if _, _, err := s.Read(t.Context(), name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Read %s: %v, want ErrNotFound", name, err)
		}
	}
	for _, name := range badNames {
		_, statErr := s.Stat(t.Context(), name)
		_, _, readErr := s.Read(t.Context(), name)
		putErr := s.Put(t.Context(), name, strings.NewReader("x"), 1)
		for _, err := range []error{statErr, readErr, putErr} {
			if !errors.Is(err, store.ErrName) {
				t.Errorf("%q: %v, want ErrName", name, err)
			}
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the caller left")
	cancel(cause)
	if err := s.Put(ctx, "late", strings.NewReader("x"), 1); !errors.Is(err, cause) {
		t.Errorf("Put after the end of ctx: %v", err)
	}
	if _, err := s.Stat(t.Context(), "late"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a Put that failed left something: %v", err)
	}
}

var badNames = []string{"", ".", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "./a", "a/", "a/./b", `a\b`, "a\x00b",
	strings.Repeat("x", 1025), "\xff"}

func TestALocationIsAFolderOrABucket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{"", file, filepath.Join(t.TempDir(), "none"), "s3://", "s3:///a", "s3://bucket/../x", "gs://bucket"} {
		if s, err := store.Open(t.Context(), location); err == nil || !strings.Contains(err.Error(), location) {
			t.Errorf("%q opens as %v, %v", location, s, err)
		}
	}
}

func TestAFolderIsNotLeft(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, target := range map[string]string{"absolute": outside, "file": filepath.Join(outside, "secret"), "inside": "here"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	put(t, s, "here/model", "mine")
	for _, name := range []string{"absolute/secret", "file"} {
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, store.ErrName) {
			t.Errorf("Stat %s: %v, want ErrName", name, err)
		}
		if _, _, err := s.Read(t.Context(), name); !errors.Is(err, store.ErrName) {
			t.Errorf("Read %s: %v, want ErrName", name, err)
		}
	}
	if content, _ := read(t, s, "inside/model"); content != "mine" {
		t.Errorf("a link that stays inside reads as %q", content)
	}
	if got := list(t, s, ""); got != "here/model" {
		t.Errorf("List gives %q", got)
	}
}

func TestMoveNamesAFileOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	f, err := store.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(dir, ".state", "a.part")
	if err := os.MkdirAll(filepath.Dir(part), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"one", "another"} {
		if err := os.WriteFile(part, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if moved, err := f.Move(part, "deep/a.out"); !moved || err != nil {
			t.Fatal(moved, err)
		}
		if got, _ := read(t, f, "deep/a.out"); got != content {
			t.Errorf("%q, want %q", got, content)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(elsewhere, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if moved, err := f.Move(elsewhere, "b.out"); moved || err != nil {
		t.Errorf("a file of another folder: %v, %v", moved, err)
	}
	if _, err := f.Move(part, "../b.out"); !errors.Is(err, store.ErrName) {
		t.Errorf("a name that leads out: %v", err)
	}
}
