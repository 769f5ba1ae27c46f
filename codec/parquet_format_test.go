package codec

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/claryhq/clary/runtime"
)

// A testFile is a Parquet file with one row group, whose every part can be
// wrong. Its zero value has the column x of required floats 1, 2, 3.
type testFile struct {
	nodes     []parquetNode // below the root
	children  int           // the root's
	rows      int
	groupRows int
	values    int
	codec     int
	pages     []byte
	size      int    // of the pages
	elsewhere string // the file that they are in
	more      func(t *thriftWriter)
}

func floatNode(repetition int) parquetNode {
	return parquetNode{name: "x", physical: parquetFloat, repetition: repetition}
}

func (f testFile) bytes() []byte {
	if f.nodes == nil {
		f.nodes = []parquetNode{floatNode(parquetRequired)}
	}
	if f.children == 0 {
		f.children = 1
	}
	if f.rows == 0 {
		f.rows = 3
	}
	if f.groupRows == 0 {
		f.groupRows = f.rows
	}
	if f.values == 0 {
		f.values = f.rows
	}
	if f.pages == nil {
		f.pages = testPage(parquetDataPage, f.values, plainEncoding, runtime.Bytes([]float32{1, 2, 3}))
	}
	if f.size == 0 {
		f.size = len(f.pages)
	}
	file := append([]byte("PAR1"), f.pages...)
	t := thriftWriter{}
	t.structure(0, func() {
		t.i32(1, 1)
		t.list(2, len(f.nodes)+1, thriftStruct)
		t.structure(0, func() {
			t.string(4, "root")
			t.i32(5, f.children)
		})
		for _, n := range f.nodes {
			t.structure(0, func() {
				if n.physical >= 0 {
					t.i32(1, n.physical)
				}
				t.i32(3, n.repetition)
				t.string(4, n.name)
				if n.children > 0 {
					t.i32(5, n.children)
				}
				if n.logical == logicalList {
					t.i32(6, 3)
				}
			})
		}
		t.i64(3, f.rows)
		t.list(4, 1, thriftStruct)
		t.structure(0, func() {
			t.list(1, 1, thriftStruct)
			t.structure(0, func() {
				if f.elsewhere != "" {
					t.string(1, f.elsewhere)
				}
				t.structure(3, func() {
					t.i32(4, f.codec)
					t.i64(5, f.values)
					t.i64(7, f.size)
					t.i64(9, 4)
				})
			})
			t.i64(3, f.groupRows)
		})
		if f.more != nil {
			f.more(&t)
		}
	})
	file = append(file, t.b...)
	return append(binary.LittleEndian.AppendUint32(file, uint32(len(t.b))), "PAR1"...)
}

func testPage(kind, values, encoding int, body []byte) []byte {
	return compressedPage(kind, values, encoding, len(body), body)
}

func compressedPage(kind, values, encoding, size int, body []byte) []byte {
	t := thriftWriter{}
	t.structure(0, func() {
		t.i32(1, kind)
		t.i32(2, size)
		t.i32(3, len(body))
		id := 5
		if kind == parquetDictionaryPage {
			id = 7
		}
		t.structure(id, func() {
			t.i32(1, values)
			t.i32(2, encoding)
			t.i32(3, rleEncoding)
			t.i32(4, rleEncoding)
		})
	})
	return append(t.b, body...)
}

// pageV2 is a page of three floats that says how many bytes each of its levels
// take.
func pageV2(levels int) []byte {
	t := thriftWriter{}
	t.structure(0, func() {
		t.i32(1, parquetDataPageV2)
		t.i32(2, 12)
		t.i32(3, 12)
		t.structure(8, func() {
			t.i32(1, 3)
			t.i32(4, plainEncoding)
			t.i32(5, levels)
			t.i32(6, levels)
		})
	})
	return append(t.b, make([]byte, 12)...)
}

