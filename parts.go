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

// parts cuts a body into parts while it arrives: what the format repeats in
// front of each, then whole records.
type parts struct {
	r       *http.Request
	control *http.ResponseController
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

// fill reads on until buf holds want bytes or the body has ended. What is
// wanted must keep coming, like any body.
func (p *parts) fill(buf *[]byte, want int) error {
	if p.ended || len(*buf) >= want {
		return nil
	}
	if err := p.control.SetReadDeadline(time.Now().Add(patience + time.Duration(want/slowest)*time.Second)); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	for len(*buf) < want {
		if cap(*buf) < want {
			*buf = append(make([]byte, 0, want+want/8), *buf...)
		}
		n, err := p.r.Body.Read((*buf)[len(*buf):cap(*buf)])
		*buf, p.total = (*buf)[:len(*buf)+n], p.total+int64(n)
		if err == io.EOF {
			p.ended = true
			if err := p.control.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
			return p.r.Body.Close() // or net/http would look whether more comes
		}
		if err != nil {
			return bodyError(p.r, int(p.total), err)
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
