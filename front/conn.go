package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of what is answered here.
const (
	usual = 4 << 10  // of a connection's buffer
	most  = 16 << 10 // of a request, head and body
)

// How many ticks a connection may be in a state.
const (
	patience = 2 // for the rest of a request: then it is net/http's, with its own
	long     = 1 // for a reply: then the client may have gone
)

// What a connection does.
const (
	idles   = iota
	reads   // a request of which a part has come
	answers // one
)

// A conn is a connection that is not net/http's.
type conn struct {
	server *Server
	inner  net.Conn
	state  atomic.Int64 // what it does, and since which tick
	ctx    context.Context
	cancel context.CancelFunc
	form   *http.Request // what all its requests have in common

	buf  []byte
	from int // where the next request begins, after what was answered

	replied bool // to a request already
	post    bool // and that was one of POST
	skipped int  // bytes since then

	head  head
	reply reply
}

func newConn(s *Server, inner net.Conn, base context.Context) *conn {
	c := &conn{server: s, inner: inner, form: &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: inner.RemoteAddr().String()}}
	ctx := context.WithValue(base, http.LocalAddrContextKey, inner.LocalAddr())
	if s.http.ConnContext != nil {
		ctx = s.http.ConnContext(ctx, inner)
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.reply.init(c)
	c.is(idles)
	return c
}

// is notes what the connection does from now on.
func (c *conn) is(state int64) { c.state.Store(c.server.now.Load()<<2 | state) }

// serve answers requests until the connection ends or is net/http's.
func (c *conn) serve() {
	defer c.server.drop(c)
	defer c.cancel()
	for {
		plain, err := c.next()
		if err != nil {
			_ = c.inner.Close()
			return
		}
		if !plain {
			c.handOver()
			return
		}
		if !c.answer() {
			_ = c.inner.Close()
			return
		}
	}
}

// handOver gives the connection to net/http, with what has come.
func (c *conn) handOver() {
	c.server.drop(c) // nobody looks at it from now on
	if c.inner.SetReadDeadline(time.Time{}) != nil {
		_ = c.inner.Close()
		return
	}
	c.server.handover.give(&handed{c.inner, c.buf[c.from:]})
}

// next waits for a whole request, which is in c.head then. One that is not
// plain is net/http's.
func (c *conn) next() (plain bool, err error) {
	if c.from == len(c.buf) {
		c.buf, c.from = c.buf[:0], 0
		if cap(c.buf) > usual {
			c.buf = nil
		}
	}
	c.is(idles)
	for {
		if c.post {
			c.skipLines()
		}
		if c.from < len(c.buf) {
			if whole, plain := c.parse(); whole || !plain {
				return plain, nil
			}
			if c.state.Load()&3 == idles {
				c.is(reads)
			}
		}
		switch err := c.read(); {
		case err == nil:
		case c.server.stopped.Load() || errors.Is(err, io.EOF) && c.replied && c.skipped+len(c.buf)-c.from < 4:
			return false, err // so few bytes behind a request are nothing to net/http either
		case c.from < len(c.buf):
			return false, nil // net/http waits for the rest in its own way, and has words for an end
		case !errors.Is(err, os.ErrDeadlineExceeded) || c.expired():
			return false, err
		default: // it was meant for what has come meanwhile
			if err := c.inner.SetReadDeadline(time.Time{}); err != nil {
				return false, err
			}
		}
	}
}

// skipLines skips ends of lines, of which a POST may send more behind its body
// than there should be (RFC 9112, 2.2).
func (c *conn) skipLines() {
	for c.skipped < 4 && c.from < len(c.buf) && (c.buf[c.from] == '\r' || c.buf[c.from] == '\n') {
		c.skipped++
		c.from++
	}
	c.post = c.from == len(c.buf) && c.skipped < 4
}

// expired reports whether the connection has been idle for too long.
func (c *conn) expired() bool {
	limit := c.server.http.IdleTimeout
	return limit > 0 && c.server.now.Load()-c.state.Load()>>2 > int64(limit/tick)
}

// read reads what comes, once.
func (c *conn) read() error {
	if len(c.buf) == cap(c.buf) {
		size := max(usual, len(c.buf)-c.from+usual)
		buf := make([]byte, len(c.buf)-c.from, size)
		copy(buf, c.buf[c.from:])
		c.buf, c.from = buf, 0
	}
	n, err := c.inner.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// parse looks for a request in what has come: whole is one that can be
// answered, plain one that may become it.
func (c *conn) parse() (whole, plain bool) {
	there := c.buf[c.from:]
	if c.head.size == 0 {
		end := bytes.Index(there, []byte("\r\n\r\n"))
		if end < 0 {
			return false, len(there) < usual
		}
		if !c.head.parse(string(there[:end+4])) {
			return false, false
		}
	}
	size := c.head.size + c.head.length
	if size > most {
		c.head = head{}
		return false, false
	}
	return len(there) >= size, true
}

// answer has the handler answer the request, and reports whether the connection
// goes on.
func (c *conn) answer() (more bool) {
	c.is(answers)
	h := c.head
	c.head = head{}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	r := c.form.WithContext(ctx)
	r.Method, r.RequestURI, r.URL, r.Header, r.Host = h.method, h.target, h.url, h.header, h.host
	r.Body, r.ContentLength = http.NoBody, int64(h.length)
	begin := c.from + h.size
	c.from = begin + h.length
	c.skipped = 0
	c.replied, c.post = true, h.method == http.MethodPost
	if h.length > 0 {
		r.Body = &body{rest: c.buf[begin:c.from]}
	}
	defer func() {
		if p := recover(); p != nil {
			more = false
			if p != http.ErrAbortHandler {
				c.server.logf("front: panic serving %s: %v\n%s", c.form.RemoteAddr, p, debug.Stack())
			}
		}
	}()
	c.reply.begin()
	whole := r.Body // the handler may put another in its place
	c.server.http.Handler.ServeHTTP(&c.reply, r)
	_ = whole.Close() // it does not fail
	return c.reply.finish() == nil
}

// look is called at each tick, from another goroutine.
func (c *conn) look(now int64) {
	state := c.state.Load()
	age := now - state>>2
	switch state & 3 {
	case idles:
		if c.expired() {
			c.kick()
		}
	case reads:
		if age > patience {
			c.kick()
		}
	case answers:
		if age > long && gone(c.inner) {
			c.cancel()
		}
	}
}

// kick ends the wait for more.
func (c *conn) kick() { _ = c.inner.SetReadDeadline(time.Unix(1, 0)) } // it fails when the connection is closed

// A body is a request's, that has come whole. Whoever still has it after the
// request's end, as http.Transport may, reads nothing of the next.
type body struct {
	mu     sync.Mutex // guards what follows
	rest   []byte
	closed bool
}

// Read reads what is left of the body.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	if len(b.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Close ends the body.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest, b.closed = nil, true
	return nil
}
