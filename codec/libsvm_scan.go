package codec

import (
	"bytes"
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// A libSVMScanner reads lines into sparse rows.
type libSVMScanner struct {
	sparseRows
	b          []byte
	base       int // the index of the first column
	missingNaN bool
	dtype      runtime.DType
	read       elements // the values
	width      int      // columns of the input; -1 while that is open

	line, start int // the line's number, from 1, and its first byte
}

// rows reads all lines.
func (s *libSVMScanner) rows(info *runtime.Info) error {
	s.b = bytes.TrimPrefix(s.b, []byte("\ufeff"))
	pairs := min(bytes.Count(s.b, []byte(":")), (len(s.b)+1)/len("1:0 "))
	s.read = newElements(s.dtype, pairs)
	s.columns = make([]int, 0, pairs)
	s.width = rowWidth(info, 1)
	for s.start < len(s.b) {
		s.line++
		end := len(s.b)
		if n := bytes.IndexByte(s.b[s.start:], '\n'); n >= 0 {
			end = s.start + n
		}
		if err := s.row(end); err != nil {
			return err
		}
		s.start = end + 1
	}
	if len(s.ends) == 0 {
		return ErrEmpty
	}
	return nil
}

// row reads the line that ends at end.
func (s *libSVMScanner) row(end int) error {
	if n := bytes.IndexByte(s.b[s.start:end], '#'); n >= 0 {
		end = s.start + n
	}
	first, empty := len(s.columns), true
	for i := s.start; ; {
		for i < end && (s.b[i] == ' ' || s.b[i] == '\t' || s.b[i] == '\r') {
			i++
		}
		if i == end {
			break
		}
		stop := i
		for stop < end && s.b[stop] != ' ' && s.b[stop] != '\t' && s.b[stop] != '\r' {
			stop++
		}
		var err error
		switch token := s.b[i:stop]; {
		case empty && bytes.IndexByte(token, ':') < 0:
			err = s.label(i, token)
		case bytes.HasPrefix(token, []byte("qid:")) && len(s.columns) == first:
		default:
			err = s.pair(i, stop)
		}
		if err != nil {
			return err
		}
		empty, i = false, stop
	}
	if empty {
		return nil
	}
	if column, found := twice(s.columns[first:]); found {
		return s.errorf(s.start, "index %d is there twice", column+s.base)
	}
	s.ends = append(s.ends, len(s.columns))
	return nil
}

// label checks that what stands for a label is a number.
func (s *libSVMScanner) label(i int, token []byte) error {
	if _, end := scanNumber(token, 0, loose); end == len(token) {
		return nil
	}
	if _, ok := nonFiniteWord(token); ok {
		return nil
	}
	return s.errorf(i, "%s is neither a label, which is one number, nor index:value, as in: 1 1:0.5 4:2.25", clip(string(token)))
}

// pair reads index:value.
func (s *libSVMScanner) pair(i, stop int) error {
	column, at := 0, i
	for ; at < stop && s.b[at]-'0' <= 9; at++ {
		if column <= maxColumn {
			column = column*10 + int(s.b[at]-'0')
		}
	}
	if at == i || at == stop || s.b[at] != ':' {
		return s.errorf(i, "%s is not index:value, as in 4:2.25", clip(string(s.b[i:stop])))
	}
	index := s.b[i:at]
	column -= s.base
	switch {
	case column < 0:
		return s.errorf(i, `index 0, and they are counted from 1; if yours are counted from 0, send "text/libsvm; index_base=0"`)
	case s.width >= 0 && column >= s.width:
		return s.errorf(i, "index %s, where the input's row has %d values (indices %d to %d)", clip(string(index)), s.width, s.base, s.width-1+s.base)
	case column >= maxColumn:
		return s.errorf(i, "index %s is beyond all bounds", clip(string(index)))
	}
	s.columns = append(s.columns, column)
	text := s.b[at+1 : stop]
	if len(text) == 0 {
		return s.errorf(at+1, "index %s has no value", index)
	}
	if why := s.value(text); why != accepted {
		return s.errorf(at+1, "%s", why.explain(s.dtype, string(text)))
	}
	return nil
}

// value appends one number.
func (s *libSVMScanner) value(text []byte) refusal {
	before := s.read.n
	end, why := s.read.numbers(text, 0, loose)
	if why == accepted && (end < len(text) || s.read.n != before+1) {
		return notNumber // more than a number
	}
	if why == notNumber {
		if v, ok := nonFiniteWord(text); ok {
			return s.read.nonFinite(v)
		}
	}
	return why
}

// errorf returns an error at byte i of the body.
func (s *libSVMScanner) errorf(i int, msg string, args ...any) error {
	return errorf("LibSVM", fmt.Sprintf("line %d, column %d", s.line, i-s.start+1), msg, args...)
}
