package codec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Bounds on how deep lists and objects may nest: those that are a tensor's
// dimensions, and any.
const maxRank, maxDepth = 16, 64

// A jsonReader walks over a body, byte by byte and once, and knows where it is
// for the sake of errors.
type jsonReader struct {
	b []byte
	i int

	// The place of the value that is being read: key[row].field[idx...].
	key   string
	row   int // -1: none
	field string
	idx   [maxRank]int
	depth int // how many of idx count

	line, begin int // JSON Lines: the line's number, from 1, and its first byte
}

// errorf returns an error at the value that is being read.
func (r *jsonReader) errorf(msg string, args ...any) error {
	var path strings.Builder
	path.WriteString(r.key)
	if r.row >= 0 {
		path.WriteString("[" + strconv.Itoa(r.row) + "]")
	}
	if r.field != "" {
		if path.Len() > 0 {
			path.WriteByte('.')
		}
		path.WriteString(r.field)
	}
	for _, i := range r.idx[:r.depth] {
		path.WriteString("[" + strconv.Itoa(i) + "]")
	}
	format, where := "JSON", path.String()
	if r.line > 0 {
		format, where = "JSON Lines", strings.TrimSuffix("line "+strconv.Itoa(r.line)+", "+where, ", ")
	}
	return errorf(format, clip(where), msg, args...)
}

// syntax returns an error at the byte that is not JSON: wanted says what would
// have been.
func (r *jsonReader) syntax(wanted string) error {
	format, where := "JSON", "byte "+strconv.Itoa(r.i+1)
	if r.line > 0 {
		format, where = "JSON Lines", fmt.Sprintf("line %d, column %d", r.line, r.i-r.begin+1)
	}
	if r.i >= len(r.b) {
		return errorf(format, where, "it ends where %s is wanted", wanted)
	}
	return errorf(format, where, "%s where %s is wanted", clip(r.token(r.i)), wanted)
}

// token returns the text at b[i] up to the next delimiter: what to show of it.
func (r *jsonReader) token(i int) string {
	end := i
	for end < len(r.b) && end-i < 64 && !strings.ContainsRune(" \t\r\n,:[]{}", rune(r.b[end])) {
		end++
	}
	if end == i {
		_, size := utf8.DecodeRune(r.b[i:])
		return strconv.Quote(string(r.b[i : i+size]))
	}
	return string(r.b[i:end])
}

// peek skips white space and returns the byte after it, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\n', '\t', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// list enters, continues or leaves a list: it returns true in front of an
// element and false behind the closing bracket.
func (r *jsonReader) list(first bool) (bool, error) {
	return r.next(first, '[', ']', "a comma or ]")
}

// next does list's work for lists and objects.
func (r *jsonReader) next(first bool, opening, closing byte, wanted string) (bool, error) {
	c := r.peek()
	if first {
		if c != opening {
			return false, r.syntax(strconv.QuoteRune(rune(opening)))
		}
		r.i++
		if r.peek() == closing {
			r.i++
			return false, nil
		}
		return true, nil
	}
	switch c {
	case ',':
		r.i++
		return true, nil
	case closing:
		r.i++
		return false, nil
	}
	return false, r.syntax(wanted)
}

// member is list for objects: it returns true and the key in front of a
// member's value. The key may be a part of the body.
func (r *jsonReader) member(first bool) (key []byte, more bool, err error) {
	if more, err = r.next(first, '{', '}', "a comma or }"); !more {
		return nil, false, err
	}
	if r.peek() != '"' {
		return nil, false, r.syntax("a key in quotes")
	}
	raw, escaped, err := r.quoted()
	if err != nil {
		return nil, false, err
	}
	if escaped {
		raw = unescape(raw)
	}
	if r.peek() != ':' {
		return nil, false, r.syntax("a colon")
	}
	r.i++
	r.peek()
	return raw, true, nil
}

// string reads the string at the cursor; kind names it for an error.
func (r *jsonReader) string(kind string) (string, error) {
	if r.peek() != '"' {
		return "", r.errorf("%s where %s, a string, is wanted", clip(r.token(r.i)), kind)
	}
	raw, escaped, err := r.quoted()
	if err != nil {
		return "", err
	}
	return text(raw, escaped), nil
}

// text returns a string's value without copying it where it can.
func text(raw []byte, escaped bool) string {
	if escaped {
		raw = unescape(raw)
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw))
}

