package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// The types of page.
const (
	parquetDataPage       = 0
	parquetDictionaryPage = 2
	parquetDataPageV2     = 3
)

// A parquetPage is a page's header.
type parquetPage struct {
	kind       int
	size       int // decompressed
	stored     int
	values     int // nulls included
	encoding   int
	compressed bool

	defEncoding, repEncoding int // of levels in a page of version 1
	defLevels, repLevels     int // their bytes in one of version 2
}

// readPage reads a PageHeader.
func readPage(t *thriftReader) parquetPage {
	p := parquetPage{kind: -1, size: -1, stored: -1, values: -1, compressed: true}
	t.fields(func(field int) bool {
		switch field {
		case 1<<4 | thriftI32:
			p.kind = t.i32()
		case 2<<4 | thriftI32:
			p.size = t.i32()
		case 3<<4 | thriftI32:
			p.stored = t.i32()
		case 5<<4 | thriftStruct, 7<<4 | thriftStruct:
			t.fields(func(field int) bool {
				switch field {
				case 1<<4 | thriftI32:
					p.values = t.i32()
				case 2<<4 | thriftI32:
					p.encoding = t.i32()
				case 3<<4 | thriftI32:
					p.defEncoding = t.i32()
				case 4<<4 | thriftI32:
					p.repEncoding = t.i32()
				default:
					return false
				}
				return true
			})
		case 8<<4 | thriftStruct:
			p.readV2(t)
		default:
			return false
		}
		return true
	})
	return p
}

// readV2 reads a DataPageHeaderV2.
func (p *parquetPage) readV2(t *thriftReader) {
	t.fields(func(field int) bool {
		switch field {
		case 1<<4 | thriftI32:
			p.values = t.i32()
		case 4<<4 | thriftI32:
			p.encoding = t.i32()
		case 5<<4 | thriftI32:
			p.defLevels = t.i32()
		case 6<<4 | thriftI32:
			p.repLevels = t.i32()
		case 7<<4 | thriftTrue, 7<<4 | thriftFalse:
			p.compressed = field&15 == thriftTrue
		default:
			return false
		}
		return true
	})
}

// pageScratch is memory that pages share.
type pageScratch struct {
	page   []byte // one that is decompressed
	values []byte // of a column, before they are converted
	def    []uint8
	rep    []uint8
}

// A parquetColumn is a column whose chunks are being read.
type parquetColumn struct {
	*parquetFile
	leaf  *parquetLeaf
	col   *column
	cells cells // of its elements
	n     int   // elements read
	dict  cells // of the chunk

	// Of lists:
	started bool // the chunk's first row
	rows    int  // begun
	count   int  // elements of the row that was begun last
}

// readColumn reads all values of a column.
func (f *parquetFile) readColumn(i int, d runtime.DType) error {
	r := parquetColumn{parquetFile: f, leaf: &f.leaves[i], col: &f.columns[i]}
	stored := r.leaf.stored
	total := 0
	for g := range f.groups {
		n := f.groups[g].chunks[r.leaf.index].values
		if n < 0 || !r.col.list && n != f.groups[g].rows {
			return fmt.Errorf("row group %d: %d values for %d rows", g, n, f.groups[g].rows)
		}
		if err := f.take(n, elementSize(stored)); err != nil {
			return err
		}
		total += n
	}
	if size := stored.Size(); d.Known() && d != stored && size > 0 {
		if cap(f.values) < total*size {
			f.values = runtime.Bytes(runtime.Make(runtime.Uint64, (total*size+7)/8))
		}
		r.cells = cells{raw: f.values[:total*size], size: size}
	} else {
		r.cells = makeCells(stored, total)
	}
	if r.col.list {
		r.col.width = -1
	}
	rows := 0
	for g := range f.groups {
		if err := r.readChunk(&f.groups[g].chunks[r.leaf.index]); err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
		if rows += f.groups[g].rows; r.col.list && r.rows != rows {
			return fmt.Errorf("row group %d: %d lists for %d rows", g, r.rows-rows+f.groups[g].rows, f.groups[g].rows)
		}
	}
	r.col.width = max(r.col.width, 0)
	r.col.data = r.cells.slice(0, r.n).data(stored)
	return nil
}

