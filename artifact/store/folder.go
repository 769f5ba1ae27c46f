package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// A Folder is the store of a folder's files. Symbolic links are followed as
// long as they stay inside.
type Folder struct {
	dir  string
	root *os.Root
}

var _ Store = (*Folder)(nil)

// OpenFolder returns the store of a folder that exists.
func OpenFolder(dir string) (*Folder, error) {
	if dir == "" {
		return nil, fmt.Errorf("the store \"\": %w", errLocation)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("the store %s: %w: %w", dir, errLocation, err)
	}
	return &Folder{dir: abs, root: root}, nil
}

func (f *Folder) String() string { return f.dir }

// Stat describes one file.
func (f *Folder) Stat(_ context.Context, name string) (Object, error) {
	if err := checkName(name); err != nil {
		return Object{}, err
	}
	info, err := f.root.Stat(name)
	if err != nil {
		return Object{}, f.explain(name, err)
	}
	return f.object(name, info)
}

// Read opens one file.
func (f *Folder) Read(_ context.Context, name string) (io.ReadCloser, Object, error) {
	if err := checkName(name); err != nil {
		return nil, Object{}, err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, Object{}, f.explain(name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, Object{}, errors.Join(f.explain(name, err), file.Close())
	}
	o, err := f.object(name, info)
	if err != nil {
		return nil, Object{}, errors.Join(err, file.Close())
	}
	return file, o, nil
}

func (f *Folder) object(name string, info fs.FileInfo) (Object, error) {
	if !info.Mode().IsRegular() {
		return Object{}, fmt.Errorf("%w: %s in %s is not a file", ErrNotFound, name, f.dir)
	}
	version := strconv.FormatInt(info.Size(), 10) + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 36)
	return Object{Name: name, Size: info.Size(), Modified: info.ModTime(), Version: version}, nil
}

// explain says what an operating system's error means here. A path that
// leaves the folder through a link is not in the store.
func (f *Folder) explain(name string, err error) error {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %s has no %s", ErrNotFound, f.dir, name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s: %w", ErrRefused, f.dir, err)
	case errors.As(err, &at) && strings.Contains(at.Err.Error(), "escapes"):
		return fmt.Errorf("%w: %s leads out of %s", ErrName, name, f.dir)
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, f.dir, err)
}

// List yields the files whose names begin with prefix.
func (f *Folder) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		start := "."
		if prefix != "" {
			start = path.Dir(prefix)
			if strings.HasSuffix(prefix, "/") {
				start = path.Clean(prefix)
			}
			if err := checkName(path.Clean(prefix)); err != nil {
				yield(Object{}, err)
				return
			}
		}
		// S3 orders whole names by their bytes, a walk by folders: collect.
		var found []Object
		err := fs.WalkDir(f.root.FS(), start, func(name string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return err
			}
			if hidden(name) && name != "." {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() || !strings.HasPrefix(name, prefix) {
				return nil
			}
			info, err := f.root.Stat(name)
			if err != nil || !info.Mode().IsRegular() {
				return nil // a link that leads nowhere, a socket: not in the store
			}
			o, err := f.object(name, info)
			found = append(found, o)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			if ctx.Err() == nil {
				err = f.explain(prefix, err)
			}
			yield(Object{}, err)
			return
		}
		sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
		for _, o := range found {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// Put writes a file, through a hidden one beside it.
func (f *Folder) Put(ctx context.Context, name string, r io.ReaderAt, size int64) (err error) {
	if err := checkName(name); err != nil {
		return err
	}
	if dir := path.Dir(name); dir != "." {
		if err := f.root.MkdirAll(dir, 0o777); err != nil {
			return f.explain(name, err)
		}
	}
	temp := path.Join(path.Dir(name), "."+path.Base(name)+".part")
	file, err := f.root.Create(temp)
	if err != nil {
		return f.explain(name, err)
	}
	_, err = io.Copy(file, &cancelReader{ctx: ctx, r: io.NewSectionReader(r, 0, size)})
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(f.explain(name, err), f.root.Remove(temp))
	}
	return nil
}

// Move gives a file that is in the folder already, under a hidden name, the
// name of an object, which it replaces. It reports false for a file that is
// elsewhere.
func (f *Folder) Move(file, name string) (bool, error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return false, err
	}
	from, err := filepath.Rel(f.dir, abs)
	if err != nil || !filepath.IsLocal(from) {
		return false, nil
	}
	if dir := path.Dir(name); dir != "." {
		if err := f.root.MkdirAll(dir, 0o777); err != nil {
			return false, f.explain(name, err)
		}
	}
	switch err := f.root.Rename(from, name); {
	case errors.Is(err, syscall.EXDEV): // another disk is mounted there
		return false, nil
	case err != nil:
		return false, f.explain(name, err)
	}
	return true, nil
}

// A cancelReader ends when its context does.
type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
