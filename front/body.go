package front

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// A body is a request's: what had come with its head, and what comes. Whoever
// still has it after the request's end, as http.Transport may, reads nothing of
// the next.
type body struct {
	conn net.Conn

	mu     sync.Mutex // guards what follows
	rest   []byte     // of what had come
	more   int64      // that has not been read from the connection
	closed bool
	failed bool
}

// Read reads what is there of the body, or waits for more.
func (b *body) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

func (b *body) read(p []byte) (n int, err error) {
	switch {
	case len(b.rest) > 0:
		n = copy(p, b.rest)
		b.rest = b.rest[n:]
	case b.more > 0:
		if int64(len(p)) > b.more {
			p = p[:b.more]
		}
		n, err = b.conn.Read(p)
		b.more -= int64(n)
		if err == io.EOF { // there will be no more
			b.more = 0
			return n, io.ErrUnexpectedEOF
		}
		b.failed = err != nil
	}
	if err == nil && len(b.rest) == 0 && b.more == 0 {
		err = io.EOF
	}
	return n, err
}

// Close ends the body.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// patient is how much of a body that the handler did not want is read, so that
// the connection can go on, as in net/http.
const patient = 256 << 10

// end closes the body and reports whether the connection can go on: the handler
// has read everything, or little was left, which is read.
func (b *body) end() (whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.more + int64(len(b.rest))
	if left > 0 && (b.closed || b.failed || left >= patient) {
		b.closed = true
		return false
	}
	b.rest, b.closed = nil, true
	if b.more == 0 {
		return true
	}
	var some [4 << 10]byte
	for b.more > 0 {
		if _, err := b.read(some[:]); err != nil && err != io.EOF {
			return false
		}
	}
	return true
}
