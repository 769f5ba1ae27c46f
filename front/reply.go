package front

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// held is how much of a body is held back to be counted, as in net/http.
const held = 2 << 10

// A reply is the http.ResponseWriter of a connection, for one request after
// another. A body that stays below held leaves with its head in one write; a
// larger one by the length that the handler gives it, else in chunks.
type reply struct {
	conn   *conn
	header http.Header
	status int      // 0: not begun
	names  []string // of headers, in order
	out    []byte   // head, but its last lines, as it will leave
	body   []byte   // held back

	length  int64 // that the handler has given; -1: none
	written int64 // of the body
	sent    bool  // the head
	chunked bool
	last    bool // of its connection
	late    bool // is the request's body
	typed   bool // need not be guessed
	err     error
}

func (w *reply) init(c *conn) { w.conn, w.header = c, http.Header{} }

// begin is for the next request; late says that its body has not come whole.
func (w *reply) begin(late bool) {
	clear(w.header)
	out, body := w.out[:0], w.body[:0]
	if cap(body) > 4*held {
		body = nil
	}
	*w = reply{conn: w.conn, header: w.header, names: w.names[:0], out: out, body: body, length: -1, late: late}
}

// Header returns the headers; see http.ResponseWriter.
func (w *reply) Header() http.Header { return w.header }

// WriteHeader begins the reply; see http.ResponseWriter. What the headers are
// then holds.
func (w *reply) WriteHeader(status int) {
	if w.status != 0 || status < 200 || status > 999 {
		return // a second one, or one that nobody here waits for
	}
	w.status = status
	w.last = w.conn.server.closing.Load()
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	w.out = append(append(strconv.AppendInt(append(w.out, "HTTP/1.1 "...), int64(status), 10), ' '), text...)
	w.out = append(w.out, "\r\n"...)
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	dated := false
	for _, name := range w.names {
		values := w.header[name]
		switch name {
		case "Content-Length":
			if n, err := strconv.ParseInt(first(values), 10, 64); err == nil && n >= 0 {
				w.length = n
			}
			continue // it stands last
		case "Transfer-Encoding":
			continue // it is the reply's to say
		case "Connection":
			w.last = w.last || strings.EqualFold(first(values), "close")
			continue
		case "Date":
			dated = true
		case "Content-Type", "Content-Encoding":
			w.typed = true
		}
		for _, value := range values {
			w.line(name, value)
		}
	}
	if !dated {
		w.line("Date", dates.of(time.Now()))
	}
}

func first(values []string) string {
	if len(values) > 0 {
		return values[0]
	}
	return ""
}

// line adds a header. A name that is none is left out; the end of a line in a
// value is a space.
func (w *reply) line(name, value string) {
	if !isToken(name) {
		return
	}
	w.out = append(append(w.out, name...), ": "...)
	at := len(w.out)
	w.out = append(w.out, value...)
	for i, c := range w.out[at:] {
		if c == '\r' || c == '\n' {
			w.out[at+i] = ' '
		}
	}
	w.out = append(w.out, "\r\n"...)
}

// bodiless reports whether the status has no body.
func (w *reply) bodiless() bool {
	return w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

// Write adds to the body; see http.ResponseWriter.
func (w *reply) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.err != nil:
		return 0, w.err
	case len(b) == 0:
		return 0, nil
	case w.bodiless():
		return 0, http.ErrBodyNotAllowed
	}
	if w.written += int64(len(b)); w.length >= 0 && w.written > w.length {
		return 0, http.ErrContentLength // and so is every other from now on
	}
	if !w.sent && len(w.body)+len(b) <= held {
		w.body = append(w.body, b...)
		return len(b), nil
	}
	if w.send(b); w.err != nil {
		return 0, w.err
	}
	return len(b), nil
}

// send sends the head, what was held back, and more.
func (w *reply) send(more []byte) {
	if !w.sent {
		w.chunked = w.length < 0 && !w.bodiless()
		w.close(more)
	}
	n := len(w.body) + len(more)
	if w.chunked && n > 0 {
		w.out = append(strconv.AppendInt(w.out, int64(n), 16), "\r\n"...)
	}
	parts := net.Buffers{w.out, w.body, more}
	if w.chunked && n > 0 {
		parts = append(parts, []byte("\r\n"))
	}
	_, w.err = parts.WriteTo(w.conn.inner)
	w.out, w.body = w.out[:0], w.body[:0]
}

// close ends the head: its body's type where nobody has said it, and its
// length.
func (w *reply) close(more []byte) {
	if sample := w.body; !w.typed && len(sample)+len(more) > 0 {
		if len(sample) == 0 {
			sample = more
		}
		w.line("Content-Type", http.DetectContentType(sample))
	}
	if w.last {
		w.line("Connection", "close")
	}
	switch {
	case w.chunked:
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n\r\n"...)
	case w.bodiless():
		w.out = append(w.out, "\r\n"...)
	default:
		w.out = append(strconv.AppendInt(append(w.out, "Content-Length: "...), w.length, 10), "\r\n\r\n"...)
	}
	w.sent = true
}

var (
	errLength = errors.New("front: the body is not as long as its Content-Length")
	errLast   = errors.New("front: the reply is the connection's last")
	errUnread = errors.New("front: the request's body has not been read")
)

// finish sends what has not been sent, and ends the request's body; nil: it has
// none. An error ends the connection.
func (w *reply) finish(b *body) error {
	w.WriteHeader(http.StatusOK)
	unread := b != nil && !b.end()
	w.last = w.last || unread
	wrong := w.length >= 0 && w.length != w.written && !w.bodiless()
	switch {
	case w.err != nil:
	case !w.sent:
		if w.length < 0 {
			w.length = w.written
		}
		w.close(nil)
		w.out = append(w.out, w.body...)
		_, w.err = w.conn.inner.Write(w.out)
	case w.chunked:
		_, w.err = w.conn.inner.Write([]byte("0\r\n\r\n"))
	}
	switch {
	case w.err != nil:
		return w.err
	case unread:
		return errUnread
	case wrong:
		return errLength
	case w.last:
		return errLast
	}
	return nil
}

// FlushError sends what is held back; see http.ResponseController.
func (w *reply) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.err == nil && (!w.sent || len(w.body) > 0) {
		w.send(nil)
	}
	return w.err
}

// Flush is FlushError for those who do not ask.
func (w *reply) Flush() { _ = w.FlushError() }

// SetWriteDeadline says until when the client must take the reply.
func (w *reply) SetWriteDeadline(t time.Time) error { return w.conn.inner.SetWriteDeadline(t) }

// SetReadDeadline says until when the body must come.
func (w *reply) SetReadDeadline(t time.Time) error {
	if !w.late {
		return nil
	}
	return w.conn.inner.SetReadDeadline(t)
}

// EnableFullDuplex does nothing: a body can be read until the reply's end.
func (w *reply) EnableFullDuplex() error { return nil }
