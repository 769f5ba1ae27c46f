package transform

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A Split is how an object is cut into records.
type Split int

// The ways of SageMaker's SplitType.
const (
	SplitNone Split = iota // the object is one record
	SplitLine
	SplitRecordIO
	SplitTFRecord
)

// ParseSplit reads SageMaker's name of a Split.
func ParseSplit(s string) (Split, error) {
	for i, name := range []string{"None", "Line", "RecordIO", "TFRecord"} {
		if name == s {
			return Split(i), nil
		}
	}
	return 0, fmt.Errorf("%q: want None, Line, RecordIO or TFRecord", s)
}

// records cuts a stream. What next returns is valid until it is called again.
type records struct {
	split Split
	r     *bufio.Reader
	limit int
	buf   []byte
	at    int64 // bytes of the stream before the next record
	count int64 // records before the next one
}

func newRecords(r io.Reader, split Split, limit int) *records {
	return &records{split: split, r: bufio.NewReaderSize(r, 256<<10), limit: limit}
}

// next returns a record with its framing, and its content without it; io.EOF
// when there are no more. A line keeps its newline; lines without anything on
// them are no records.
func (s *records) next() (framed, content []byte, err error) {
	s.buf = s.buf[:0]
	switch s.split {
	case SplitNone:
		err = s.whole()
		framed, content = s.buf, s.buf
	case SplitLine:
		err = s.line()
		framed, content = s.buf, s.buf
	case SplitRecordIO:
		content, err = s.recordIO()
		framed = s.buf
	case SplitTFRecord:
		content, err = s.tfRecord()
		framed = s.buf
	}
	if err != nil && err != io.EOF {
		return nil, nil, fmt.Errorf("record %d, at byte %d: %w", s.count+1, s.at, err)
	}
	if err == nil {
		s.at += int64(len(s.buf))
		s.count++
	}
	return framed, content, err
}

func (s *records) tooLarge() error {
	return fmt.Errorf("it is larger than a request may be, %d bytes: raise --max-payload-mb", s.limit)
}

func (s *records) whole() error {
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(s.r, int64(s.limit)+1))
	s.buf = b.Bytes()
	switch {
	case err != nil:
		return err
	case len(s.buf) > s.limit:
		return s.tooLarge()
	case len(s.buf) == 0:
		return io.EOF
	}
	return nil
}

func (s *records) line() error {
	for {
		part, err := s.r.ReadSlice('\n')
		s.buf = append(s.buf, part...)
		if len(s.buf) > s.limit {
			return s.tooLarge()
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (err != io.EOF || len(s.buf) == 0) {
			return err
		}
		if len(bytes.TrimRight(s.buf, "\r\n")) > 0 {
			return nil
		}
		s.at += int64(len(s.buf))
		s.buf = s.buf[:0]
		if err == io.EOF {
			return err
		}
	}
}

// take reads n bytes more.
func (s *records) take(n int) ([]byte, error) {
	begin := len(s.buf)
	if begin+n > s.limit {
		return nil, s.tooLarge()
	}
	s.buf = append(s.buf, make([]byte, n)...)
	got, err := io.ReadFull(s.r, s.buf[begin:])
	if err == io.EOF && begin > 0 || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("the object ends in the middle of it (%d of %d bytes)", got, n)
	}
	return s.buf[begin:], err
}

// recordMagic begins every part of a RecordIO record.
const recordMagic = 0xced7230a

// recordIO reads the parts of one record: a length whose upper three bits say
// whether it is whole (0), begins (1), goes on (2) or ends (3) one.
func (s *records) recordIO() (content []byte, err error) {
	for {
		begin := len(s.buf)
		head, err := s.take(8)
		if err != nil {
			return nil, err
		}
		if magic := binary.LittleEndian.Uint32(head); magic != recordMagic {
			return nil, fmt.Errorf("it begins with %#08x, and RecordIO with %#08x", magic, uint32(recordMagic))
		}
		word := binary.LittleEndian.Uint32(head[4:])
		part, n := word>>29, int(word&(1<<29-1))
		if first := begin == 0; part > 3 || first != (part == 0 || part == 1) {
			return nil, fmt.Errorf("a part of kind %d is out of order", part)
		}
		data, err := s.take((n + 3) &^ 3)
		if err != nil {
			return nil, err
		}
		switch part {
		case 0:
			return data[:n], nil
		case 2, 3: // the magic stood where the record was cut
			content = binary.LittleEndian.AppendUint32(content, recordMagic)
		}
		if content = append(content, data[:n]...); part == 3 {
			return content, nil
		}
	}
}

// tfRecord reads a length, its checksum, data and their checksum.
func (s *records) tfRecord() ([]byte, error) {
	head, err := s.take(12)
	if err != nil {
		return nil, err
	}
	if !vouched(head) {
		return nil, errors.New("it is no TFRecord: the checksum of its length is another")
	}
	n := binary.LittleEndian.Uint64(head)
	if n > uint64(s.limit) {
		return nil, s.tooLarge()
	}
	data, err := s.take(int(n) + 4)
	if err != nil {
		return nil, err
	}
	if !vouched(data) {
		return nil, errors.New("it is damaged: the checksum of its data is another")
	}
	return data[:n], nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// vouched reports whether the last four bytes are TFRecord's checksum of those
// before them.
func vouched(b []byte) bool {
	data, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	crc := crc32.Checksum(data, castagnoli)
	return sum == (crc>>15|crc<<17)+0xa282ead8
}
