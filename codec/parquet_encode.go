package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// pageBytes is how large a page that is written grows before the next one
// begins; readers take them whole.
const pageBytes = 1 << 20

// maxParquetColumns bounds the columns of a reply, of which each takes about
// 150 bytes beside its values.
const maxParquetColumns = 1 << 18

// A parquetOutput is a column that is being written.
type parquetOutput struct {
	name  string
	data  any // of the output's tensor
	width int // its elements in a row
	at    int // the column's among them
	start int // where its pages begin
	size  int
}

// Encode implements [Codec].
func (Parquet) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	outputs, rows, err := csvOutputs(nil, out, r.Infos)
	if err != nil {
		return nil, err
	}
	columns, err := parquetOutputs(outputs)
	if err != nil {
		return nil, err
	}
	file := len(dst)
	size := 0
	for i := range columns {
		c := &columns[i]
		size += 160 + len(c.name) + rows*max(elementSize(runtime.DTypeOf(c.data)), 4)
	}
	dst = append(slices.Grow(dst, size), parquetMagic...)
	for i := range columns {
		c := &columns[i]
		c.start = len(dst) - file
		for row := 0; row < rows; {
			if dst, row, err = c.appendPage(dst, row, rows); err != nil {
				return nil, err
			}
		}
		c.size = len(dst) - file - c.start
	}
	footer := len(dst)
	t := thriftWriter{b: dst}
	writeFooter(&t, columns, rows)
	dst = binary.LittleEndian.AppendUint32(t.b, uint32(len(t.b)-footer))
	return append(dst, parquetMagic...), nil
}

// parquetOutputs returns a column for each value of a row.
func parquetOutputs(outputs []csvOutput) ([]parquetOutput, error) {
	n := 0
	for _, o := range outputs {
		if n += o.width; o.width > maxParquetColumns || n > maxParquetColumns {
			return nil, fmt.Errorf("%w: the outputs have more than %d values a row, a column each: accept application/x-npz", ErrNotAcceptable, maxParquetColumns)
		}
	}
	columns := make([]parquetOutput, 0, n)
	seen := make(map[string]bool, n)
	for _, o := range outputs {
		c := parquetOutput{data: o.Data, width: o.width}
		switch d := o.DType(); d {
		case runtime.BFloat16, runtime.Float8E4M3FN, runtime.Float8E4M3FNUZ, runtime.Float8E5M2, runtime.Float8E5M2FNUZ:
			var err error
			if c.data, err = Convert(runtime.Float32, o.Data); err != nil {
				return nil, err
			}
		}
		for i := range o.width {
			c.name, c.at = o.column(i), i
			if seen[c.name] {
				return nil, fmt.Errorf("%w: two columns would be named %s", ErrNotAcceptable, quote(c.name))
			}
			seen[c.name] = true
			columns = append(columns, c)
		}
	}
	return columns, nil
}

// appendPage appends a page with the rows from one on and returns where the
// next page goes on.
func (c *parquetOutput) appendPage(dst []byte, from, rows int) ([]byte, int, error) {
	d := runtime.DTypeOf(c.data)
	to := min(rows, from+pageBytes/max(physicalSize(d), 1))
	size := (to - from) * physicalSize(d)
	switch text, ok := c.data.([]string); {
	case d == runtime.Bool:
		size = (to - from + 7) / 8
	case ok:
		size = 0
		for i := from; i < to; i++ {
			s := text[i*c.width+c.at]
			if !utf8.ValidString(s) {
				return nil, 0, fmt.Errorf("%w: row %d of column %s is not UTF-8", ErrNotAcceptable, i, quote(c.name))
			}
			if size += 4 + len(s); size > pageBytes {
				to = i + 1
			}
		}
		if size > math.MaxInt32 {
			return nil, 0, fmt.Errorf("%w: row %d of column %s has more than 2 GiB", ErrNotAcceptable, to-1, quote(c.name))
		}
	}
	t := thriftWriter{b: dst}
	t.structure(0, func() {
		t.i32(1, parquetDataPage)
		t.i32(2, size)
		t.i32(3, size)
		t.structure(5, func() {
			t.i32(1, to-from)
			t.i32(2, plainEncoding)
			t.i32(3, rleEncoding) // of levels, which there are none of
			t.i32(4, rleEncoding)
		})
	})
	return c.appendValues(t.b, from, to), to, nil
}

