package codec

import (
	"encoding/binary"
	"errors"
)

// The kinds of value in Thrift's compact protocol.
const (
	thriftTrue = 1 + iota
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

// thriftDepth bounds how deep structures nest; Parquet's own go to 6.
const thriftDepth = 16

// A thriftReader reads Thrift's compact protocol. After the first error every
// read returns zero.
type thriftReader struct {
	b   []byte
	i   int
	err error
}

var errThrift = errors.New("the metadata is malformed or cut off")

func (t *thriftReader) fail() { t.err, t.i = errThrift, len(t.b) }

func (t *thriftReader) byte() byte {
	if t.i >= len(t.b) {
		t.fail()
		return 0
	}
	t.i++
	return t.b[t.i-1]
}

func (t *thriftReader) uint() uint64 {
	v, n := binary.Uvarint(t.b[t.i:])
	if n <= 0 {
		t.fail()
		return 0
	}
	t.i += n
	return v
}

// int reads an i16 or i64.
func (t *thriftReader) int() int {
	u := t.uint()
	return int(u>>1) ^ -int(u&1)
}

// i32 reads an i32.
func (t *thriftReader) i32() int {
	v := t.int()
	if int(int32(v)) != v {
		t.fail()
		return 0
	}
	return v
}

func (t *thriftReader) bytes() []byte {
	n := t.uint()
	if n > uint64(len(t.b)-t.i) {
		t.fail()
		return nil
	}
	t.i += int(n)
	return t.b[t.i-int(n) : t.i]
}

// list reads how many elements of which kind follow. Each takes at least a
// byte.
func (t *thriftReader) list() (n int, kind byte) {
	h := t.byte()
	size := uint64(h >> 4)
	if size == 15 {
		size = t.uint()
	}
	if size > uint64(len(t.b)-t.i) {
		t.fail()
		return 0, 0
	}
	return int(size), h & 15
}

// structs calls read for every element of a list of structures.
func (t *thriftReader) structs(read func()) {
	n, kind := t.list()
	if n > 0 && kind != thriftStruct {
		t.fail()
	}
	for i := 0; i < n && t.err == nil; i++ {
		read()
	}
}

// fields calls read with every field of a structure, as its number times 16
// plus its kind. What read returns false for is skipped.
func (t *thriftReader) fields(read func(field int) bool) {
	id := 0
	for {
		h := t.byte()
		kind := int(h & 15)
		switch {
		case h == 0:
			return
		case h>>4 != 0:
			id += int(h >> 4)
		default:
			id = t.int()
		}
		if id < 0 || id > 1<<15 {
			t.fail()
			return
		}
		if !read(id<<4 | kind) {
			t.skip(byte(kind), thriftDepth)
		}
	}
}

// skip passes over a field's value.
func (t *thriftReader) skip(kind byte, depth int) {
	switch kind {
	case thriftTrue, thriftFalse:
	case thriftByte:
		t.byte()
	case thriftI16, thriftI32, thriftI64:
		t.uint()
	case thriftDouble:
		if t.i += 8; t.i > len(t.b) {
			t.fail()
		}
	case thriftBinary:
		t.bytes()
	case thriftList, thriftSet:
		n, of := t.list()
		t.skipElements(n, depth, of)
	case thriftMap:
		if n := t.uint(); n > uint64(len(t.b)-t.i) {
			t.fail()
		} else if n > 0 {
			of := t.byte()
			t.skipElements(int(n), depth, of>>4, of&15)
		}
	case thriftStruct:
		if depth == 0 {
			t.fail()
			return
		}
		t.fields(func(field int) bool {
			t.skip(byte(field&15), depth-1)
			return true
		})
	default:
		t.fail()
	}
}

// skipElements passes over n elements of lists, sets or maps, in which a bool
// takes a byte.
func (t *thriftReader) skipElements(n, depth int, kinds ...byte) {
	if depth == 0 {
		t.fail()
	}
	for i := 0; i < n && t.err == nil; i++ {
		for _, kind := range kinds {
			if kind == thriftTrue || kind == thriftFalse {
				kind = thriftByte
			}
			t.skip(kind, depth-1)
		}
	}
}

// A thriftWriter writes structures in the compact protocol, appending to b.
type thriftWriter struct {
	b    []byte
	last int // the structure's field before
}

func (t *thriftWriter) field(id int, kind byte) {
	if d := id - t.last; d > 0 && d < 16 {
		t.b = append(t.b, byte(d)<<4|kind)
	} else {
		t.b = append(t.b, kind)
		t.b = binary.AppendVarint(t.b, int64(id))
	}
	t.last = id
}

func (t *thriftWriter) i32(id, v int) {
	t.field(id, thriftI32)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thriftWriter) i64(id, v int) {
	t.field(id, thriftI64)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thriftWriter) bool(id int, v bool) {
	kind := byte(thriftFalse)
	if v {
		kind = thriftTrue
	}
	t.field(id, kind)
}

func (t *thriftWriter) string(id int, s string) {
	t.field(id, thriftBinary)
	t.element(s)
}

// element writes a string within a list.
func (t *thriftWriter) element(s string) {
	t.b = binary.AppendUvarint(t.b, uint64(len(s)))
	t.b = append(t.b, s...)
}

func (t *thriftWriter) list(id, n int, kind byte) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n)<<4|kind)
		return
	}
	t.b = append(t.b, 15<<4|kind)
	t.b = binary.AppendUvarint(t.b, uint64(n))
}

// structure writes a structure as field id, 0: as an element of a list or
// alone.
func (t *thriftWriter) structure(id int, write func()) {
	if id > 0 {
		t.field(id, thriftStruct)
	}
	last := t.last
	t.last = 0
	write()
	t.b = append(t.b, 0)
	t.last = last
}
