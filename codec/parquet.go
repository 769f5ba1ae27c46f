package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// Parquet is application/x-parquet: a table with a column for each input of
// the model, or one for each element of a row of its only input.
//
// Columns go to the inputs of their names where every column has the name of
// an input and every input has a column, else to the inputs in order: an input
// of shape [-1,4] takes four columns, or one whose rows are lists of four. The
// index that pandas saves beside the columns (__index_level_0__) is passed
// over. Values are bools, integers, floats and strings, dictionaries of them
// or lists that all have the same length, and go to the input's type by the
// rules of docs/types.md. A null is NaN in an input of floats and refused in
// any other. Dates, times, decimals and nested types are refused.
//
// Pages are of version 1 or 2, in any encoding of the format, as they are or
// compressed by Snappy, gzip, Zstandard or LZ4 (LZ4_RAW); encrypted files and
// Brotli are refused. What a body may become is bounded, and this is checked
// before it is allocated: its pages decompressed, and again its columns, may
// each take 64 MiB or 20 times the body, whichever is more.
//
// Encode writes a column for each output, or of an output with several values
// a row one for each value, named as CSV's header=present names them: a
// classifier's label first, then its scores by class. bfloat16 and float8
// become float. Pages are plain and not compressed.
type Parquet struct{}

// MediaTypes returns application/x-parquet and its registered alias.
func (Parquet) MediaTypes() []string { return parquetTypes }

var parquetTypes = []string{"application/x-parquet", "application/vnd.apache.parquet"}

// Decode implements [Codec].
func (Parquet) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	f := parquetFile{table: newTable("Parquet", len(body)), pages: maxDense(len(body))}
	if err := f.readFooter(body); err != nil {
		return nil, err
	}
	f.read = f.readColumn
	tensors, err := f.tensors(r.Want)
	if err != nil {
		return nil, err
	}
	r.Found.Dialect = Rows
	return tensors, nil
}

// A parquetFile is a file that is being read.
type parquetFile struct {
	*table
	data   []byte // what lies before the footer; offsets count from its start
	pages  int    // bytes that pages may still take decompressed, headers included
	groups []parquetGroup
	leaves []parquetLeaf // of the columns, index by index
	decompressor
	pageScratch
}

// A parquetGroup is a row group: a chunk for each leaf of the schema.
type parquetGroup struct {
	rows   int
	chunks []parquetChunk
}

// A parquetChunk is the part of a column that is in one row group.
type parquetChunk struct {
	codec  int
	values int // nulls and empty lists included
	pages  []byte
}

// What the metadata takes in memory, grown by appending, for each element of
// the schema, row group and chunk.
const (
	nodeOverhead  = 192
	groupOverhead = 64
	chunkOverhead = 96
)

var parquetMagic = []byte("PAR1")

// readFooter reads the file's metadata: which columns there are, and where
// their pages are.
func (f *parquetFile) readFooter(body []byte) error {
	n := len(body)
	switch {
	case n >= 12 && bytes.HasSuffix(body, []byte("PARE")):
		return errorf("Parquet", "", "the file is encrypted")
	case n < 12 || !bytes.HasPrefix(body, parquetMagic) || !bytes.HasSuffix(body, parquetMagic):
		return errorf("Parquet", "", "it is no Parquet file, which begins and ends with PAR1, or it is cut off")
	}
	size := binary.LittleEndian.Uint32(body[n-8:])
	if uint64(size) > uint64(n-12) {
		return errorf("Parquet", fmt.Sprintf("byte %d", n-8), "a footer of %d bytes in a file of %d", size, n)
	}
	f.data = body[:n-8-int(size)]
	t := thriftReader{b: body[len(f.data) : n-8]}
	var nodes []parquetNode
	rows, encrypted := -1, false
	take := func(size int) {
		if err := f.take(size, 1); err != nil && t.err == nil {
			t.fail()
			t.err = err
		}
	}
	t.fields(func(field int) bool {
		switch field {
		case 2<<4 | thriftList:
			t.structs(func() {
				take(nodeOverhead)
				nodes = append(nodes, readNode(&t))
			})
		case 3<<4 | thriftI64:
			rows = t.int()
		case 4<<4 | thriftList:
			t.structs(func() {
				take(groupOverhead)
				f.groups = append(f.groups, f.readGroup(&t, take))
			})
		case 8<<4 | thriftStruct:
			encrypted = true
			return false
		default:
			return false
		}
		return true
	})
	switch {
	case t.err != nil:
		return errorf("Parquet", fmt.Sprintf("byte %d", len(f.data)), "%s", t.err)
	case encrypted:
		return errorf("Parquet", "", "the file is encrypted")
	case rows < 0:
		return errorf("Parquet", "", "the footer does not say how many rows there are")
	}
	f.rows = rows
	if err := f.take(rows, 1); err != nil {
		return errorf("Parquet", "", "%s", err)
	}
	leaves, err := f.readSchema(nodes)
	if err != nil {
		return err
	}
	return f.checkGroups(leaves)
}

// readGroup reads a RowGroup.
func (f *parquetFile) readGroup(t *thriftReader, take func(size int)) parquetGroup {
	g := parquetGroup{rows: -1}
	t.fields(func(field int) bool {
		switch field {
		case 1<<4 | thriftList:
			t.structs(func() {
				take(chunkOverhead)
				g.chunks = append(g.chunks, f.readChunk(t))
			})
		case 3<<4 | thriftI64:
			g.rows = t.int()
		default:
			return false
		}
		return true
	})
	return g
}

// readChunk reads a ColumnChunk. One whose pages are not within the file has
// none.
func (f *parquetFile) readChunk(t *thriftReader) parquetChunk {
	c := parquetChunk{codec: -1, values: -1}
	size, data, dictionary, elsewhere := -1, -1, 0, false
	t.fields(func(field int) bool {
		switch field {
		case 1<<4 | thriftBinary:
			elsewhere = len(t.bytes()) > 0
		case 3<<4 | thriftStruct:
			t.fields(func(field int) bool {
				switch field {
				case 4<<4 | thriftI32:
					c.codec = t.i32()
				case 5<<4 | thriftI64:
					c.values = t.int()
				case 7<<4 | thriftI64:
					size = t.int()
				case 9<<4 | thriftI64:
					data = t.int()
				case 11<<4 | thriftI64:
					dictionary = t.int()
				default:
					return false
				}
				return true
			})
		default:
			return false
		}
		return true
	})
	start := data
	if dictionary > 0 && dictionary < data {
		start = dictionary
	}
	if !elsewhere && size >= 0 && start >= 0 && start <= len(f.data) && size <= len(f.data)-start {
		c.pages = f.data[start : start+size]
	}
	return c
}

// checkGroups holds the row groups against the schema and the file's rows.
func (f *parquetFile) checkGroups(leaves int) error {
	rows := 0
	for i, g := range f.groups {
		switch {
		case len(g.chunks) != leaves:
			return errorf("Parquet", fmt.Sprintf("row group %d", i), "%d columns, and the schema has %d", len(g.chunks), leaves)
		case g.rows < 0 || g.rows > f.rows-rows:
			return errorf("Parquet", fmt.Sprintf("row group %d", i), "%d rows, and the file has %d in all", g.rows, f.rows)
		}
		rows += g.rows
	}
	if rows != f.rows {
		return errorf("Parquet", "", "the footer says %d rows, and the row groups have %d", f.rows, rows)
	}
	return nil
}