// appendValues appends the rows from one to another in the plain encoding.
func (c *parquetOutput) appendValues(dst []byte, from, to int) []byte {
	switch data := c.data.(type) {
	case []string:
		for i := from; i < to; i++ {
			s := data[i*c.width+c.at]
			dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
		}
		return dst
	case []bool:
		var bits byte
		for i := from; i < to; i++ {
			if data[i*c.width+c.at] {
				bits |= 1 << ((i - from) % 8)
			}
			if (i-from)%8 == 7 || i == to-1 {
				dst, bits = append(dst, bits), 0
			}
		}
		return dst
	case []int8:
		return appendWide(dst, data, c, from, to)
	case []int16:
		return appendWide(dst, data, c, from, to)
	case []uint8:
		return appendWide(dst, data, c, from, to)
	case []uint16:
		return appendWide(dst, data, c, from, to)
	}
	raw, size := runtime.Bytes(c.data), runtime.DTypeOf(c.data).Size()
	if c.width == 1 {
		return append(dst, raw[from*size:to*size]...)
	}
	n := len(dst)
	dst = slices.Grow(dst, (to-from)*size)[:n+(to-from)*size]
	page, raw, step := dst[n:], raw[(from*c.width+c.at)*size:], c.width*size
	switch size {
	case 2:
		for i := 0; len(page) >= 2; i += step {
			*(*[2]byte)(page) = *(*[2]byte)(raw[i:])
			page = page[2:]
		}
	case 4:
		for i := 0; len(page) >= 4; i += step {
			*(*[4]byte)(page) = *(*[4]byte)(raw[i:])
			page = page[4:]
		}
	case 8:
		for i := 0; len(page) >= 8; i += step {
			*(*[8]byte)(page) = *(*[8]byte)(raw[i:])
			page = page[8:]
		}
	}
	return dst
}

// appendWide appends small integers, which are stored as 32 bits.
func appendWide[T int8 | int16 | uint8 | uint16](dst []byte, data []T, c *parquetOutput, from, to int) []byte {
	for i := from; i < to; i++ {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(data[i*c.width+c.at])))
	}
	return dst
}

// A parquetType is how an element type is stored.
type parquetType struct {
	physical  int
	converted int // -1 for none
	parquetLogical
}

func parquetTypeOf(d runtime.DType) parquetType {
	integer := func(physical, bits int, unsigned bool) parquetType {
		is := parquetLogical{logicalInteger, bits, unsigned}
		return parquetType{physical, slices.Index(convertedTypes[:], is), is}
	}
	switch d {
	case runtime.Bool:
		return parquetType{physical: parquetBoolean, converted: -1}
	case runtime.Int64:
		return parquetType{physical: parquetInt64, converted: -1}
	case runtime.Int32:
		return parquetType{physical: parquetInt32, converted: -1}
	case runtime.Uint64:
		return integer(parquetInt64, 64, true)
	case runtime.Uint32, runtime.Uint16, runtime.Uint8:
		return integer(parquetInt32, 8*d.Size(), true)
	case runtime.Int16, runtime.Int8:
		return integer(parquetInt32, 8*d.Size(), false)
	case runtime.Float64:
		return parquetType{physical: parquetDouble, converted: -1}
	case runtime.Float16:
		return parquetType{parquetFixed, -1, parquetLogical{logical: logicalFloat16}}
	case runtime.String:
		return parquetType{parquetByteArray, 0, convertedTypes[0]}
	}
	return parquetType{physical: parquetFloat, converted: -1}
}

// physicalSize is the bytes of a value in a page, 0 for strings; bools are
// bits, and 1 here.
func physicalSize(d runtime.DType) int {
	if d.Integer() {
		return max(d.Size(), 4)
	}
	return d.Size()
}

// writeFooter writes the file's metadata.
func writeFooter(t *thriftWriter, columns []parquetOutput, rows int) {
	t.structure(0, func() {
		t.i32(1, 2) // the format's version
		t.list(2, len(columns)+1, thriftStruct)
		t.structure(0, func() {
			t.string(4, "schema")
			t.i32(5, len(columns))
		})
		for i := range columns {
			t.structure(0, func() { columns[i].writeSchema(t) })
		}
		t.i64(3, rows)
		t.list(4, 1, thriftStruct)
		t.structure(0, func() {
			total := 0
			t.list(1, len(columns), thriftStruct)
			for i := range columns {
				total += columns[i].size
				t.structure(0, func() { columns[i].writeChunk(t, rows) })
			}
			t.i64(2, total)
			t.i64(3, rows)
		})
		t.string(6, "clary")
	})
}

// writeSchema writes the fields of a SchemaElement.
func (c *parquetOutput) writeSchema(t *thriftWriter) {
	p := parquetTypeOf(runtime.DTypeOf(c.data))
	t.i32(1, p.physical)
	if p.physical == parquetFixed {
		t.i32(2, 2)
	}
	t.i32(3, parquetRequired)
	t.string(4, c.name)
	if p.converted >= 0 {
		t.i32(6, p.converted)
	}
	if p.logical == logicalNone {
		return
	}
	t.structure(10, func() {
		t.structure(p.logical, func() {
			if p.logical == logicalInteger {
				t.field(1, thriftByte)
				t.b = append(t.b, byte(p.bits))
				t.bool(2, !p.unsigned)
			}
		})
	})
}

// writeChunk writes the fields of a ColumnChunk.
func (c *parquetOutput) writeChunk(t *thriftWriter, rows int) {
	t.i64(2, 0)
	t.structure(3, func() {
		t.i32(1, parquetTypeOf(runtime.DTypeOf(c.data)).physical)
		t.list(2, 2, thriftI32)
		t.b = binary.AppendVarint(t.b, plainEncoding)
		t.b = binary.AppendVarint(t.b, rleEncoding)
		t.list(3, 1, thriftBinary)
		t.element(c.name)
		t.i32(4, uncompressed)
		t.i64(5, rows)
		t.i64(6, c.size)
		t.i64(7, c.size)
		t.i64(9, c.start)
	})
}
