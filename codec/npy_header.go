package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
)

const (
	npyMagic     = "\x93NUMPY"
	npyMaxHeader = 64 << 10 // numpy itself refuses to evaluate more than 10,000 bytes
	npyMaxRank   = 64       // numpy's own limit
)

// An npyArray is a .npy file (numpy.lib.format, versions 1.0 to 3.0) whose
// data has exactly the length that its shape and type ask for.
type npyArray struct {
	kind    byte // numpy's: f, i, u, b, U (UCS-4), S (bytes), V (no type)
	size    int  // bytes an element takes
	swap    bool // big-endian
	fortran bool // the first axis varies fastest
	shape   []int
	n       int // elements
	data    []byte
}

// parseNPY reads a file's header and checks the length of what follows it. It
// allocates nothing but the shape.
func parseNPY(b []byte) (a npyArray, err error) {
	header, data, err := splitNPY(b)
	if err != nil {
		return a, err
	}
	p := npyParser{s: header}
	if err := p.dict(&a); err != nil {
		return a, errorf("NPY", fmt.Sprintf("header, byte %d", p.i), "%s", err)
	}
	if a.n, err = runtime.Elements(a.shape); err != nil {
		return a, errorf("NPY", "header", "%s", err)
	}
	if a.n > 0 && a.size == 0 {
		return a, errorf("NPY", "header", "%d strings of no width", a.n)
	}
	if a.size > 0 && a.n > math.MaxInt/a.size {
		return a, errorf("NPY", "header", "shape %v holds more bytes than can be counted", a.shape)
	}
	if len(data) != a.n*a.size {
		return a, errorf("NPY", "", "shape %v of %d-byte elements takes %d bytes, %d follow the header", a.shape, a.size, a.n*a.size, len(data))
	}
	a.data = data
	return a, nil
}

// splitNPY checks the preamble and cuts the header from the data.
func splitNPY(b []byte) (header string, data []byte, err error) {
	if len(b) < 10 || string(b[:6]) != npyMagic {
		return "", nil, errorf("NPY", "byte 0", `it does not begin with "\x93NUMPY" and a version: this is no .npy file`)
	}
	start, n := 10, int(binary.LittleEndian.Uint16(b[8:]))
	switch major, minor := b[6], b[7]; {
	case major < 1 || major > 3 || minor != 0:
		return "", nil, errorf("NPY", "byte 6", "version %d.%d; 1.0, 2.0 and 3.0 are known", major, minor)
	case major > 1:
		if len(b) < 12 {
			return "", nil, errorf("NPY", "byte 8", "it ends within the header's length")
		}
		start, n = 12, int(binary.LittleEndian.Uint32(b[8:]))
	}
	if n > npyMaxHeader {
		return "", nil, errorf("NPY", "byte 8", "a header of %d bytes; at most %d are read", n, npyMaxHeader)
	}
	if n > len(b)-start {
		return "", nil, errorf("NPY", "byte 8", "a header of %d bytes, of which %d are there", n, len(b)-start)
	}
	return string(b[start : start+n]), b[start+n:], nil
}

// An npyParser reads the one Python literal that a header may be: a dict of
// descr, fortran_order and shape. Nothing is ever evaluated.
type npyParser struct {
	s string
	i int
}

func (p *npyParser) dict(a *npyArray) error {
	if !p.take('{') {
		return fmt.Errorf("a dict was expected, as {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}")
	}
	seen := map[string]bool{}
	for !p.take('}') {
		key, err := p.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %s is given twice", quote(key))
		}
		seen[key] = true
		if !p.take(':') {
			return fmt.Errorf("a colon was expected after %s", quote(key))
		}
		switch key {
		case "descr":
			err = p.descr(a)
		case "fortran_order":
			a.fortran, err = p.boolean()
		case "shape":
			a.shape, err = p.shape()
		default:
			err = fmt.Errorf("key %s is not one of descr, fortran_order, shape", quote(key))
		}
		if err != nil {
			return err
		}
		if !p.take(',') && p.peek() != '}' {
			return fmt.Errorf("a comma or } was expected")
		}
	}
	if len(seen) != 3 {
		return fmt.Errorf("it must have the keys descr, fortran_order and shape")
	}
	if p.peek() != 0 || p.i < len(p.s) {
		return fmt.Errorf("%s follows the dict", quote(p.s[p.i:]))
	}
	return nil
}

