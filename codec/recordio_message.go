package codec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/claryhq/clary/runtime"
	"google.golang.org/protobuf/encoding/protowire"
)

// A recordKind is a tensor's type: its field in Value.
type recordKind protowire.Number

const (
	recordFloat32 recordKind = 2
	recordFloat64 recordKind = 3
	recordInt32   recordKind = 7
	recordBytes   recordKind = 9
)

// dtype returns the element type that a tensor of kind k is read into;
// Undefined for a kind that is none.
func (k recordKind) dtype() runtime.DType {
	switch k {
	case recordFloat32:
		return runtime.Float32
	case recordFloat64:
		return runtime.Float64
	case recordInt32:
		return runtime.Int32
	case recordBytes:
		return runtime.String
	}
	return runtime.Undefined
}

// wire returns how one value that is not packed is written.
func (k recordKind) wire() protowire.Type {
	switch k {
	case recordFloat32:
		return protowire.Fixed32Type
	case recordFloat64:
		return protowire.Fixed64Type
	case recordInt32:
		return protowire.VarintType
	}
	return protowire.BytesType
}

// errWire is a message that is not one.
var errWire = errors.New("it is no protobuf message")

// A protoField is one of a message's: its number and wire type, and its value's
// bytes, without the length in front of them.
type protoField struct {
	num protowire.Number
	typ protowire.Type
	b   []byte
}

// nextProtoField cuts the first field off msg.
func nextProtoField(msg []byte) (f protoField, rest []byte, err error) {
	// Most fields are short ones with a length, which both take one byte then.
	if len(msg) > 1 && msg[0] > 7 && msg[0] < 0x80 && msg[0]&7 == byte(protowire.BytesType) && msg[1] < 0x80 && int(msg[1]) <= len(msg)-2 {
		end := 2 + int(msg[1])
		return protoField{protowire.Number(msg[0] >> 3), protowire.BytesType, msg[2:end]}, msg[end:], nil
	}
	num, typ, n := protowire.ConsumeTag(msg)
	if n < 0 {
		return f, nil, fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
	}
	f.num, f.typ, msg = num, typ, msg[n:]
	if typ == protowire.BytesType {
		f.b, n = protowire.ConsumeBytes(msg)
	} else {
		n = protowire.ConsumeFieldValue(num, typ, msg)
	}
	if n < 0 {
		return f, nil, fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
	}
	if typ != protowire.BytesType {
		f.b = msg[:n]
	}
	return f, msg[n:], nil
}

// mergePieces appends to b, which is nil or came from mergePieces, a part of the same
// message or packed list: protobuf may send one in pieces. A single piece is
// not copied.
func mergePieces(b, piece []byte) []byte {
	if b == nil {
		return piece[:len(piece):len(piece)]
	}
	return append(b, piece...)
}

// A recordFeature is an entry of a Record's features.
type recordFeature struct {
	name   []byte
	kind   recordKind // 0: there is no tensor
	tensor []byte     // a message
}

// nextFeature cuts the first feature off a Record; ok is false when there is
// none.
func nextFeature(record []byte) (v recordFeature, rest []byte, ok bool, err error) {
	for len(record) > 0 {
		var f protoField
		if f, record, err = nextProtoField(record); err != nil {
			return v, nil, false, err
		}
		if f.num == 1 && f.typ == protowire.BytesType {
			v, err = readFeature(f.b)
			return v, record, true, err
		}
	}
	return v, nil, false, nil
}

// readFeature reads a map's entry, its Value included.
func readFeature(entry []byte) (v recordFeature, err error) {
	var value []byte
	for len(entry) > 0 {
		var f protoField
		if f, entry, err = nextProtoField(entry); err != nil {
			return v, err
		}
		switch {
		case f.typ != protowire.BytesType:
		case f.num == 1:
			v.name = f.b
		case f.num == 2:
			value = mergePieces(value, f.b)
		}
	}
	for len(value) > 0 {
		var f protoField
		if f, value, err = nextProtoField(value); err != nil {
			return v, err
		}
		k := recordKind(f.num)
		if f.typ != protowire.BytesType || k.dtype() == runtime.Undefined {
			continue
		}
		if k != v.kind { // of a oneof the last one counts
			v.kind, v.tensor = k, nil
		}
		v.tensor = mergePieces(v.tensor, f.b)
	}
	return v, nil
}

// A recordTensor is a tensor's message, taken apart.
type recordTensor struct {
	kind   recordKind
	n      int    // values
	values []byte // packed; of bytes the message itself
	keys   []int
	shape  []int
}

