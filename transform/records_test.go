package transform

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

func all(t testing.TB, split Split, limit int, text string) (framed, content []string, err error) {
	s := newRecords(strings.NewReader(text), split, limit)
	for {
		f, c, err := s.next()
		if err == io.EOF {
			if n := int64(len(text)); s.at != n && split != SplitLine {
				t.Fatalf("%d bytes counted of %d", s.at, n)
			}
			return framed, content, nil
		}
		if err != nil {
			return framed, content, err
		}
		framed, content = append(framed, string(f)), append(content, string(c))
	}
}

// part is one of a RecordIO record.
func recordPart(kind uint32, data string) string {
	b := binary.LittleEndian.AppendUint32(nil, recordMagic)
	b = binary.LittleEndian.AppendUint32(b, kind<<29|uint32(len(data)))
	b = append(b, data...)
	return string(append(b, make([]byte, -len(data)&3)...))
}

func tfRecord(data string) string {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = append(append(checked(b), data...), checked([]byte(data))[len(data):]...)
	return string(b)
}

// checked appends TFRecord's checksum.
func checked(b []byte) []byte {
	crc := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return binary.LittleEndian.AppendUint32(b, (crc>>15|crc<<17)+0xa282ead8)
}

func TestRecords(t *testing.T) {
	magic := string(binary.LittleEndian.AppendUint32(nil, recordMagic))
	for name, c := range map[string]struct {
		split Split
		text  string
		want  []string
		fails string
	}{
		"nothing":          {SplitNone, "", nil, ""},
		"whole":            {SplitNone, "a\nb", []string{"a\nb"}, ""},
		"whole, too large": {SplitNone, strings.Repeat("x", 101), nil, "record 1, at byte 0: it is larger than a request may be, 100 bytes"},
		"lines":            {SplitLine, "a\nb\n", []string{"a\n", "b\n"}, ""},
		"no last newline":  {SplitLine, "a\r\nb", []string{"a\r\n", "b"}, ""},
		"blank lines":      {SplitLine, "\n\r\na\n\nb\n\n", []string{"a\n", "b\n"}, ""},
		"quoted newline":   {SplitLine, "\"a\nb\",1\n", []string{"\"a\n", "b\",1\n"}, ""},
		"line too large":   {SplitLine, "a\n" + strings.Repeat("x", 101), []string{"a\n"}, "record 2, at byte 2: it is larger"},
		"recordio":         {SplitRecordIO, recordPart(0, "abcde") + recordPart(0, ""), []string{"abcde", ""}, ""},
		"recordio, parts":  {SplitRecordIO, recordPart(1, "ab") + recordPart(2, "c") + recordPart(3, "d"), []string{"ab" + magic + "c" + magic + "d"}, ""},
		"recordio, order":  {SplitRecordIO, recordPart(2, "ab"), nil, "out of order"},
		"recordio, cut":    {SplitRecordIO, recordPart(0, "abcde")[:10], nil, "ends in the middle"},
		"recordio, other":  {SplitRecordIO, "12345678", nil, "and RecordIO with"},
		"recordio, large":  {SplitRecordIO, recordPart(0, strings.Repeat("x", 101)), nil, "larger"},
		"tfrecord":         {SplitTFRecord, tfRecord("abc") + tfRecord(""), []string{"abc", ""}, ""},
		"tfrecord, cut":    {SplitTFRecord, tfRecord("abc")[:16], nil, "ends in the middle"},
		"tfrecord, large":  {SplitTFRecord, string(checked([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))), nil, "larger"},
		"tfrecord, other":  {SplitTFRecord, "5.1,3.5,1.4,0.2\n", nil, "it is no TFRecord"},
		"tfrecord, bad":    {SplitTFRecord, tfRecord("abc") + strings.Replace(tfRecord("abc"), "abc", "abd", 1), []string{"abc"}, "record 2, at byte 19: it is damaged"},
	} {
		framed, content, err := all(t, c.split, 100, c.text)
		if strings.Join(content, "|") != strings.Join(c.want, "|") || len(content) != len(c.want) {
			t.Errorf("%s: %q, want %q", name, content, c.want)
		}
		if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, want %q", name, err, c.fails)
		}
		if err == nil && c.split != SplitLine && strings.Join(framed, "") != c.text {
			t.Errorf("%s: framed it is %q", name, framed)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(byte(1), []byte("a\nb"))
	f.Add(byte(2), []byte(recordPart(0, "abc")))
	f.Add(byte(3), []byte(tfRecord("abc")))
	f.Fuzz(func(t *testing.T, split byte, text []byte) {
		framed, _, err := all(t, Split(split%4), 1000, string(text))
		joined := strings.Join(framed, "")
		if split%4 != byte(SplitLine) && !bytes.HasPrefix(text, []byte(joined)) || err == nil && len(joined) > len(text) {
			t.Errorf("%q became %q", text, framed)
		}
	})
}
