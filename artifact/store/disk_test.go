package store_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/claryhq/clary/artifact/store"
)

// archive is a model.tar.gz whose model is n bytes of c.
func archive(t *testing.T, n int, c byte) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: "model.onnx", Typeflag: tar.TypeReg, Size: int64(n), Mode: 0o644})
	_, writeErr := w.Write(bytes.Repeat([]byte{c}, n))
	if err := errors.Join(err, writeErr, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func disk(t *testing.T, dir string, limit int64) *store.Disk {
	t.Helper()
	d, err := store.NewDisk(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// fetch fetches name and returns it with what its model consists of.
func fetch(t *testing.T, d *store.Disk, s store.Store, name string) (*store.Held, string) {
	t.Helper()
	o, err := s.Stat(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	h, err := d.Fetch(t.Context(), s, o, nil)
	if err != nil {
		t.Fatalf("Fetch %s: %v", name, err)
	}
	return h, model(t, h)
}

// model is what a held artifact's model consists of: how many of which byte.
func model(t *testing.T, h *store.Held) string {
	t.Helper()
	at := h.Path
	if filepath.Ext(at) != ".onnx" {
		at = filepath.Join(at, "model.onnx")
	}
	data, err := os.ReadFile(at)
	if err != nil {
		t.Error(err)
		return ""
	}
	if len(data) == 0 || strings.Trim(string(data), string(data[0])) != "" {
		t.Errorf("%s holds %d bytes that are not all the same", at, len(data))
		return ""
	}
	return fmt.Sprintf("%d%c", len(data), data[0])
}

// A countingStore counts what is read.
type countingStore struct {
	store.Store
	reads atomic.Int32
	gate  chan struct{} // where not nil, Read waits for it
}

func (c *countingStore) Read(ctx context.Context, name string) (io.ReadCloser, store.Object, error) {
	c.reads.Add(1)
	if c.gate != nil {
		select {
		case <-c.gate:
		case <-ctx.Done():
			return nil, store.Object{}, context.Cause(ctx)
		}
	}
	return c.Store.Read(ctx, name)
}

func (c *countingStore) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return c.Store.List(ctx, prefix)
}

func TestTheDiskKeepsTheMostRecentlyUsed(t *testing.T) {
	s := &countingStore{Store: open(t, t.TempDir())}
	for _, c := range "abc" {
		put(t, s, string(c)+".tar.gz", archive(t, 3<<20, byte(c)))
	}
	d := disk(t, t.TempDir(), 10<<20) // three of them, each with its tar headers, do not fit
	for step, c := range []struct {
		name  string
		reads int32
	}{{"a", 1}, {"b", 2}, {"a", 2}, {"c", 3}, {"a", 3}, {"b", 4}, {"a", 4}, {"c", 5}} {
		h, got := fetch(t, d, s, c.name+".tar.gz")
		if got != fmt.Sprintf("%d%s", 3<<20, c.name) {
			t.Errorf("step %d: %s is %s", step, c.name, got)
		}
		if n := s.reads.Load(); n != c.reads {
			t.Errorf("step %d: %d reads of the store, want %d", step, n, c.reads)
		}
		h.Release()
		h.Release() // does nothing
		if used := d.Used(); used > 10<<20 || used < 3<<20 {
			t.Errorf("step %d: %d bytes used", step, used)
		}
	}
}

func TestWhatIsHeldStays(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a.tar.gz", archive(t, 5<<20, 'a'))
	put(t, s, "b.tar.gz", archive(t, 5<<20, 'b'))
	d := disk(t, "", 8<<20)
	held, _ := fetch(t, d, s, "a.tar.gz")
	o, err := s.Stat(t.Context(), "b.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	before := d.Used()
	if _, err := d.Fetch(t.Context(), s, o, nil); !errors.Is(err, store.ErrSpace) {
		t.Errorf("Fetch beside what is held: %v, want ErrSpace", err)
	}
	if got := model(t, held); got != fmt.Sprintf("%da", 5<<20) || d.Used() != before {
		t.Errorf("what is held became %s; %d bytes used, %d before", got, d.Used(), before)
	}
	held.Release()
	h, got := fetch(t, d, s, "b.tar.gz")
	if got != fmt.Sprintf("%db", 5<<20) {
		t.Errorf("b is %s", got)
	}
	h.Release()
}

func TestAChangedObjectIsFetchedBesideTheOldOne(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a.tar.gz", archive(t, 1000, '1'))
	put(t, s, "m.onnx", strings.Repeat("x", 77))
	d := disk(t, t.TempDir(), 1<<30)
	old, _ := fetch(t, d, s, "a.tar.gz")
	put(t, s, "a.tar.gz", archive(t, 2000, '2'))
	now, got := fetch(t, d, s, "a.tar.gz")
	if was := model(t, old); was != "10001" || got != "20002" {
		t.Errorf("the old one is %s, the new one %s", was, got)
	}
	file, got := fetch(t, d, s, "m.onnx")
	if got != "77x" || filepath.Base(file.Path) != "m.onnx" {
		t.Errorf("a bare model at %s is %s", file.Path, got)
	}
	for _, h := range []*store.Held{old, now, file} {
		h.Release()
	}
	stale := store.Object{Name: "a.tar.gz", Version: "of yesterday"}
	if _, err := d.Fetch(t.Context(), s, stale, nil); !errors.Is(err, store.ErrChanged) {
		t.Errorf("a version that is gone: %v, want ErrChanged", err)
	}
}

func TestManyCallersShareOneFetch(t *testing.T) {
	s := &countingStore{Store: open(t, t.TempDir()), gate: make(chan struct{})}
	put(t, s, "a.tar.gz", archive(t, 100_000, 'a'))
	d := disk(t, "", 1<<30)
	o, err := s.Stat(t.Context(), "a.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := d.Fetch(impatient, s, o, nil); !errors.Is(err, left) {
			t.Errorf("the impatient caller got %v", err)
		}
	})
	for s.reads.Load() == 0 { // it is the first
		goruntime.Gosched()
	}
	for range 20 {
		all.Go(func() {
			var last int64
			h, err := d.Fetch(t.Context(), s, o, func(done, total int64) { last = done })
			if err != nil {
				t.Error(err)
				return
			}
			if got := model(t, h); got != "100000a" || last != 0 && last != o.Size {
				t.Errorf("it is %s, progress ended at %d of %d", got, last, o.Size)
			}
			h.Release()
		})
	}
	cancel(left)
	close(s.gate)
	all.Wait()
}

func TestAFailedFetchLeavesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	whole := archive(t, 1<<20, 'a')
	dir := t.TempDir()
	d := disk(t, dir, 1<<30)
	for name, content := range map[string]string{"cut.tar.gz": whole[:len(whole)/2], "no.tar.gz": "this is no archive at all", "empty.tar.gz": ""} {
		put(t, s, name, content)
		o, err := s.Stat(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := d.Fetch(t.Context(), s, o, nil); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if in, err := os.ReadDir(dir); err != nil || len(in) != 1 || d.Used() != 0 { // .lock
		t.Errorf("left behind: %v, %v, %d bytes", in, err, d.Used())
	}
}

func TestADiskOutlivesItsProcess(t *testing.T) {
	s := &countingStore{Store: open(t, t.TempDir())}
	put(t, s, "a.tar.gz", archive(t, 1<<20, 'a'))
	dir := t.TempDir()
	first, err := store.NewDisk(dir, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	h, _ := fetch(t, first, s, "a.tar.gz")
	if _, err := store.NewDisk(dir, 1<<30); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second use of the folder: %v", err)
	}
	h.Release()
	if err := errors.Join(first.Close(), os.Mkdir(filepath.Join(dir, "half.part"), 0o700)); err != nil {
		t.Fatal(err)
	}
	second := disk(t, dir, 1<<30)
	h, got := fetch(t, second, s, "a.tar.gz")
	if got != fmt.Sprintf("%da", 1<<20) || s.reads.Load() != 1 || second.Used() < 1<<20 {
		t.Errorf("it is %s after %d reads, %d bytes used", got, s.reads.Load(), second.Used())
	}
	h.Release()
	if _, err := os.Stat(filepath.Join(dir, "half.part")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was half fetched is still there: %v", err)
	}
}

// Eight callers want 24 artifacts, of which two thirds fit: whatever is held is
// whole, and the bound holds.
func TestDiskUnderStress(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 24 {
		put(t, s, fmt.Sprintf("%c.tar.gz", 'a'+i), archive(t, 1<<20, byte('a'+i)))
	}
	dir := t.TempDir()
	d := disk(t, dir, 17<<20)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 60 {
				c := 'a' + (i*7+w*5+i*w)%24
				o, err := s.Stat(t.Context(), fmt.Sprintf("%c.tar.gz", c))
				if err != nil {
					t.Error(err)
					return
				}
				h, err := d.Fetch(t.Context(), s, o, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got := model(t, h); got != fmt.Sprintf("%d%c", 1<<20, c) {
					t.Errorf("%c is %s", c, got)
				}
				h.Release()
			}
		})
	}
	all.Wait()
	if used := d.Used(); used > 17<<20 || used <= 0 {
		t.Errorf("%d bytes used", used)
	}
}
