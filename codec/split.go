package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
)

// A Splitter is a [Codec] whose bodies are records, one after the other, so
// that a long one can be read in parts (contract §6). A part is what Head
// gives, then whole records.
type Splitter interface {
	Codec

	// Head returns how many bytes at the beginning of a body belong in front
	// of every part, CSV's header; -1 while b has not all of them.
	Head(b []byte, r *Request) int

	// Cut returns how many bytes the whole records at the beginning of b take,
	// without looking at what they say: 0 where not even the first is whole.
	Cut(b []byte, r *Request) int

	// First returns how many bytes the first record of b takes, all of them
	// where it has no end.
	First(b []byte, r *Request) int
}

// A Joiner is a [Codec] whose replies to the parts of a body are, one after
// the other, its reply to the body, when each of them ends in a newline
// ([Reply].Trailing).
type Joiner interface {
	Codec

	// Joins reports whether that holds of replies such as r.
	Joins(r *Reply) bool

	// Placeholder appends what stands for a record that could not be answered
	// (contract §6.3); ok is false where the format has nothing to say it with.
	Placeholder(dst []byte, why string) (_ []byte, ok bool)
}

// byteOrderMark is UTF-8's, which some programs begin a text with.
const byteOrderMark = "\ufeff"

var (
	_ Splitter = CSV{}
	_ Splitter = JSONLines{}
	_ Splitter = RecordIO{}
	_ Joiner   = CSV{}
	_ Joiner   = JSONLines{}
	_ Joiner   = RecordIO{}
)

// Head is the line of names where there is one.
func (c CSV) Head(b []byte, r *Request) int {
	o, err := csvOptionsOf(r.Params)
	if err != nil || !o.header && !(r.Options != nil && r.Options.Reply.Style == HuggingFace && r.Params["header"] == "") {
		return 0
	}
	if n := c.First(b, r); n > 0 && b[n-1] == '\n' {
		return n
	}
	return -1
}

// Cut ends at the last line end that is not inside quotes.
func (CSV) Cut(b []byte, r *Request) int {
	_, last := csvEnds(b, r)
	return last
}

// First ends at the first line end that is not inside quotes.
func (CSV) First(b []byte, r *Request) int {
	if first, _ := csvEnds(b, r); first > 0 {
		return first
	}
	return len(b)
}

// csvEnds returns where the first and the last whole record of b end. A quote
// within a field that does not begin with one, which is an error, opens none.
func csvEnds(b []byte, r *Request) (first, last int) {
	comma := byte(',')
	if o, err := csvOptionsOf(r.Params); err == nil {
		comma = o.comma
	}
	for from := 0; ; {
		open := csvOpening(b, from, comma)
		if n := bytes.IndexByte(b[from:open], '\n'); n >= 0 && first == 0 {
			first = from + n + 1
		}
		if n := bytes.LastIndexByte(b[from:open], '\n'); n >= 0 {
			last = from + n + 1
		}
		if open == len(b) {
			return first, last
		}
		for from = open + 1; ; from++ {
			n := bytes.IndexByte(b[from:], '"')
			if n < 0 {
				return first, last
			}
			if from += n + 1; from == len(b) || b[from] != '"' {
				break
			}
		}
	}
}

// csvOpening returns where after from the next quoted field begins, len(b)
// where none does.
func csvOpening(b []byte, from int, comma byte) int {
	for at := from; ; at++ {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return len(b)
		}
		at += n
		if at == 0 || b[at-1] == '\n' || b[at-1] == comma || string(b[:at]) == byteOrderMark {
			return at
		}
	}
}

// Joins reports whether there is no line of names.
func (CSV) Joins(r *Reply) bool {
	o, err := csvOptionsOf(r.Params)
	return err == nil && !o.header
}

// Placeholder is the line ERROR.
func (CSV) Placeholder(dst []byte, _ string) ([]byte, bool) { return append(dst, "ERROR\n"...), true }

// Head is nothing.
func (JSONLines) Head([]byte, *Request) int { return 0 }

// Cut ends at the last line end: a record has none inside.
func (JSONLines) Cut(b []byte, _ *Request) int { return bytes.LastIndexByte(b, '\n') + 1 }

// First ends at the first line end.
func (JSONLines) First(b []byte, _ *Request) int {
	if n := bytes.IndexByte(b, '\n') + 1; n > 0 {
		return n
	}
	return len(b)
}

// Joins reports whether a reply has a line for each row; TensorFlow Serving's
// is one object.
func (JSONLines) Joins(r *Reply) bool { return r.Options == nil || r.Options.Reply.Style != TFS }

// Placeholder is an object that says why.
func (JSONLines) Placeholder(dst []byte, why string) ([]byte, bool) {
	text, err := json.Marshal(strings.ToValidUTF8(why, "\ufffd"))
	if err != nil {
		panic("codec: a string that JSON cannot carry: " + err.Error())
	}
	return append(append(append(dst, `{"error":`...), text...), '}', '\n'), true
}

// Head is nothing.
func (RecordIO) Head([]byte, *Request) int { return 0 }

// Cut ends with the last whole frame. What is no frame goes on to the end.
func (RecordIO) Cut(b []byte, _ *Request) int {
	for at := 0; ; {
		n := frameLength(b[at:])
		if n == 0 || n > uint64(len(b)-at) {
			return at
		}
		at += int(n)
	}
}

// First is the first frame with its padding.
func (RecordIO) First(b []byte, _ *Request) int {
	if n := frameLength(b); n > 0 && n < uint64(len(b)) {
		return int(n)
	}
	return len(b)
}

// frameLength is how long the frame that begins b is, padding included; 0 for
// what does not begin a frame.
func frameLength(b []byte) uint64 {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != recordMagic {
		return 0
	}
	return 8 + (uint64(binary.LittleEndian.Uint32(b[4:]))+3)&^3
}

// Joins is always true: a reply is a frame for each row.
func (RecordIO) Joins(*Reply) bool { return true }

// Placeholder has nothing to give.
func (RecordIO) Placeholder(dst []byte, _ string) ([]byte, bool) { return dst, false }
