package codec

import "encoding/binary"

// A flatBuffer is metadata in the FlatBuffers encoding. What lies outside of it
// reads as zero and makes it bad.
type flatBuffer struct {
	b   []byte
	bad bool
}

// bytes returns n bytes from at on, nil where they are not there.
func (f *flatBuffer) bytes(at, n int) []byte {
	if at < 0 || n < 0 || n > len(f.b) || at > len(f.b)-n {
		f.bad = true
		return nil
	}
	return f.b[at : at+n]
}

// uint reads an integer of size bytes.
func (f *flatBuffer) uint(at, size int) uint64 {
	var v [8]byte
	copy(v[:], f.bytes(at, size))
	return binary.LittleEndian.Uint64(v[:])
}

// deref returns where the offset at a place leads.
func (f *flatBuffer) deref(at int) int { return at + int(f.uint(at, 4)) }

// A flatTable is a table of a flatBuffer: fields found by number through a
// table of where they are. One that is not there has none.
type flatTable struct {
	*flatBuffer
	at     int
	fields []byte // two bytes each: where it is from at on, 0 for its default
}

func (f *flatBuffer) table(at int) flatTable {
	fields := at - int(int32(f.uint(at, 4)))
	size := int(f.uint(fields, 2))
	return flatTable{f, at, f.bytes(fields+4, max(size-4, 0))}
}

// field returns where a field is, 0 where it is not there.
func (t flatTable) field(id int) int {
	if 2*id+2 > len(t.fields) {
		return 0
	}
	if at := binary.LittleEndian.Uint16(t.fields[2*id:]); at != 0 {
		return t.at + int(at)
	}
	return 0
}

// int reads a signed field of size bytes.
func (t flatTable) int(id, size int) int {
	at := t.field(id)
	if at == 0 {
		return 0
	}
	shift := 64 - 8*size
	return int(int64(t.uint(at, size)<<shift) >> shift)
}

// table reads a field that is a table; ok is false where it is not there.
func (t flatTable) table(id int) (child flatTable, ok bool) {
	at := t.field(id)
	if at == 0 {
		return flatTable{flatBuffer: t.flatBuffer}, false
	}
	return t.flatBuffer.table(t.deref(at)), true
}

// vector reads a field that is a vector of n elements of size bytes.
func (t flatTable) vector(id, size int) (at, n int) {
	if at = t.field(id); at == 0 {
		return 0, 0
	}
	at = t.deref(at)
	n = int(t.uint(at, 4))
	if at += 4; t.bytes(at, n*size) == nil {
		return 0, 0
	}
	return at, n
}

// string reads a field that is text.
func (t flatTable) string(id int) []byte {
	at, n := t.vector(id, 1)
	return t.bytes(at, n)
}
