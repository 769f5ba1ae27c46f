package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/claryhq/clary/runtime"
)

// arrowValues are the elements of a field in one batch.
type arrowValues struct {
	data  any
	nulls []int
	width int // elements in a row
}

// An arrowBatch is a record batch whose fields are read one after another.
type arrowBatch struct {
	*arrowStream
	rows       int
	data       []byte
	nodes      []byte // 16 bytes for each: how many values, how many nulls
	spans      []byte // 16 bytes for each buffer: where it is, its length
	variadic   []byte // 8 bytes for each view: how many buffers its text is in
	compressed bool
	codec      int
}

// batch reads the header of a RecordBatch.
func (s *arrowStream) batch(t flatTable, body []byte) (*arrowBatch, error) {
	b := &arrowBatch{arrowStream: s, rows: t.int(0, 8), data: body}
	at, n := t.vector(1, 16)
	b.nodes = t.bytes(at, 16*n)
	at, n = t.vector(2, 16)
	b.spans = t.bytes(at, 16*n)
	at, n = t.vector(4, 8)
	b.variadic = t.bytes(at, 8*n)
	compression, ok := t.table(3)
	if b.compressed = ok; ok {
		b.codec = compression.int(0, 1)
	}
	if t.bad || b.rows < 0 {
		return nil, errArrow
	}
	return b, s.take(b.rows, 1)
}

// node reads how many values and nulls the next field has.
func (b *arrowBatch) node() (values, nulls int, err error) {
	if len(b.nodes) < 16 {
		return 0, 0, errArrow
	}
	values = int(binary.LittleEndian.Uint64(b.nodes))
	nulls = int(binary.LittleEndian.Uint64(b.nodes[8:]))
	b.nodes = b.nodes[16:]
	return values, nulls, nil
}

// span returns the next buffer as it is.
func (b *arrowBatch) span() ([]byte, error) {
	if len(b.spans) < 16 {
		return nil, errArrow
	}
	at, n := binary.LittleEndian.Uint64(b.spans), binary.LittleEndian.Uint64(b.spans[8:])
	b.spans = b.spans[16:]
	if n > uint64(len(b.data)) || at > uint64(len(b.data))-n {
		return nil, fmt.Errorf("a buffer of %d bytes at %d in a body of %d", n, at, len(b.data))
	}
	return b.data[at : at+n : at+n], nil
}

// buffer returns the next buffer, decompressed.
func (b *arrowBatch) buffer() ([]byte, error) {
	raw, err := b.span()
	if err != nil || !b.compressed || len(raw) == 0 {
		return raw, err
	}
	if len(raw) < 8 {
		return nil, errors.New("a compressed buffer does not say its size")
	}
	size := int(binary.LittleEndian.Uint64(raw))
	switch raw = raw[8:]; {
	case size == -1: // it would not become smaller
		return raw, nil
	case size < 0 || size > b.buffers:
		return nil, fmt.Errorf("decompressed the buffers take more than %d bytes, 64 MiB or %d times the body: send fewer rows at a time", maxDense(b.body), denseRatio)
	case b.codec == 0:
		err = plausible(codecLZ4, raw, size)
	}
	if err != nil {
		return nil, err
	}
	b.buffers -= size
	dst := make([]byte, size)
	switch b.codec {
	case 0:
		err = lz4Frame(dst, raw)
	case 1:
		err = b.unzstd(dst, raw)
	default:
		err = fmt.Errorf("compression %d is not read; LZ4 and Zstandard are", b.codec)
	}
	return dst, err
}

// skip passes over a field.
func (b *arrowBatch) skip(f *arrowField) error {
	buffers := 2
	switch {
	case f.nested:
		return errors.New("an index of a nested type; send the table without it")
	case f.encoded:
	case f.kind == arrowNull:
		buffers = 0
	case f.kind == arrowUTF8, f.kind == arrowBinary, f.kind == arrowLargeUTF8, f.kind == arrowLargeBinary:
		buffers = 3
	case f.kind == arrowUTF8View, f.kind == arrowBinaryView:
		n, err := b.views()
		if err != nil {
			return err
		}
		buffers += n
	}
	for range buffers {
		if _, err := b.span(); err != nil {
			return err
		}
	}
	_, _, err := b.node()
	return err
}

// views returns how many buffers hold the text of the next field of views.
func (b *arrowBatch) views() (int, error) {
	if len(b.variadic) < 8 {
		return 0, errArrow
	}
	n := binary.LittleEndian.Uint64(b.variadic)
	b.variadic = b.variadic[8:]
	if n > uint64(len(b.spans)/16) {
		return 0, errArrow
	}
	return int(n), nil
}

