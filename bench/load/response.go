package load

import (
	"bytes"
	"errors"
)

// A response follows one HTTP/1.1 answer through the bytes as they come.
type response struct {
	phase  phase
	status int
	close  bool   // the server closes the connection behind it
	head   []byte // what has come of the headers, or of a chunk's size line
	left   int64  // bytes of the body or the chunk that are to come
}

type phase uint8

const (
	inHead phase = iota
	inBody
	inChunkSize
	inChunk
	inTrailer
	done
)

var errResponse = errors.New("load: not an HTTP/1.1 response")

const maxHead = 64 << 10

func (r *response) reset() { *r = response{head: r.head[:0]} }

// feed takes bytes that were read, and returns those behind the answer's end.
func (r *response) feed(b []byte) (rest []byte, err error) {
	for r.phase != done && (len(b) > 0 || r.left == 0 && r.phase == inBody) {
		switch r.phase {
		case inHead:
			b, err = r.header(b)
		case inBody:
			n := min(r.left, int64(len(b)))
			b, r.left = b[n:], r.left-n
			if r.left == 0 {
				r.phase = done
			}
		case inChunk: // its CRLF too
			n := min(r.left, int64(len(b)))
			b, r.left = b[n:], r.left-n
			if r.left == 0 {
				r.phase = inChunkSize
			}
		case inChunkSize, inTrailer:
			b, err = r.line(b)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// header collects the headers until they are whole.
func (r *response) header(b []byte) (rest []byte, err error) {
	head, had := b, 0
	if len(r.head) > 0 {
		had = len(r.head)
		r.head = append(r.head, b...)
		head = r.head
	}
	end := bytes.Index(head, []byte("\r\n\r\n"))
	if end < 0 {
		if had == 0 {
			r.head = append(r.head, b...)
		}
		if len(r.head) > maxHead {
			return nil, errResponse
		}
		return nil, nil
	}
	rest = b[end+4-had:]
	return rest, r.parse(head[:end+2])
}

func (r *response) parse(head []byte) error {
	if len(head) < 12 || string(head[:7]) != "HTTP/1." {
		return errResponse
	}
	for _, c := range head[9:12] {
		if c < '0' || c > '9' {
			return errResponse
		}
		r.status = r.status*10 + int(c-'0')
	}
	r.close = head[7] == '0'
	length, chunked := int64(-1), false
	line := bytes.IndexByte(head, '\n') + 1
	for line < len(head) {
		end := line + bytes.IndexByte(head[line:], '\n')
		name, value, _ := bytes.Cut(head[line:end-1], []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			length = 0
			for _, c := range value {
				if c < '0' || c > '9' || length > 1<<50 {
					return errResponse
				}
				length = length*10 + int64(c-'0')
			}
		case is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case is(name, "connection"):
			r.close = is(value, "close")
		}
		line = end + 1
	}
	r.head = r.head[:0]
	switch {
	case r.status < 200: // another one follows
		r.status = 0
	case r.status == 204 || r.status == 304:
		r.phase = done
	case chunked:
		r.phase = inChunkSize
	case length < 0:
		return errors.New("load: an answer without a length")
	default:
		r.phase, r.left = inBody, length
	}
	return nil
}

// line takes a chunk's size, or a line behind the last chunk.
func (r *response) line(b []byte) (rest []byte, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		r.head = append(r.head, b...)
		if len(r.head) > maxHead {
			return nil, errResponse
		}
		return nil, nil
	}
	r.head = append(r.head, b[:end]...)
	text := bytes.TrimRight(r.head, "\r")
	r.head = r.head[:0]
	if r.phase == inTrailer {
		if len(text) == 0 {
			r.phase = done
		}
		return b[end+1:], nil
	}
	size, digits := int64(0), 0
	for _, c := range text {
		d := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if c >= '0' && c <= '9' {
			d = int(c - '0')
		}
		if d < 0 || digits > 12 {
			break
		}
		size, digits = size<<4|int64(d), digits+1
	}
	if digits == 0 {
		return nil, errResponse
	}
	r.phase, r.left = inChunk, size+2
	if size == 0 {
		r.phase = inTrailer
	}
	return b[end+1:], nil
}

// is compares without regard to case; want is in lower case.
func is(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
