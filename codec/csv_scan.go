package codec

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// A csvScanner reads rows into the inputs of a plan.
type csvScanner struct {
	b     []byte
	i     int // the next byte
	comma byte

	row   int // rows read before this one
	start int // where this one begins
	col   int // its cells so far

	text    string // b, once a string is wanted
	invalid bool   // text is not UTF-8 throughout
}

// rows reads all rows to the end.
func (s *csvScanner) rows(p *csvPlan) error {
	for {
		if !p.lines {
			s.i = s.afterBlank(s.i)
		}
		if s.i == len(s.b) {
			return nil
		}
		s.start, s.col = s.i, 0
		for k := range p.inputs {
			if err := s.cells(p, k); err != nil {
				return err
			}
		}
		if s.col > p.columns || s.i < len(s.b) && s.b[s.i] == s.comma {
			return s.ragged(p)
		}
		s.i = s.afterLine(s.i)
		s.row++
	}
}

// cells reads the cells of the plan's input k in this row. It leaves s.i at
// the comma or line end after them.
func (s *csvScanner) cells(p *csvPlan, k int) error {
	in := &p.inputs[k]
	// What follows in the row is all this input's: numbers may be read at a
	// run. A run that is too long makes s.col so.
	run := k == len(p.inputs)-1 && in.dtype != runtime.String
	for end := s.col + in.width; s.col < end; {
		if s.col > 0 {
			if s.i == len(s.b) || s.b[s.i] != s.comma {
				return s.ragged(p)
			}
			s.i++
		}
		if run {
			before := in.n
			after, why := in.numbers(s.b, s.i, grammar(s.comma))
			if why == accepted {
				s.col += in.n - before
				if s.atEnd(after) {
					s.i = after
					continue
				}
				// More than a number is in the last one's cell.
				s.i += bytes.LastIndexByte(s.b[s.i:after], s.comma) + 1
				s.col--
				in.n--
			}
		}
		if err := s.cell(p, in); err != nil {
			return err
		}
		s.col++
	}
	return nil
}

// cell reads one cell of any kind.
func (s *csvScanner) cell(p *csvPlan, in *csvInput) error {
	start := s.i
	from, to, err := s.field(p)
	if err != nil {
		return err
	}
	if in.dtype == runtime.String {
		v, err := s.string(p, from, to)
		if err == nil {
			in.string(v)
		}
		return err
	}
	text := bytes.Trim(s.b[from:to], " \t")
	why := in.word(text)
	if why == accepted {
		return nil
	}
	msg := why.explain(in.dtype, string(text))
	if len(text) == 0 {
		msg = fmt.Sprintf("the cell is empty, and %v is wanted", in.dtype)
	}
	if why == notNumber && s.row == 0 && p.header == nil {
		msg += `; where the first line names the columns, send Content-Type "text/csv; header=present"`
	}
	return s.errorAt(p, start, msg)
}

// word appends what a number's or bool's cell says.
func (in *csvInput) word(text []byte) refusal {
	if len(text) == 0 && in.dtype.Float() {
		return in.nonFinite(math.NaN())
	}
	if bytes.IndexByte(text, ',') >= 0 { // numbers would read on
		return notNumber
	}
	before := in.n
	end, why := in.numbers(text, 0, loose)
	switch {
	case end == len(text) && in.n > before:
		return accepted
	case why == accepted:
		return notNumber
	case why != notNumber:
		return why
	case in.dtype == runtime.Bool && bytes.EqualFold(text, []byte("true")):
		return in.bool(true)
	case in.dtype == runtime.Bool && bytes.EqualFold(text, []byte("false")):
		return in.bool(false)
	case in.dtype == runtime.Bool:
		return notBool
	}
	if v, ok := nonFiniteWord(text); ok {
		return in.nonFinite(v)
	}
	return why
}

// nonFiniteWord reads what C, Python, R and Java call NaN and the infinities.
func nonFiniteWord(text []byte) (v float64, ok bool) {
	sign := 1
	switch {
	case bytes.HasPrefix(text, []byte("-")):
		sign, text = -1, text[1:]
	case bytes.HasPrefix(text, []byte("+")):
		text = text[1:]
	}
	switch strings.ToLower(string(text[:min(len(text), 9)])) {
	case "nan":
		return math.NaN(), true
	case "inf", "infinity":
		return math.Inf(sign), true
	}
	return 0, false
}