// read takes msg apart; keys and shape reuse t's memory.
func (t *recordTensor) read(kind recordKind, msg []byte) error {
	*t = recordTensor{kind: kind, keys: t.keys[:0], shape: t.shape[:0]}
	if kind == recordBytes {
		t.values = msg
		return t.countBytes()
	}
	for len(msg) > 0 {
		f, rest, err := nextProtoField(msg)
		if err != nil {
			return err
		}
		msg = rest
		switch f.num {
		case 1:
			err = t.addValues(f)
		case 2:
			t.keys, err = appendVarints(t.keys, f, maxColumn, "key")
		case 3:
			t.shape, err = appendVarints(t.shape, f, math.MaxInt, "dimension")
		}
		if err != nil {
			return err
		}
	}
	switch kind {
	case recordFloat32:
		t.n = len(t.values) / 4
	case recordFloat64:
		t.n = len(t.values) / 8
	default:
		t.n = countVarints(t.values)
	}
	return nil
}

// addValues adds one value or a packed list of them. Other wire types are
// another field's and passed over, as protobuf does.
func (t *recordTensor) addValues(f protoField) error {
	wire := t.kind.wire()
	if f.typ != wire && f.typ != protowire.BytesType {
		return nil
	}
	whole := true
	switch wire {
	case protowire.Fixed32Type:
		whole = len(f.b)%4 == 0
	case protowire.Fixed64Type:
		whole = len(f.b)%8 == 0
	default:
		whole = len(f.b) == 0 || f.b[len(f.b)-1] < 0x80
	}
	if !whole {
		return fmt.Errorf("%w: a list of values of %d bytes ends within one", errWire, len(f.b))
	}
	t.values = mergePieces(t.values, f.b)
	return nil
}

// countBytes counts the values of a Bytes message.
func (t *recordTensor) countBytes() error {
	for msg := t.values; len(msg) > 0; {
		f, rest, err := nextProtoField(msg)
		if err != nil {
			return err
		}
		if msg = rest; f.num == 1 && f.typ == protowire.BytesType {
			t.n++
		}
	}
	return nil
}

// appendVarints appends the numbers of a field, one or a packed list.
func appendVarints(dst []int, f protoField, most uint64, what string) ([]int, error) {
	if f.typ != protowire.VarintType && f.typ != protowire.BytesType {
		return dst, nil
	}
	dst = slices.Grow(dst, countVarints(f.b))
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return dst, fmt.Errorf("%w: a list of %ss: %w", errWire, what, protowire.ParseError(n))
		}
		if v > most {
			return dst, fmt.Errorf("the %s %d is beyond all bounds", what, v)
		}
		dst, b = append(dst, int(v)), b[n:]
	}
	return dst, nil
}

// countVarints counts the varints in b by the bytes that end one.
func countVarints(b []byte) int {
	n := 0
	for _, c := range b {
		n += int(^c >> 7)
	}
	return n
}

// elements returns the values as a slice of kind's type; it may share their
// memory.
func (t *recordTensor) elements() (any, error) {
	switch t.kind {
	case recordInt32:
		data := make([]int32, t.n)
		return data, t.readInt32(data)
	case recordBytes:
		return t.strings()
	}
	d := t.kind.dtype()
	if v := runtime.View(d, t.values); v != nil {
		return v, nil
	}
	data := runtime.Make(d, t.n)
	copy(runtime.Bytes(data), t.values)
	return data, nil
}

// readInt32 decodes the values into dst, which is as long.
func (t *recordTensor) readInt32(dst []int32) error {
	b := t.values
	for i := range dst {
		if len(b) > 0 && b[0] < 0x80 {
			dst[i], b = int32(b[0]), b[1:]
			continue
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return fmt.Errorf("%w: value %d: %w", errWire, i, protowire.ParseError(n))
		}
		dst[i], b = int32(v), b[n:] // a negative one has 64 bits
	}
	return nil
}

// strings returns the values of a Bytes message, which share its memory.
func (t *recordTensor) strings() ([]string, error) {
	data := make([]string, 0, t.n)
	for msg := t.values; len(msg) > 0; {
		f, rest, err := nextProtoField(msg)
		if err != nil {
			return nil, err
		}
		if msg = rest; f.num != 1 || f.typ != protowire.BytesType {
			continue
		}
		if !utf8.Valid(f.b) {
			return nil, fmt.Errorf("value %d is not UTF-8", len(data))
		}
		data = append(data, unsafe.String(unsafe.SliceData(f.b), len(f.b)))
	}
	return data, nil
}
