package codec

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// arrowOffsets says where in a list or text each of n values begins, and where
// the last ends.
type arrowOffsets struct {
	raw  []byte
	size int
}

// offsets reads the next buffer as n+1 offsets of size bytes.
func (b *arrowBatch) offsets(n, size int) (o arrowOffsets, err error) {
	o.size = size
	if o.raw, err = b.buffer(); err != nil {
		return o, err
	}
	if n > 0 && len(o.raw)/size <= n {
		return o, short(n+1, o.raw)
	}
	return o, nil
}

// at returns offset i, a negative one or one that is too great as it is.
func (o arrowOffsets) at(i int) int {
	if o.size == 4 {
		return int(int32(binary.LittleEndian.Uint32(o.raw[4*i:])))
	}
	return int(binary.LittleEndian.Uint64(o.raw[8*i:]))
}

// text reads strings: offsets of size bytes, then all text.
func (b *arrowBatch) text(n, size int, nulls []int) ([]string, error) {
	offsets, err := b.offsets(n, size)
	if err != nil {
		return nil, err
	}
	raw, err := b.buffer()
	if err != nil || n == 0 {
		return []string{}, err
	}
	from, end := offsets.at(0), offsets.at(n)
	if from < 0 || end < from || end > len(raw) {
		return nil, fmt.Errorf("text from %d to %d in a buffer of %d bytes", from, end, len(raw))
	}
	if err := b.take(end-from, 1); err != nil {
		return nil, err
	}
	text := string(raw[from:end])
	data := make([]string, n)
	for i := range data {
		to := offsets.at(i + 1)
		if to < from || to > end {
			return nil, fmt.Errorf("text from %d to %d in a buffer of %d bytes", from, to, len(raw))
		}
		data[i], text = text[:to-from], text[to-from:]
		from = to
	}
	return data, checkText(data, nulls)
}

// checkText clears the strings that are null and holds the others to UTF-8.
func checkText(data []string, nulls []int) error {
	for _, i := range nulls {
		data[i] = ""
	}
	for i, s := range data {
		if !utf8.ValidString(s) {
			return fmt.Errorf("value %d is not UTF-8", i)
		}
	}
	return nil
}

// viewed reads strings as views of 16 bytes: their length and, up to 12 bytes,
// their text, else its first 4 bytes, its buffer and its place in that.
func (b *arrowBatch) viewed(n int, nulls []int) ([]string, error) {
	count, err := b.views()
	if err != nil {
		return nil, err
	}
	views, err := b.buffer()
	if err != nil {
		return nil, err
	}
	if len(views)/16 < n {
		return nil, short(n, views)
	}
	buffers := make([][]byte, count)
	for i := range buffers {
		if buffers[i], err = b.buffer(); err != nil {
			return nil, err
		}
	}
	data := make([]string, n)
	for i := range data {
		if len(nulls) > 0 && nulls[0] == i {
			nulls = nulls[1:]
			continue
		}
		v := views[16*i : 16*i+16]
		size := binary.LittleEndian.Uint32(v)
		text := v[4:]
		if size > 12 {
			buffer, at := binary.LittleEndian.Uint32(v[8:]), binary.LittleEndian.Uint32(v[12:])
			if uint64(buffer) >= uint64(count) || uint64(at)+uint64(size) > uint64(len(buffers[buffer])) {
				return nil, fmt.Errorf("value %d is not within its buffer", i)
			}
			text = buffers[buffer][at:]
		}
		if err := b.take(int(size), 1); err != nil {
			return nil, err
		}
		data[i] = string(text[:size])
	}
	return data, checkText(data, nil)
}