// descr reads the element type.
func (p *npyParser) descr(a *npyArray) error {
	if c := p.peek(); c == '[' || c == '(' {
		return fmt.Errorf("a structured type: send one array for each field, in an application/x-npz file")
	}
	s, err := p.str()
	if err != nil {
		return err
	}
	order, kind := byte('|'), s
	if s != "" && strings.IndexByte("<>|=", s[0]) >= 0 {
		order, kind = s[0], s[1:]
	}
	if kind == "" {
		return fmt.Errorf("%s is no element type", quote(s))
	}
	a.kind = kind[0]
	if why, refused := npyRefused[a.kind]; refused {
		return fmt.Errorf("elements of type %s: %s", quote(s), why)
	}
	size, err := strconv.Atoi(kind[1:])
	if err != nil || size < 0 || kind[1] == '+' {
		return fmt.Errorf("%s is no element type", quote(s))
	}
	known := false
	switch a.kind {
	case 'b':
		known = size == 1
	case 'i', 'u', 'f':
		known = size == 1 || size == 2 || size == 4 || size == 8
	case 'V':
		known = size == 1 || size == 2
	case 'S':
		known = true
	case 'U':
		known = size <= math.MaxInt/4
		size *= 4
	}
	if !known {
		return fmt.Errorf("elements of type %s: known are bool, int and uint of 8 to 64 bits, float of 16, 32 and 64, bfloat16 (V2), float8 (V1), U and S strings", quote(s))
	}
	a.size, a.swap = size, order == '>'
	return nil
}

// npyRefused says why the other kinds of numpy's are not read.
var npyRefused = map[byte]string{
	'O': "Python objects are pickles, which are never read; use a numeric or string dtype",
	'c': "complex numbers go into no model input; send real and imaginary parts",
	'M': "dates go into no model input; convert them to numbers",
	'm': "time spans go into no model input; convert them to numbers",
}

func (p *npyParser) boolean() (bool, error) {
	p.peek()
	for _, v := range []string{"True", "False"} {
		if strings.HasPrefix(p.s[p.i:], v) {
			p.i += len(v)
			return v == "True", nil
		}
	}
	return false, fmt.Errorf("fortran_order must be True or False")
}

// shape reads a tuple of whole numbers; Python 2 wrote an L after long ones.
func (p *npyParser) shape() ([]int, error) {
	if !p.take('(') {
		return nil, fmt.Errorf("shape must be a tuple")
	}
	var shape []int
	for comma := true; !p.take(')'); comma = p.take(',') {
		if !comma {
			return nil, fmt.Errorf("a comma or ) was expected in shape")
		}
		p.peek()
		start := p.i
		for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
			p.i++
		}
		n, err := strconv.Atoi(p.s[start:p.i])
		if err != nil {
			return nil, fmt.Errorf("shape must hold whole numbers, none negative or beyond 63 bits")
		}
		if p.i < len(p.s) && p.s[p.i] == 'L' {
			p.i++
		}
		if shape = append(shape, n); len(shape) > npyMaxRank {
			return nil, fmt.Errorf("shape has more than %d dimensions", npyMaxRank)
		}
		if len(shape) == 1 && p.peek() == ')' {
			return nil, fmt.Errorf("shape (%d) is a number; a tuple of one is (%d,)", n, n)
		}
	}
	return shape, nil
}

func (p *npyParser) str() (string, error) {
	q := p.peek()
	if q != '\'' && q != '"' {
		return "", fmt.Errorf("a string was expected")
	}
	rest := p.s[p.i+1:]
	end := strings.IndexByte(rest, q)
	if end < 0 || strings.IndexByte(rest[:end], '\\') >= 0 {
		return "", fmt.Errorf("a plain string was expected")
	}
	p.i += end + 2
	return rest[:end], nil
}

// peek skips white space and returns the next byte, 0 at the end.
func (p *npyParser) peek() byte {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

// take skips white space and c, if c is next.
func (p *npyParser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

// appendNPYHeader appends a version 1.0 header as numpy writes it: room for
// the first dimension to grow to 21 digits, then padding to a multiple of 64.
func appendNPYHeader(dst []byte, descr string, shape []int) ([]byte, error) {
	start := len(dst)
	dst = append(dst, npyMagic+"\x01\x00\x00\x00{'descr': '"...)
	dst = append(dst, descr...)
	dst = append(dst, "', 'fortran_order': False, 'shape': ("...)
	grow := 0
	for i, d := range shape {
		if i > 0 {
			dst = append(dst, ' ')
		}
		before := len(dst)
		dst = strconv.AppendInt(dst, int64(d), 10)
		if i == 0 {
			grow = 21 - (len(dst) - before)
		}
		if i < len(shape)-1 || i == 0 {
			dst = append(dst, ',')
		}
	}
	dst = append(dst, "), }"...)
	for range grow {
		dst = append(dst, ' ')
	}
	for range 64 - (len(dst)-start+1)%64 { // 1 to 64, as numpy does
		dst = append(dst, ' ')
	}
	dst = append(dst, '\n')
	n := len(dst) - start - 10
	if n > math.MaxUint16 {
		return nil, fmt.Errorf("%w: an NPY header holds no shape of %d dimensions", ErrNotAcceptable, len(shape))
	}
	binary.LittleEndian.PutUint16(dst[start+8:], uint16(n))
	return dst, nil
}