// field finds the text of the cell at s.i, within its quotes if it has them,
// and moves s.i behind it.
func (s *csvScanner) field(p *csvPlan) (from, to int, err error) {
	b, start := s.b, s.i
	if start == len(b) || b[start] != '"' {
		i := start
		for i < len(b) && b[i] != s.comma && b[i] != '\n' && (b[i] != '\r' || !s.atEnd(i)) {
			if b[i] == '"' {
				return 0, 0, s.errorAt(p, start, `a quote within a field that does not begin with one; a field that holds quotes is quoted, and they are doubled: "5"" pipe"`)
			}
			i++
		}
		s.i = i
		return start, i, nil
	}
	for i := start + 1; ; i += 2 {
		n := bytes.IndexByte(s.b[i:], '"')
		if n < 0 {
			return 0, 0, s.errorAt(p, start, "the quoted field that begins here does not end")
		}
		if i += n; i+1 < len(s.b) && s.b[i+1] == '"' {
			continue
		}
		if s.i = i + 1; !s.atEnd(s.i) {
			return 0, 0, s.errorAt(p, start, "something follows the closing quote; quotes within a field are doubled")
		}
		return start + 1, i, nil
	}
}

// string returns s.b[from:to] as text, a part of one copy of the body.
func (s *csvScanner) string(p *csvPlan, from, to int) (string, error) {
	if s.text == "" {
		s.text = string(s.b)
		s.invalid = !utf8.ValidString(s.text)
	}
	v := s.text[from:to]
	if s.invalid && !utf8.ValidString(v) {
		return "", s.errorAt(p, from, "the text is not UTF-8")
	}
	if from > 0 && s.b[from-1] == '"' && strings.Contains(v, `""`) {
		v = strings.ReplaceAll(v, `""`, `"`)
	}
	return v, nil
}

// header reads the first line as the names of the columns.
func (s *csvScanner) header() ([]string, error) {
	names := make([]string, 0, s.columnsAt(0))
	for {
		from, to, err := s.field(&csvPlan{})
		if err != nil {
			return nil, err
		}
		name, err := s.string(&csvPlan{}, from, to)
		if err != nil {
			return nil, err
		}
		names = append(names, strings.Trim(name, " \t"))
		s.col++
		if s.i == len(s.b) || s.b[s.i] != s.comma {
			s.i = s.afterLine(s.i)
			return names, nil
		}
		s.i++
	}
}

// atEnd reports whether a cell ends at i: at a comma, a line end or the end.
func (s *csvScanner) atEnd(i int) bool {
	if i == len(s.b) {
		return true
	}
	switch s.b[i] {
	case s.comma, '\n':
		return true
	case '\r':
		return i+1 == len(s.b) || s.b[i+1] == '\n'
	}
	return false
}

// afterLine returns where the line after the line end at i begins.
func (s *csvScanner) afterLine(i int) int {
	if i < len(s.b) && s.b[i] == '\r' {
		i++
	}
	return min(i+1, len(s.b))
}

// afterBlank returns where the first line from i on begins that is not blank.
func (s *csvScanner) afterBlank(i int) int {
	for i < len(s.b) && s.b[i] <= ' ' {
		end := i
		for end < len(s.b) && (s.b[end] == ' ' || s.b[end] == '\t') && s.b[end] != s.comma {
			end++
		}
		if !s.atEnd(end) || end < len(s.b) && s.b[end] == s.comma {
			return i
		}
		i = s.afterLine(end)
	}
	return i
}

// columnsAt counts the cells of the row that begins at i.
func (s *csvScanner) columnsAt(i int) int {
	line := s.b[i:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 && bytes.IndexByte(line[:end], '"') < 0 {
		return bytes.Count(line[:end], []byte{s.comma}) + 1
	}
	n, quoted := 1, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case c == s.comma && !quoted:
			n++
		case c == '\n' && !quoted:
			return n
		}
	}
	return n
}

// ragged says that this row has too many or too few cells.
func (s *csvScanner) ragged(p *csvPlan) error {
	n := s.columnsAt(s.start)
	values := "values"
	if n == 1 {
		values = "value"
	}
	return errorf("CSV", fmt.Sprintf("line %d, column %d", s.line(s.start), min(n, p.columns)+1),
		"row %d has %d %s, the model takes %d: %s", s.row+1, n, values, p.columns, p.takes())
}

// errorAt says what is wrong with the cell at i, which is the next one.
func (s *csvScanner) errorAt(p *csvPlan, i int, msg string) error {
	where := fmt.Sprintf("line %d, column %d", s.line(i), s.col+1)
	if name := p.column(s.col); name != "" {
		where += " (" + clip(name) + ")"
	}
	return &Error{Format: "CSV", Where: where, Msg: msg}
}

// line returns the number of the line that holds byte i.
func (s *csvScanner) line(i int) int { return bytes.Count(s.b[:i], []byte{'\n'}) + 1 }