// readChunk reads the pages of the column in a row group.
func (r *parquetColumn) readChunk(chunk *parquetChunk) error {
	b := chunk.pages
	if b == nil {
		return errors.New("its pages are not within the file")
	}
	r.dict, r.started = cells{}, false
	for left := chunk.values; left > 0; {
		t := thriftReader{b: b}
		p := readPage(&t)
		switch {
		case t.err != nil:
			return fmt.Errorf("a page's header: %w", t.err)
		case p.stored < 0 || p.stored > len(b)-t.i:
			return fmt.Errorf("a page of %d bytes, where %d are left", p.stored, len(b)-t.i)
		case p.size < 0 || p.size > r.pages-t.i:
			return fmt.Errorf("decompressed its pages take more than %d bytes, 64 MiB or %d times the body: send fewer rows at a time", maxDense(r.body), denseRatio)
		}
		r.pages -= p.size + t.i
		raw := b[t.i : t.i+p.stored]
		b = b[t.i+p.stored:]
		var err error
		switch p.kind {
		case parquetDictionaryPage:
			err = r.readDictionary(chunk.codec, &p, raw)
		case parquetDataPage, parquetDataPageV2:
			if p.values < 0 || p.values > left {
				return fmt.Errorf("a page of %d values, where %d are left", p.values, left)
			}
			left -= p.values
			err = r.readData(chunk.codec, &p, raw)
		}
		if err != nil {
			return err
		}
	}
	return r.endRow()
}

// readDictionary reads the values that the chunk's later pages refer to.
func (r *parquetColumn) readDictionary(codec int, p *parquetPage, raw []byte) error {
	if p.encoding != plainEncoding && p.encoding != plainDictionaryEncoding {
		return fmt.Errorf("a dictionary in encoding %d", p.encoding)
	}
	if err := r.take(p.values, elementSize(r.leaf.stored)); err != nil {
		return err
	}
	b, err := r.decompressed(codec, raw, p.size)
	if err != nil {
		return err
	}
	r.dict = makeCells(r.leaf.stored, p.values)
	return r.readPlain(r.dict, b)
}

// readData reads a page of the column's values.
func (r *parquetColumn) readData(codec int, p *parquetPage, raw []byte) error {
	rep, def, b, err := r.split(codec, p, raw)
	if err != nil {
		return err
	}
	n, present := p.values, p.values
	var levels []uint8 // of the page's elements; nil where none is null
	if r.leaf.maxDef > 0 {
		if levels, err = readLevels(&r.def, def, n, r.leaf.maxDef); err != nil {
			return err
		}
	}
	if r.col.list {
		if levels, err = r.readLists(rep, levels, n); err != nil {
			return err
		}
		n = len(levels)
	}
	if levels != nil {
		present = 0
		for _, l := range levels {
			if int(l) == r.leaf.maxDef {
				present++
			}
		}
	}
	dst := r.cells.slice(r.n, r.n+n)
	if err := r.readValues(dst.slice(0, present), p.encoding, b); err != nil {
		return err
	}
	if present < n {
		if err := r.take(n-present, nullOverhead); err != nil {
			return err
		}
		dst.spread(present, levels, uint8(r.leaf.maxDef))
		r.col.nulls = slices.Grow(r.col.nulls, n-present)
		for i, l := range levels {
			if int(l) != r.leaf.maxDef {
				r.col.nulls = append(r.col.nulls, r.n+i)
			}
		}
	}
	r.n += n
	return nil
}