// values reads a field of n rows.
func (b *arrowBatch) values(f *arrowField, n int) (v arrowValues, err error) {
	have, nulls, err := b.node()
	if err != nil {
		return v, err
	}
	if have != n {
		return v, fmt.Errorf("%d values, where there are %d rows", have, n)
	}
	v.width = 1
	if f.kind == arrowNull && !f.encoded {
		if err := b.take(n, elementSize(f.dtype)+nullOverhead); err != nil {
			return v, err
		}
		v.data, v.nulls = runtime.Make(f.dtype, n), make([]int, n)
		for i := range v.nulls {
			v.nulls[i] = i
		}
		return v, nil
	}
	if nulls == 0 {
		_, err = b.span()
	} else {
		v.nulls, err = b.nulls(n)
	}
	switch {
	case err != nil:
	case f.child != nil && len(v.nulls) > 0:
		err = fmt.Errorf("row %d is null, and a list is wanted", b.arrowStream.rows+v.nulls[0])
	case f.child != nil:
		return b.lists(f, n)
	case f.encoded:
		err = b.indices(f, n, &v)
	default:
		v.data, err = b.plain(f.kind, f.dtype, n, v.nulls)
	}
	return v, err
}

// nulls reads the next buffer as a bitmap of n values, 0 for null.
func (b *arrowBatch) nulls(n int) ([]int, error) {
	valid, err := b.buffer()
	if err != nil {
		return nil, err
	}
	if len(valid) < n/8+min(n%8, 1) {
		return nil, fmt.Errorf("which of %d values are null is in %d bytes", n, len(valid))
	}
	count := n
	for i, c := range valid[:n/8+min(n%8, 1)] {
		if rest := n - 8*i; rest < 8 {
			c &= 1<<rest - 1
		}
		count -= bits.OnesCount8(c)
	}
	if err := b.take(count, nullOverhead); err != nil {
		return nil, err
	}
	nulls := make([]int, 0, count)
	for i := range n {
		if valid[i/8]>>(i%8)&1 == 0 {
			nulls = append(nulls, i)
		}
	}
	return nulls, nil
}

// plain reads the values of a field that is neither a list nor encoded by a
// dictionary.
func (b *arrowBatch) plain(kind int, d runtime.DType, n int, nulls []int) (any, error) {
	if err := b.take(n, elementSize(d)); err != nil {
		return nil, err
	}
	switch kind {
	case arrowUTF8, arrowBinary:
		return b.text(n, 4, nulls)
	case arrowLargeUTF8, arrowLargeBinary:
		return b.text(n, 8, nulls)
	case arrowUTF8View, arrowBinaryView:
		return b.viewed(n, nulls)
	}
	raw, err := b.buffer()
	switch {
	case err != nil:
		return nil, err
	case kind == arrowBool:
		if len(raw) < n/8+min(n%8, 1) {
			return nil, short(n, raw)
		}
		data := make([]bool, n)
		for i := range data {
			data[i] = raw[i/8]>>(i%8)&1 == 1
		}
		return data, nil
	case len(raw)/d.Size() < n:
		return nil, short(n, raw)
	}
	size := d.Size()
	raw = raw[: n*size : n*size]
	if len(nulls) == 0 {
		if v := runtime.View(d, raw); v != nil {
			return v, nil
		}
	}
	data := runtime.Make(d, n)
	own := runtime.Bytes(data)
	copy(own, raw)
	for _, i := range nulls { // where anything may be
		clear(own[i*size : (i+1)*size])
	}
	return data, nil
}

func short(n int, raw []byte) error {
	return fmt.Errorf("%d values in a buffer of %d bytes", n, len(raw))
}

// lists reads n lists, all of the same length.
func (b *arrowBatch) lists(f *arrowField, n int) (v arrowValues, err error) {
	first, width := 0, f.size
	if f.kind != arrowFixedSizeList {
		size := 4
		if f.kind == arrowLargeList {
			size = 8
		}
		offsets, err := b.offsets(n, size)
		if err != nil {
			return v, err
		}
		if width = 0; n > 0 {
			first = offsets.at(0)
			width = offsets.at(1) - first
		}
		for i := range n {
			if from, to := offsets.at(i), offsets.at(i+1); from < 0 || to < from || to-from != width {
				return v, fmt.Errorf("row %d has %d elements and those before it %d: all lists must have the same length", b.arrowStream.rows+i, to-from, width)
			}
		}
	}
	if len(b.nodes) < 8 {
		return v, errArrow
	}
	have := int(binary.LittleEndian.Uint64(b.nodes))
	total := product(n, width)
	if have < 0 || total < 0 || first > have || total > have-first {
		return v, fmt.Errorf("%d lists of %d elements with %d values", n, width, have)
	}
	if v, err = b.values(f.child, have); err != nil {
		return v, err
	}
	v.width = width
	v.cut(first, first+total)
	return v, nil
}

// cut leaves the elements from one to another.
func (v *arrowValues) cut(from, to int) {
	if from == 0 && to == runtime.Len(v.data) {
		return
	}
	d := runtime.DTypeOf(v.data)
	v.data = cellsOf(v.data).slice(from, to).data(d)
	kept := v.nulls[:0]
	for _, i := range v.nulls {
		if from <= i && i < to {
			kept = append(kept, i-from)
		}
	}
	v.nulls = kept
}