// levels are values of one bit or two in the hybrid encoding, with their
// length in front.
func levels(width int, values ...byte) []byte {
	groups := (len(values) + 7) / 8
	packed := make([]byte, groups*width)
	for i, v := range values {
		for bit := range width {
			at := i*width + bit
			packed[at/8] |= v >> bit & 1 << (at % 8)
		}
	}
	run := append(binary.AppendUvarint(nil, uint64(groups)<<1|1), packed...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(run))), run...)
}

func concatBytes(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestListsOfOlderWritersAreRead(t *testing.T) {
	group := func(repetition, logical int) parquetNode {
		return parquetNode{name: "x", physical: -1, repetition: repetition, children: 1, parquetLogical: parquetLogical{logical: logical}}
	}
	rep := levels(1, 0, 1, 0, 1)
	four := runtime.Bytes([]float32{1, 2, 3, 4})
	for name, f := range map[string]testFile{
		"a bare repeated value":     {nodes: []parquetNode{floatNode(parquetRepeated)}, pages: testPage(0, 4, plainEncoding, concatBytes(rep, levels(1, 1, 1, 1, 1), four))},
		"two levels":                {nodes: []parquetNode{group(parquetRequired, logicalList), floatNode(parquetRepeated)}, pages: testPage(0, 4, plainEncoding, concatBytes(rep, levels(1, 1, 1, 1, 1), four))},
		"two levels, optional":      {nodes: []parquetNode{group(parquetOptional, logicalList), floatNode(parquetRepeated)}, pages: testPage(0, 4, plainEncoding, concatBytes(rep, levels(2, 2, 2, 2, 2), four))},
		"three, elements required":  {nodes: []parquetNode{group(parquetOptional, logicalList), group(parquetRepeated, 0), floatNode(parquetRequired)}, pages: testPage(0, 4, plainEncoding, concatBytes(rep, levels(2, 2, 2, 2, 2), four))},
		"a row in two pages":        {nodes: []parquetNode{floatNode(parquetRepeated)}, pages: concatBytes(testPage(0, 3, plainEncoding, concatBytes(levels(1, 0, 1, 0), levels(1, 1, 1, 1), four[:12])), testPage(0, 1, plainEncoding, concatBytes(levels(1, 1), levels(1, 1), four[12:])))},
		"a page of unknown purpose": {nodes: []parquetNode{floatNode(parquetRepeated)}, pages: concatBytes(testPage(1, 0, 0, []byte("index")), testPage(9, 0, 0, nil), testPage(0, 4, plainEncoding, concatBytes(rep, levels(1, 1, 1, 1, 1), four)))},
	} {
		f.rows, f.values = 2, 4
		f.children = 1
		in, err := Parquet{}.Decode(f.bytes(), &Request{})
		if err != nil || !reflect.DeepEqual(in, []runtime.Tensor{{Name: "x", Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}}}) {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
}

func TestWrongPartsOfAParquetFileAreNamed(t *testing.T) {
	repeated := []parquetNode{floatNode(parquetRepeated)}
	optional := []parquetNode{floatNode(parquetOptional)}
	text := []parquetNode{{name: "x", physical: parquetByteArray}}
	ints := []parquetNode{{name: "x", physical: parquetInt32}}
	three := runtime.Bytes([]float32{1, 2, 3})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(make([]byte, 100))
	z.Close()
	deep := func(t *thriftWriter) {
		t.field(99, thriftStruct)
		t.b = append(t.b, bytes.Repeat([]byte{1<<4 | thriftStruct}, 100)...)
		t.b = append(t.b, make([]byte, 101)...)
	}
	for name, c := range map[string]struct {
		f   testFile
		err string
	}{
		"its pages in another file":      {testFile{elsewhere: "part-2.parquet"}, "its pages are not within the file"},
		"its pages beyond the end":       {testFile{size: 1 << 40}, "its pages are not within the file"},
		"pages that are cut off":         {testFile{size: 5}, "a page's header"},
		"fewer rows in the group":        {testFile{groupRows: 2}, "the footer says 3 rows, and the row groups have 2"},
		"more rows in the group":         {testFile{groupRows: 4}, "row group 0: 4 rows, and the file has 3 in all"},
		"fewer values":                   {testFile{values: 2}, "row group 0: 2 values for 3 rows"},
		"as many rows as it may claim":   {testFile{rows: 1 << 40}, "64 MiB or 20 times the body"},
		"negative rows":                  {testFile{rows: -1}, "does not say how many rows"},
		"an encrypted file":              {testFile{more: func(t *thriftWriter) { t.structure(8, func() {}) }}, "the file is encrypted"},
		"structures that nest":           {testFile{more: deep}, "the metadata is malformed or cut off"},
		"a list of 2^40 elements":        {testFile{more: func(t *thriftWriter) { t.list(99, 1<<40, thriftI32) }}, "the metadata is malformed or cut off"},
		"a map of 2^40 elements":         {testFile{more: func(t *thriftWriter) { t.field(99, thriftMap); t.b = binary.AppendUvarint(t.b, 1<<40) }}, "the metadata is malformed or cut off"},
		"a field of no kind":             {testFile{more: func(t *thriftWriter) { t.field(99, 15) }}, "the metadata is malformed or cut off"},
		"no schema":                      {testFile{nodes: []parquetNode{}, children: 1}, "the schema is malformed"},
		"a group without children":       {testFile{nodes: []parquetNode{{name: "x", physical: -1}}}, "row group 0: 1 columns, and the schema has 0"},
		"a group that is no list":        {testFile{nodes: []parquetNode{{name: "x", physical: -1, children: 1}, floatNode(0)}}, "it is a struct"},
		"a type that there is not":       {testFile{nodes: []parquetNode{{name: "x", physical: 8}}}, "it is of physical type 8"},
		"a page larger than the rest":    {testFile{pages: append(testPage(0, 3, plainEncoding, three)[:10:10], 0)}, "a page"},
		"a page of other size":           {testFile{pages: compressedPage(0, 3, plainEncoding, 11, three)}, "a page of 11 bytes that is not compressed has 12"},
		"a page of 2 GB":                 {testFile{codec: codecZstd, pages: compressedPage(0, 3, plainEncoding, 1<<31-1, three)}, "64 MiB or 20 times the body"},
		"a page of more values":          {testFile{pages: testPage(0, 4, plainEncoding, make([]byte, 16))}, "a page of 4 values, where 3 are left"},
		"a page of fewer bytes":          {testFile{pages: testPage(0, 3, plainEncoding, three[:8])}, "a page is cut off"},
		"an encoding that there is not":  {testFile{pages: testPage(0, 3, 77, three)}, "float32 values in encoding 77"},
		"deltas of floats":               {testFile{pages: testPage(0, 3, deltaEncoding, three)}, "float32 values in encoding 5"},
		"a codec that there is not":      {testFile{codec: 77}, "compression codec 77 is not read"},
		"an LZ4 of Hadoop":               {testFile{codec: 5}, "LZ4_RAW replaces"},
		"a Snappy of another size":       {testFile{codec: codecSnappy, pages: compressedPage(0, 3, plainEncoding, 12, s2.EncodeSnappy(nil, make([]byte, 16)))}, "cannot come from"},
		"a gzip of more":                 {testFile{codec: codecGzip, pages: compressedPage(0, 3, plainEncoding, 12, zipped.Bytes())}, "more data than is declared"},
		"a gzip of less":                 {testFile{codec: codecGzip, pages: compressedPage(0, 3, plainEncoding, 120, zipped.Bytes())}, "EOF"},
		"a gzip that cannot be":          {testFile{codec: codecGzip, pages: compressedPage(0, 3, plainEncoding, 1<<20, zipped.Bytes())}, "cannot come from"},
		"an LZ4 that cannot be":          {testFile{codec: codecLZ4, pages: compressedPage(0, 3, plainEncoding, 1<<20, three)}, "cannot come from"},
		"an LZ4 of less":                 {testFile{codec: codecLZ4, pages: compressedPage(0, 3, plainEncoding, 12, []byte{0x10, 1})}, "LZ4: it is malformed"},
		"an LZ4 that looks back":         {testFile{codec: codecLZ4, pages: compressedPage(0, 3, plainEncoding, 12, []byte{0x10, 1, 2, 0, 0})}, "LZ4: it is malformed"},
		"a Zstandard of nothing":         {testFile{codec: codecZstd, pages: compressedPage(0, 3, plainEncoding, 12, []byte{})}, "zstd: 0 bytes where 12 are declared"},
		"levels beyond the page":         {testFile{nodes: optional, pages: testPage(0, 3, plainEncoding, []byte{9, 0, 0, 0})}, "a page is cut off"},
		"a level that there is not":      {testFile{nodes: []parquetNode{{name: "x", physical: -1, repetition: parquetOptional, children: 1, parquetLogical: parquetLogical{logical: logicalList}}, floatNode(parquetRepeated)}, pages: testPage(0, 3, plainEncoding, concatBytes(levels(1, 0, 0, 0), levels(2, 3, 3, 3), three))}, "a level of 3, where at most 2"},
		"a row that has not begun":       {testFile{nodes: repeated, pages: testPage(0, 3, plainEncoding, concatBytes(levels(1, 1, 0, 0), levels(1, 1, 1, 1), three))}, "a row goes on that has not begun"},
		"lists of other lengths":         {testFile{nodes: repeated, rows: 2, values: 3, pages: testPage(0, 3, plainEncoding, concatBytes(levels(1, 0, 1, 0), levels(1, 1, 1, 1), three))}, "row 1 has 1 elements and those before it 2"},
		"fewer lists than rows":          {testFile{nodes: repeated, values: 2, pages: testPage(0, 2, plainEncoding, concatBytes(levels(1, 0, 0), levels(1, 1, 1), three))}, "2 lists for 3 rows"},
		"no dictionary":                  {testFile{pages: testPage(0, 3, dictionaryEncoding, []byte{1, 3, 0})}, "index 0 into a dictionary of 0 values"},
		"an index beyond the dictionary": {testFile{pages: concatBytes(testPage(2, 1, plainEncoding, three), testPage(0, 3, dictionaryEncoding, []byte{8, 6, 1}))}, "index 1 into a dictionary of 1 values"},
		"indices of 33 bits":             {testFile{pages: concatBytes(testPage(2, 1, plainEncoding, three), testPage(0, 3, dictionaryEncoding, []byte{33, 6, 0, 0, 0, 0, 0}))}, "a page is cut off"},
		"a run of no bits and no end":    {testFile{pages: concatBytes(testPage(2, 1, plainEncoding, three), testPage(0, 3, dictionaryEncoding, []byte{0, 0}))}, "a page is cut off"},
		"a dictionary in a dictionary":   {testFile{pages: testPage(2, 1, dictionaryEncoding, three)}, "a dictionary in encoding 8"},
		"a dictionary of 2^31 values":    {testFile{pages: testPage(2, 1<<31-1, plainEncoding, three)}, "64 MiB or 20 times the body"},
		"text longer than its page":      {testFile{nodes: text, pages: testPage(0, 3, plainEncoding, []byte{9, 0, 0, 0, 'a'})}, "a page is cut off"},
		"deltas of another count":        {testFile{nodes: ints, pages: testPage(0, 3, deltaEncoding, []byte{0x80, 1, 4, 2, 0})}, "a page is cut off"},
		"levels of 2^62 bytes":           {testFile{nodes: optional, pages: pageV2(1 << 62)}, "a page's header"},
		"levels of 2 GB":                 {testFile{nodes: optional, pages: pageV2(1<<31 - 1)}, "a page of 12 bytes with levels of 2147483647 and 2147483647"},
		"delta blocks in 2^61":           {testFile{nodes: ints, pages: testPage(0, 3, deltaEncoding, append([]byte{0x80, 1}, append(binary.AppendUvarint(nil, 1<<61), 3, 0)...))}, "delta blocks of 128 values in 2305843009213693952"},
		"delta blocks of nothing":        {testFile{nodes: ints, pages: testPage(0, 3, deltaEncoding, []byte{0, 4, 3, 0})}, "delta blocks of 0 values in 4"},
		"deltas of 65 bits":              {testFile{nodes: ints, pages: testPage(0, 3, deltaEncoding, []byte{0x80, 1, 4, 3, 0, 0, 65, 0, 0, 0})}, "a page is cut off"},
		"lengths beyond the text":        {testFile{nodes: text, pages: testPage(0, 3, deltaLengthEncoding, []byte{0x80, 1, 4, 3, 10, 0, 0, 0, 0, 0})}, "a page is cut off"},
		"a prefix longer than the text":  {testFile{nodes: text, pages: testPage(0, 3, deltaBytesEncoding, []byte{0x80, 1, 4, 3, 2, 0, 0, 0, 0, 0, 0x80, 1, 4, 3, 0, 0, 0, 0, 0, 0})}, "a page is cut off"},
		"prefixes of 4 GB":               {testFile{nodes: text, pages: testPage(0, 3, deltaBytesEncoding, []byte{0x80, 1, 4, 3, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0x80, 1, 4, 3, 0, 0, 0, 0, 0, 0})}, "64 MiB or 20 times the body"},
	} {
		in, err := Parquet{}.Decode(c.f.bytes(), &Request{})
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want an error with %q", name, in, err, c.err)
		}
	}
	if in, err := (Parquet{}).Decode(testFile{}.bytes(), &Request{}); err != nil || !reflect.DeepEqual(in[0].Data, []float32{1, 2, 3}) {
		t.Errorf("the file that none of that is done to: %v, %v", in, err)
	}
}

func TestLZ4FramesAreHeldToTheirSize(t *testing.T) {
	frame := func(flags byte, rest ...byte) []byte {
		return append([]byte{0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0}, rest...)
	}
	block := []byte{5, 0, 0, 0x80, 'h', 'e', 'l', 'l', 'o'}
	block[3] = 0x80
	end := []byte{0, 0, 0, 0}
	var dst [5]byte
	for name, c := range map[string]struct {
		src []byte
		ok  bool
	}{
		"a block as it is":              {frame(0x40, concatBytes(block, end)...), true},
		"with its size and checksums":   {append([]byte{0x04, 0x22, 0x4d, 0x18, 0x5c, 0x40, 5, 0, 0, 0, 0, 0, 0, 0, 0}, concatBytes(block, []byte{1, 2, 3, 4}, end, []byte{1, 2, 3, 4})...), true},
		"no end":                        {frame(0x40, block...), false},
		"a block that is cut off":       {frame(0x40, block[:7]...), false},
		"more than is declared":         {frame(0x40, concatBytes(block, block, end)...), false},
		"less":                          {frame(0x40, end...), false},
		"a checksum that is not there":  {frame(0x50, block...), false},
		"a size that is not there":      {frame(0x48), false},
		"a dictionary":                  {frame(0x41, concatBytes(block, end)...), false},
		"another version":               {frame(0x80, concatBytes(block, end)...), false},
		"another magic":                 {concatBytes([]byte{1}, frame(0x40, concatBytes(block, end)...)[1:]), false},
		"a compressed block of nothing": {frame(0x40, 1, 0, 0, 0, 0xf0), false},
		"nothing":                       {nil, false},
	} {
		clear(dst[:])
		if err := lz4Frame(dst[:], c.src); (err == nil) != c.ok || c.ok && string(dst[:]) != "hello" {
			t.Errorf("%s: %v, %q", name, err, dst)
		}
	}
}