// split cuts a page into its repetition levels, definition levels and values,
// decompressed.
func (r *parquetColumn) split(codec int, p *parquetPage, raw []byte) (rep, def, values []byte, err error) {
	if p.kind == parquetDataPageV2 {
		levels := p.repLevels + p.defLevels
		if p.repLevels < 0 || p.defLevels < 0 || levels > len(raw) || levels > p.size {
			return nil, nil, nil, fmt.Errorf("a page of %d bytes with levels of %d and %d", len(raw), p.repLevels, p.defLevels)
		}
		if !p.compressed {
			codec = uncompressed
		}
		values, err = r.decompressed(codec, raw[levels:], p.size-levels)
		return raw[:p.repLevels], raw[p.repLevels:levels], values, err
	}
	if values, err = r.decompressed(codec, raw, p.size); err != nil {
		return nil, nil, nil, err
	}
	if r.col.list {
		if p.repEncoding != rleEncoding {
			return nil, nil, nil, fmt.Errorf("repetition levels in encoding %d", p.repEncoding)
		}
		if rep, values, err = prefixed(values); err != nil {
			return nil, nil, nil, err
		}
	}
	if r.leaf.maxDef > 0 {
		if p.defEncoding != rleEncoding {
			return nil, nil, nil, fmt.Errorf("definition levels in encoding %d", p.defEncoding)
		}
		def, values, err = prefixed(values)
	}
	return rep, def, values, err
}

// prefixed cuts off what has its length in front.
func prefixed(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errCutOff
	}
	n, rest := binary.LittleEndian.Uint32(b), b[4:]
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, errCutOff
	}
	return rest[:n], rest[n:], nil
}

// decompressed returns a page's size bytes, which are valid until the next
// call.
func (r *parquetColumn) decompressed(codec int, raw []byte, size int) ([]byte, error) {
	if codec == uncompressed {
		if len(raw) != size {
			return nil, fmt.Errorf("a page of %d bytes that is not compressed has %d", size, len(raw))
		}
		return raw, nil
	}
	if size == 0 {
		return nil, nil
	}
	if err := plausible(codec, raw, size); err != nil {
		return nil, err
	}
	r.page = slices.Grow(r.page[:0], size)[:size]
	return r.page, r.decompress(codec, r.page, raw)
}

// readLevels reads the levels of n values, in scratch; nil where all are max.
func readLevels(scratch *[]uint8, b []byte, n, max int) ([]uint8, error) {
	h := hybrid{b: b, width: bits.Len(uint(max))}
	if h.only(uint32(max), n) {
		return nil, nil
	}
	levels := slices.Grow((*scratch)[:0], n)[:n]
	*scratch = levels
	if err := readHybrid(&h, levels); err != nil {
		return nil, err
	}
	for _, l := range levels {
		if int(l) > max {
			return nil, fmt.Errorf("a level of %d, where at most %d is possible", l, max)
		}
	}
	return levels, nil
}

// readLists cuts n values into rows by their levels (def is nil where they are
// all the maximum) and returns the definition levels of those that are a
// list's elements.
func (r *parquetColumn) readLists(rep []byte, def []uint8, n int) ([]uint8, error) {
	levels := slices.Grow(r.rep[:0], n)[:n]
	r.rep = levels
	if err := readHybrid(&hybrid{b: rep, width: 1}, levels); err != nil {
		return nil, err
	}
	if def == nil {
		def = slices.Grow(r.def[:0], n)[:n]
		r.def = def
		for i := range def {
			def[i] = uint8(r.leaf.maxDef)
		}
	}
	elements := def[:0]
	for i, d := range def {
		if levels[i] == 0 {
			if err := r.endRow(); err != nil {
				return nil, err
			}
			r.started = true
			r.rows++
			r.count = 0
		}
		switch {
		case int(d) >= r.leaf.listDef && r.started:
			r.count++
			elements = append(elements, d)
		case levels[i] != 0:
			return nil, errors.New("a row goes on that has not begun")
		case int(d) < r.leaf.listDef-1:
			return nil, fmt.Errorf("row %d is null, and a list is wanted", r.rows-1)
		}
	}
	return elements, nil
}

// endRow holds the row that was begun last against those before it.
func (r *parquetColumn) endRow() error {
	switch {
	case r.rows == 0:
	case r.col.width < 0:
		r.col.width = r.count
	case r.col.list && r.col.width != r.count:
		return fmt.Errorf("row %d has %d elements and those before it %d: all lists must have the same length", r.rows-1, r.count, r.col.width)
	}
	return nil
}
