package front

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// room is for what has come of requests that are not being answered: the head
// of one that is answered here is smaller.
const room = 4 << 10

// How many ticks a connection may be in a state.
const (
	patience = 2 // for the rest of a head: then it is net/http's, with its own
	long     = 1 // for a reply: then the client may have gone
)

// What a connection does.
const (
	begins  = iota // it waits for its first request
	idles          // it waits for another
	reads          // a head of which a part has come
	answers        // a request
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
	c := &conn{server: s, inner: inner, buf: make([]byte, 0, room), form: &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: inner.RemoteAddr().String()}}
	ctx := context.WithValue(base, http.LocalAddrContextKey, inner.LocalAddr())
	if s.http.ConnContext != nil {
		ctx = s.http.ConnContext(ctx, inner)
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.reply.init(c)
	c.is(begins)
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
		if err := c.answer(); err != nil {
			if err == errUnread {
				c.linger()
			}
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

// next waits for the head of a request, which is in c.head then. One that is
// not plain is net/http's.
func (c *conn) next() (plain bool, err error) {
	if c.replied {
		c.is(idles)
	}
	if c.server.stopped.Load() { // while it answered
		return false, http.ErrServerClosed
	}
	for {
		if c.post {
			c.skipLines()
		}
		if c.from < len(c.buf) {
			if whole, plain := c.parse(); whole || !plain {
				return plain, nil
			}
			if c.state.Load()&3 != reads {
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

// expired reports whether the connection has waited for too long.
func (c *conn) expired() bool {
	h := c.server.http
	limit := h.IdleTimeout
	if c.state.Load()&3 == begins {
		limit = cmp.Or(h.ReadHeaderTimeout, h.ReadTimeout, limit)
	}
	return limit > 0 && c.server.now.Load()-c.state.Load()>>2 > int64(limit/tick)
}

// read reads what comes, once.
func (c *conn) read() error {
	if c.from > 0 {
		c.buf, c.from = c.buf[:copy(c.buf, c.buf[c.from:])], 0
	}
	n, err := c.inner.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// parse looks for a head in what has come: whole is one that can be answered,
// plain one that may become it.
func (c *conn) parse() (whole, plain bool) {
	there := c.buf[c.from:]
	end := bytes.Index(there, []byte("\r\n\r\n"))
	if end < 0 {
		return false, len(there) < room
	}
	plain = c.head.parse(string(there[:end+4]))
	return plain, plain
}

// answer has the handler answer the request. An error ends the connection.
func (c *conn) answer() (err error) {
	c.is(answers)
	h := c.head
	c.head = head{}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	r := c.form.WithContext(ctx)
	r.Method, r.RequestURI, r.URL, r.Header, r.Host = h.method, h.target, h.url, h.header, h.host
	r.Body, r.ContentLength = http.NoBody, h.length
	c.from += h.size
	c.skipped = 0
	c.replied, c.post = true, h.method == http.MethodPost
	var b *body
	if h.length > 0 {
		there := c.buf[c.from:]
		there = there[:min(int64(len(there)), h.length)]
		c.from += len(there)
		b = &body{conn: c.inner, rest: there, more: h.length - int64(len(there))}
		r.Body = b
	}
	late := b != nil && b.more > 0
	if late {
		if d := c.server.http.ReadTimeout; d > 0 {
			err = c.inner.SetReadDeadline(time.Now().Add(d))
		}
		defer func() { err = cmp.Or(err, c.inner.SetReadDeadline(time.Time{})) }()
		if err != nil {
			return err
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = errPanic
			if p != http.ErrAbortHandler {
				c.server.logf("front: panic serving %s: %v\n%s", c.form.RemoteAddr, p, debug.Stack())
			}
		}
	}()
	c.reply.begin(late)
	c.server.http.Handler.ServeHTTP(&c.reply, r)
	return c.reply.finish(b)
}

var errPanic = errors.New("front: the handler has panicked")

// linger lets the client read a reply to a request that it is still sending:
// closed at once, the connection would be reset, and the reply lost.
func (c *conn) linger() {
	w, ok := c.inner.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil || c.inner.SetReadDeadline(time.Now().Add(lingers)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c.inner) // until the client closes, or it has had its time
}

const lingers = 500 * time.Millisecond

// look is called at each tick, from another goroutine.
func (c *conn) look(now int64) {
	state := c.state.Load()
	age := now - state>>2
	switch state & 3 {
	case begins, idles:
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

// kick ends the wait for a request.
func (c *conn) kick() {
	if c.state.Load()&3 != answers {
		_ = c.inner.SetReadDeadline(time.Unix(1, 0)) // it fails when the connection is closed
	}
}
