package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/claryhq/clary/artifact"
)

// fetch makes e's folder: unpacked beside it, then renamed, so that what
// bears the name is whole.
func (d *Disk) fetch(ctx context.Context, s Store, o Object, e *entry, progress func(done, total int64)) (err error) {
	body, now, err := s.Read(ctx, o.Name)
	if err != nil {
		return err
	}
	defer body.Close()
	if now.Version != o.Version {
		return fmt.Errorf("%w: %s in %s", ErrChanged, o.Name, s)
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	in := &counter{ctx: ctx, r: body, total: now.Size, tell: progress}
	temp := filepath.Join(d.dir, e.key+unfinished)
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	t := &taker{d: d, e: e}
	if path.Ext(o.Name) == ".onnx" {
		err = d.copy(in, t, temp, path.Base(o.Name))
	} else {
		err = artifact.Unpack(in, temp, artifact.Limits{Take: t.take})
	}
	t.settle()
	if in.err != nil { // the store's own words, whatever became of them on the way
		err = in.err
	}
	if err != nil {
		return fmt.Errorf("fetching %s from %s: %w", o.Name, s, err)
	}
	return os.Rename(temp, filepath.Join(d.dir, e.key))
}

func (d *Disk) copy(r io.Reader, t *taker, dir, name string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(&roomyWriter{w: f, take: t.take}, r)
	return errors.Join(err, f.Close())
}

// A roomyWriter writes what it has found room for.
type roomyWriter struct {
	w    io.Writer
	take func(n int) error
}

func (w *roomyWriter) Write(p []byte) (int, error) {
	if err := w.take(len(p)); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// A taker finds room for an entry's bytes, some ahead.
type taker struct {
	d     *Disk
	e     *entry
	spare int64
}

// stride is the room that is taken at once.
const stride = 1 << 20

func (t *taker) take(n int) error {
	for t.spare < int64(n) {
		if err := t.d.room(stride); err != nil {
			return err
		}
		t.spare, t.e.bytes = t.spare+stride, t.e.bytes+stride
	}
	t.spare -= int64(n)
	return nil
}

// settle gives back the room that was not needed.
func (t *taker) settle() {
	t.d.refund(t.spare)
	t.e.bytes -= t.spare
	t.spare = 0
}

// A counter tells how far a transfer is, and keeps the error that ended it.
type counter struct {
	ctx   context.Context
	r     io.Reader
	done  int64
	total int64
	tell  func(done, total int64)
	err   error
}

func (c *counter) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		c.err = context.Cause(c.ctx)
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.done += int64(n)
	c.tell(c.done, c.total)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
