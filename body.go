package clary

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// A body must keep coming: patience to begin with, then at least slowest
// bytes a second. Slower ones are cut off, so that idle senders cannot hold
// the server's connections (slow-loris).
const (
	patience = 30 * time.Second
	slowest  = 16 << 10
)

// step is how much is read before the deadline is moved on.
const step = 1 << 20

// small is the largest body that is read without asking for room: so many of
// them as may wait for a worker are no burden, and a slow sender of a large
// one holds none of them up.
const small = 64 << 10

// bodies reads request bodies into buffers that are used again.
type bodies struct {
	pool sync.Pool // of *[]byte
}

// keep is the largest buffer that goes back into the pool, and the most that
// is allocated for a body on its sender's word alone.
const keep = 4 << 20

// read returns the whole body of r, in a buffer that the caller gives back. A
// body over limit is an *http.MaxBytesError, at once when its length is
// announced.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64) (*[]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	buf := b.get()
	data, err := readAll((*buf)[:0], w, r, limit)
	*buf = data
	if err != nil {
		b.give(buf)
		return nil, err
	}
	return buf, nil
}

// get returns a buffer to be given back.
func (b *bodies) get() *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return buf
	}
	return new([]byte)
}

// give returns a buffer; nobody may read it any more.
func (b *bodies) give(buf *[]byte) {
	if cap(*buf) <= keep {
		b.pool.Put(buf)
	}
}

func readAll(buf []byte, w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	control := http.NewResponseController(w)
	if r.ContentLength > small {
		if err := control.SetReadDeadline(time.Now().Add(patience + time.Duration(r.ContentLength/slowest)*time.Second)); err != nil {
			return buf, fmt.Errorf("%w: %w", errBody, err)
		}
	}
	chunked := r.ContentLength < 0
	moved := 0 // how far the body had come when a chunked one's deadline was last moved
	for {
		if len(buf) == cap(buf) {
			buf = grow(buf, r.ContentLength)
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return buf, &http.MaxBytesError{Limit: limit}
		}
		if chunked && len(buf)-moved > step {
			moved = len(buf)
			if err := control.SetReadDeadline(time.Now().Add(patience + step/slowest*time.Second)); err != nil {
				return buf, fmt.Errorf("%w: %w", errBody, err)
			}
		}
		if err == io.EOF {
			// A deadline that passed later, during a long Run, would look
			// like the client's going away.
			if err := control.SetReadDeadline(time.Time{}); err != nil {
				return buf, err
			}
			return buf, r.Body.Close() // or net/http would look whether more comes
		}
		if err != nil {
			return buf, bodyError(r, len(buf), err)
		}
	}
}

// grow makes room: for the whole body when it is announced and half of it has
// come or it is small, in doubling steps otherwise.
func grow(buf []byte, announced int64) []byte {
	want := max(2*cap(buf), 512)
	if announced >= 0 && announced <= int64(max(want, keep)) {
		want = int(announced) + 1 // one more, so that the end is seen without growing again
	}
	next := make([]byte, len(buf), max(want, len(buf)+1))
	copy(next, buf)
	return next
}

func bodyError(r *http.Request, got int, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %d bytes came, then nothing for too long", errSlow, got)
	case errors.Is(err, io.ErrUnexpectedEOF) && r.ContentLength >= 0:
		return fmt.Errorf("%w: it ended after %d bytes, Content-Length says %d", errBody, got, r.ContentLength)
	}
	return fmt.Errorf("%w after %d bytes: %w", errBody, got, err)
}