// quoted reads the string that begins at the cursor and returns what stands
// between its quotes, valid UTF-8 and valid escapes.
func (r *jsonReader) quoted() (raw []byte, escaped bool, err error) {
	b := r.b
	start := r.i + 1
	for i := start; ; {
		i += plain(b[i:])
		if i >= len(b) {
			r.i = i
			return nil, false, r.syntax("the end of a string")
		}
		switch c := b[i]; {
		case c == '"':
			r.i = i + 1
			return b[start:i], escaped, nil
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				r.i = i
				return nil, false, r.syntax("a valid escape (a surrogate only in a pair)")
			}
			escaped = true
			i += n
		case c < ' ':
			r.i = i
			return nil, false, r.syntax("a character that needs no escape")
		default:
			_, size := utf8.DecodeRune(b[i:])
			if size == 1 {
				r.i = i
				return nil, false, r.syntax("valid UTF-8")
			}
			i += size
		}
	}
}

// plain returns how many bytes at the start of b are ASCII without quotes,
// backslashes and control characters.
func plain(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		v := binary.LittleEndian.Uint64(b[i:])
		quote, slash := v^ones*'"', v^ones*'\\'
		special := (v | (v-ones*' ')&^v | (quote-ones)&^quote | (slash-ones)&^slash) & tops
		if special != 0 {
			return i + bits.TrailingZeros64(special)>>3
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < 0x80 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// escape returns the length of the escape sequence at the start of b, of both
// halves of a surrogate pair; 0 when it is not one.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, b[1]) < 0 {
			return 0
		}
		return 2
	}
	c, ok := hex4(b[2:])
	switch {
	case !ok:
		return 0
	case !utf16.IsSurrogate(c):
		return 6
	case len(b) < 8 || b[6] != '\\' || b[7] != 'u':
		return 0
	}
	if d, ok := hex4(b[8:]); !ok || utf16.DecodeRune(c, d) == utf8.RuneError {
		return 0
	}
	return 12
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var v rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}

// unescape returns a string's value from its raw text, which quoted accepted.
func unescape(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		n := escape(raw[i:])
		switch n {
		case 2:
			c := raw[i+1]
			if at := strings.IndexByte("bfnrt", c); at >= 0 {
				c = "\b\f\n\r\t"[at]
			}
			out = append(out, c)
		default:
			c, _ := hex4(raw[i+2:])
			if n == 12 {
				d, _ := hex4(raw[i+8:])
				c = utf16.DecodeRune(c, d)
			}
			out = utf8.AppendRune(out, c)
		}
		i += n
	}
	return out
}

// dimensions reads a list of dimensions; it is never nil.
func (r *jsonReader) dimensions() ([]int, error) {
	shape := make([]int, 0, 4)
	for first := true; ; first = false {
		more, err := r.list(first)
		if !more || err != nil {
			return shape, err
		}
		r.peek()
		n, end := scanNumber(r.b, r.i, strict)
		size, why := toSigned[int64](n, r.b[r.i:end])
		if end == r.i || why != accepted || size < 0 {
			return nil, r.errorf("%s where a dimension is wanted, a whole number from 0", clip(r.token(r.i)))
		}
		if len(shape) == maxRank {
			return nil, r.errorf("more than %d dimensions", maxRank)
		}
		shape = append(shape, int(size))
		r.i = end
	}
}

// skip reads over a value of any kind, which must be valid JSON all the same.
func (r *jsonReader) skip(depth int) error {
	if depth > maxDepth {
		return r.syntax(fmt.Sprintf("an end of the nesting (at most %d deep)", maxDepth))
	}
	switch c := r.peek(); {
	case c == '[':
		for first := true; ; first = false {
			more, err := r.list(first)
			if !more {
				return err
			}
			if err := r.skip(depth + 1); err != nil {
				return err
			}
		}
	case c == '{':
		for first := true; ; first = false {
			_, more, err := r.member(first)
			if !more {
				return err
			}
			if err := r.skip(depth + 1); err != nil {
				return err
			}
		}
	case c == '"':
		_, _, err := r.quoted()
		return err
	case c == '-' || c-'0' <= 9:
		if _, end := scanNumber(r.b, r.i, strict); end > r.i {
			r.i = end
			return nil
		}
	}
	if r.word() == "" {
		return r.syntax("a value")
	}
	return nil
}

// words are what may stand bare: JSON's, and the non-finite numbers as
// Python's json module writes them.
var words = [...]string{"true", "false", "null", "NaN", "Infinity", "-Infinity"}

// word reads one of words, or returns "".
func (r *jsonReader) word() string {
	for _, w := range words {
		if strings.HasPrefix(unsafe.String(unsafe.SliceData(r.b), len(r.b))[r.i:], w) {
			r.i += len(w)
			return w
		}
	}
	return ""
}
