package store

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// A Disk keeps unpacked artifacts in a folder, within a bound: the least
// recently used that nobody holds goes first. Its methods may be called
// concurrently.
type Disk struct {
	dir   string
	limit int64
	lock  *os.File // held on a folder that outlives the process
	own   bool     // dir is removed by Close

	mu      sync.Mutex // guards what follows; no file is touched under it but by rename
	entries map[string]*entry
	idle    *list.List // of *entry, the least recently used first
	used    int64
	evicted int // names what is on its way out
}

// An entry is one artifact on disk, or on its way there.
type entry struct {
	key   string
	ready chan struct{} // closed when it is there or err says why not
	err   error
	left  bool // the caller who fetched it gave up
	bytes int64
	holds int
	place *list.Element // in idle, when nobody holds it
}

// NewDisk returns the cache in dir, for limit bytes. What an earlier process
// left there is used again; one that another process is using is an error. An
// empty dir is a new private folder below os.TempDir, which Close removes.
func NewDisk(dir string, limit int64) (*Disk, error) {
	d := &Disk{dir: dir, limit: limit, entries: map[string]*entry{}, idle: list.New()}
	if dir == "" {
		temp, err := os.MkdirTemp("", "clary-store-")
		if err != nil {
			return nil, fmt.Errorf("the disk cache needs a temporary folder (TMPDIR sets where): %w", err)
		}
		d.dir, d.own = temp, true
		return d, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the disk cache: %w", err)
	}
	var err error
	if d.lock, err = lockFolder(dir); err != nil {
		return nil, fmt.Errorf("the disk cache %s: %w", dir, err)
	}
	if err := d.adopt(); err != nil {
		return nil, errors.Join(fmt.Errorf("the disk cache %s: %w", dir, err), d.lock.Close())
	}
	return d, nil
}

const unfinished = ".part"

// adopt takes over what an earlier process left, the oldest as the least
// recently used, and removes what it did not finish.
func (d *Disk) adopt() error {
	found, err := os.ReadDir(d.dir) // by name; the order among old ones means little
	if err != nil {
		return err
	}
	for _, f := range found {
		at := filepath.Join(d.dir, f.Name())
		switch {
		case !f.IsDir():
			continue
		case strings.HasSuffix(f.Name(), unfinished):
			err = os.RemoveAll(at)
		case len(f.Name()) == keyLength:
			var size int64
			if size, err = sizeOf(at); err == nil {
				e := &entry{key: f.Name(), bytes: size, ready: closed}
				e.place = d.idle.PushBack(e)
				d.entries[e.key], d.used = e, d.used+size
			}
		}
		if err != nil {
			return err
		}
	}
	return d.room(0)
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// A Held artifact stays on disk until Release.
type Held struct {
	Path  string // what artifact.Open takes
	Bytes int64  // on disk

	disk    *Disk
	entry   *entry
	release sync.Once
}

// Release lets the artifact be evicted; further calls do nothing.
func (h *Held) Release() {
	h.release.Do(func() {
		h.disk.mu.Lock()
		defer h.disk.mu.Unlock()
		if h.entry.holds--; h.entry.holds == 0 {
			h.entry.place = h.disk.idle.PushBack(h.entry)
		}
	})
}

// Fetch returns the object, an archive (.tar.gz, .tgz, .tar) or an .onnx file,
// unpacked on disk; from the store where it is not there yet in the version
// that o says. progress, which may be nil, is told of the bytes that came.
// Several callers share one fetch, which ends when the ctx of the first does.
//
// ErrSpace means that it does not fit with everything idle evicted.
func (d *Disk) Fetch(ctx context.Context, s Store, o Object, progress func(done, total int64)) (*Held, error) {
	key := keyOf(s, o)
	for {
		d.mu.Lock()
		e, there := d.entries[key]
		if !there {
			e = &entry{key: key, ready: make(chan struct{})}
			d.entries[key] = e
		}
		e.holds++
		if e.place != nil {
			d.idle.Remove(e.place)
			e.place = nil
		}
		d.mu.Unlock()
		if !there {
			e.err = d.fetch(ctx, s, o, e, progress)
			if e.err != nil {
				e.left = ctx.Err() != nil
				d.forget(e)
			}
			close(e.ready)
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			d.held(e, "").Release()
			return nil, context.Cause(ctx)
		}
		switch {
		case e.err == nil:
			return d.held(e, o.Name), nil
		case there && e.left:
			continue // this caller has not
		}
		return nil, e.err
	}
}

func (d *Disk) held(e *entry, name string) *Held {
	at := filepath.Join(d.dir, e.key)
	if path.Ext(name) == ".onnx" {
		at = filepath.Join(at, path.Base(name))
	}
	return &Held{Path: at, Bytes: e.bytes, disk: d, entry: e}
}

// room evicts what is idle until n more bytes fit.
func (d *Disk) room(n int64) error {
	for {
		d.mu.Lock()
		if d.used+n <= d.limit {
			d.used += n
			d.mu.Unlock()
			return nil
		}
		first := d.idle.Front()
		if first == nil {
			used := d.used
			d.mu.Unlock()
			return fmt.Errorf("%w: %d bytes more than the %d of %d that are in use", ErrSpace, n, used, d.limit)
		}
		e := d.idle.Remove(first).(*entry)
		e.place = nil
		delete(d.entries, e.key)
		d.evicted++
		gone := filepath.Join(d.dir, strconv.Itoa(d.evicted)+unfinished)
		err := os.Rename(filepath.Join(d.dir, e.key), gone) // the name is free for a new fetch at once
		d.mu.Unlock()
		if err == nil {
			err = os.RemoveAll(gone)
		}
		if err != nil {
			return fmt.Errorf("evicting from the disk cache: %w", err)
		}
		d.refund(e.bytes)
	}
}

func (d *Disk) refund(n int64) {
	d.mu.Lock()
	d.used -= n
	d.mu.Unlock()
}

// forget takes back an entry that came to nothing.
func (d *Disk) forget(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[e.key] == e {
		delete(d.entries, e.key)
	}
	d.used -= e.bytes
	e.bytes = 0
}

// Used returns the bytes on disk, those being fetched included.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Close ends the use of the folder; nothing may be held or fetched any more.
func (d *Disk) Close() error {
	if d.own {
		return os.RemoveAll(d.dir)
	}
	return d.lock.Close()
}

const keyLength = 32

// keyOf names an entry: what leads to other bytes has another name.
func keyOf(s Store, o Object) string {
	sum := sha256.Sum256([]byte(s.String() + "\x00" + o.Name + "\x00" + o.Version))
	return hex.EncodeToString(sum[:keyLength/2])
}

func sizeOf(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
