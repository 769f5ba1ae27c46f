package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// Arrow is application/vnd.apache.arrow.stream: Arrow's streaming format, a
// schema and record batches of it.
//
// Columns go to the inputs as [Parquet] says, nulls included. Values are
// bools, integers, floats, strings in any of Arrow's layouts, dictionaries of
// them, and lists of one length for all rows, of a fixed size or not. Dates,
// times, decimals and nested types are refused, and so is the file format.
//
// Buffers may be compressed by LZ4 or Zstandard. What a body may become is
// bounded as Parquet's is. The result may share the body's memory.
//
// It is read and never written: Encode returns ErrNotAcceptable.
type Arrow struct{}

// MediaTypes returns application/vnd.apache.arrow.stream.
func (Arrow) MediaTypes() []string { return arrowTypes }

var arrowTypes = []string{"application/vnd.apache.arrow.stream"}

func (Arrow) readsOnly() {}

// Encode implements [Codec].
func (Arrow) Encode([]byte, []runtime.Tensor, *Reply) ([]byte, error) {
	return nil, fmt.Errorf("%w: application/vnd.apache.arrow.stream is read and not written; accept application/x-parquet", ErrNotAcceptable)
}

// Decode implements [Codec].
func (Arrow) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	if bytes.HasPrefix(body, []byte("ARROW1")) {
		return nil, errorf("Arrow", "", "this is a file (Feather); send the streaming format, which pyarrow.ipc.new_stream writes")
	}
	s := arrowStream{table: newTable("Arrow", len(body)), rest: body, buffers: maxDense(len(body))}
	if err := s.readSchema(); err != nil {
		return nil, err
	}
	for _, c := range s.used(r.Want) {
		if s.columns[c].refused == "" {
			s.fields[c].used = true
		} else {
			return nil, s.inColumn(&s.columns[c], s.load(c, runtime.Undefined))
		}
	}
	if err := s.readBatches(); err != nil {
		return nil, err
	}
	tensors, err := s.tensors(r.Want)
	if err != nil {
		return nil, err
	}
	r.Found.Dialect = Rows
	return tensors, nil
}

// An arrowStream is a stream that is being read.
type arrowStream struct {
	*table
	rest         []byte
	message      int // its number, from 0
	buffers      int // bytes that buffers may still take decompressed
	fields       []arrowField
	encoded      map[int]*arrowField // by dictionary, those that the model uses
	dictionaries map[int]*arrowEntries
	decompressor
}

// The kinds of message.
const (
	arrowSchema     = 1
	arrowDictionary = 2
	arrowBatchKind  = 3
)

var errArrow = errors.New("the metadata is malformed")

// fail says in which message err was found.
func (s *arrowStream) fail(err error) error {
	return errorf("Arrow", fmt.Sprintf("message %d", s.message), "%s", err)
}

// next reads a message: its header, of a kind, and its body. At the end of the
// stream ok is false.
func (s *arrowStream) next() (kind int, header flatTable, body []byte, ok bool, err error) {
	b := s.rest
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) == 0xFFFFFFFF {
		b = b[4:] // before version 0.15 messages began without
	}
	if len(s.rest) == 0 {
		return 0, header, nil, false, nil
	}
	if len(b) < 4 {
		return 0, header, nil, false, errors.New("it is cut off")
	}
	size := binary.LittleEndian.Uint32(b)
	if b = b[4:]; size == 0 {
		return 0, header, nil, false, nil
	}
	if uint64(size) > uint64(len(b)) {
		return 0, header, nil, false, fmt.Errorf("it is no Arrow stream, or cut off: metadata of %d bytes, where %d are left", size, len(b))
	}
	f := &flatBuffer{b: b[:size]}
	b = b[size:]
	message := f.table(f.deref(0))
	kind = int(uint8(message.int(1, 1)))
	header, _ = message.table(2)
	length := message.int(3, 8)
	switch {
	case f.bad:
		return 0, header, nil, false, errArrow
	case length < 0 || length > len(b):
		return 0, header, nil, false, fmt.Errorf("it is cut off: a body of %d bytes, where %d are left", length, len(b))
	}
	s.rest = b[length:]
	return kind, header, b[:length], true, nil
}

// readBatches reads all that follows the schema.
func (s *arrowStream) readBatches() error {
	s.read = func(int, runtime.DType) error { return nil }
	s.encoded, s.dictionaries = make(map[int]*arrowField), make(map[int]*arrowEntries)
	for i := range s.fields {
		f := &s.fields[i]
		if !f.used {
			continue
		}
		s.columns[i].data = runtime.Make(f.dtype, 0)
		if f.child != nil {
			f = f.child
		}
		if f.encoded {
			s.encoded[f.dictionary] = f
		}
	}
	for {
		s.message++
		kind, header, body, ok, err := s.next()
		if err != nil {
			return s.fail(err)
		}
		if !ok {
			return nil
		}
		switch kind {
		case arrowDictionary:
			err = s.readDictionary(header, body)
		case arrowBatchKind:
			err = s.readBatch(header, body)
		default:
			err = fmt.Errorf("a message of kind %d, where a record batch is wanted", kind)
		}
		if err != nil {
			return s.fail(err)
		}
	}
}

// readBatch appends a record batch to the columns.
func (s *arrowStream) readBatch(header flatTable, body []byte) error {
	b, err := s.batch(header, body)
	if err != nil {
		return err
	}
	for i := range s.fields {
		f, c := &s.fields[i], &s.columns[i]
		if !f.used {
			if err := b.skip(f); err != nil {
				return fmt.Errorf("column %s: %w", quote(c.name), err)
			}
			continue
		}
		v, err := b.values(f, b.rows)
		if err == nil {
			err = c.append(v, s.rows, b.rows)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", quote(c.name), err)
		}
	}
	s.rows += b.rows
	return nil
}

// append appends the values of the next rows to those of the rows before.
func (c *column) append(v arrowValues, before, rows int) error {
	switch {
	case rows == 0: // which do not say how long lists are
		return nil
	case before == 0:
		c.data, c.nulls, c.width = v.data, v.nulls, v.width
		return nil
	case v.width != c.width:
		return fmt.Errorf("row %d has %d elements and those before it %d: all lists must have the same length", before, v.width, c.width)
	}
	for _, i := range v.nulls {
		c.nulls = append(c.nulls, before*c.width+i)
	}
	c.data = concat(c.data, v.data)
	return nil
}
