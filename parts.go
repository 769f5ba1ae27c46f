package clary

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/claryhq/clary/codec"
)

// partSize is how much of a body is run at a time: many rows of most models,
// and little beside the model.
const partSize = 1 << 20

var errRecord = errors.New("a record is larger than the limit")

// An origin is where a body comes from.
type origin interface {
	io.Reader
	// within says that n bytes more are wanted now.
	within(n int) error
	// ended says that the body has.
	ended() error
	// broken says what it means that Read failed after so many bytes.
	broken(got int64, err error) error
}

// parts cuts a body into parts while it arrives: what the format repeats in
// front of each, then whole records.
type parts struct {
	from    origin
	cut     codec.Splitter
	request *codec.Request
	limit   int64 // bytes of one record

	head  []byte
	begun bool
	rest  []byte // what follows the last part
	total int64  // bytes that have come
	ended bool
}

// next returns the next part, its head included, in a buffer that begins with
// buf; nil at the end of the body.
func (p *parts) next(buf []byte) ([]byte, error) {
	buf = append(append(buf[:0], p.head...), p.rest...)
	p.rest = p.rest[:0]
	for want := partSize; ; {
		if err := p.fill(&buf, want); err != nil {
			return buf, err
		}
		if !p.begun {
			n := p.cut.Head(buf, p.request)
			if n < 0 && p.ended {
				n = len(buf)
			}
			if p.begun = n >= 0; p.begun {
				p.head = append(p.head, buf[:n]...)
			}
		}
		records := buf[len(p.head):]
		if p.ended {
			if len(records) == 0 {
				return nil, nil
			}
			return buf, nil
		}
		if n := p.cut.Cut(records, p.request); n > 0 && p.begun {
			p.rest = append(p.rest, records[n:]...)
			return buf[:len(p.head)+n], nil
		}
		if int64(len(records)) > p.limit {
			return buf, fmt.Errorf("%w of %d bytes: the one after byte %d of the body; SAGEMAKER_MAX_REQUEST_SIZE raises it",
				errRecord, p.limit, p.total-int64(len(records)))
		}
		want = 2 * len(buf) // one record is larger than that
	}
}

// fill reads on until buf holds want bytes or the body has ended.
func (p *parts) fill(buf *[]byte, want int) error {
	if p.ended || len(*buf) >= want {
		return nil
	}
	if err := p.from.within(want); err != nil {
		return err
	}
	for len(*buf) < want {
		if cap(*buf) < want {
			*buf = append(make([]byte, 0, want+want/8), *buf...)
		}
		n, err := p.from.Read((*buf)[len(*buf):cap(*buf)])
		*buf, p.total = (*buf)[:len(*buf)+n], p.total+int64(n)
		if err == io.EOF {
			p.ended = true
			return p.from.ended()
		}
		if err != nil {
			return p.from.broken(p.total, err)
		}
	}
	return nil
}

// discard reads on for a while without keeping anything: a client that sends
// everything before it reads would not see an error else.
func (p *parts) discard() {
	buf := make([]byte, 0, 64<<10)
	for end := p.total + p.limit; !p.ended && p.total < end; buf = buf[:0] {
		if p.fill(&buf, cap(buf)) != nil {
			return
		}
	}
}

// sent is the body of a request. What is wanted of it must keep coming, like
// any body.
type sent struct {
	r       *http.Request
	control *http.ResponseController
}

func (b *sent) Read(p []byte) (int, error) { return b.r.Body.Read(p) }

func (b *sent) within(n int) error {
	if err := b.control.SetReadDeadline(time.Now().Add(patience + time.Duration(n/slowest)*time.Second)); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

func (b *sent) ended() error {
	if err := b.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return b.r.Body.Close() // or net/http would look whether more comes
}

func (b *sent) broken(got int64, err error) error { return bodyError(b.r, int(got), err) }
