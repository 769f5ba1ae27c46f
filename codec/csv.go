package codec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// CSV is text/csv (RFC 4180): one row of the model a line.
//
// The columns go to the inputs in their order: an input of shape [-1] or
// [-1,1] takes one column, [-1,a,b] takes a*b, and one input may have an open
// dimension beside the first and takes the columns that are left. A model
// whose shapes are all fixed also takes a single line with everything in it.
// With the parameter header=present the first line names the columns; when
// those are the names of the inputs, columns may stand in any order. Further
// parameters are delimiter, one ASCII character, and label_size=0.
//
// Lines end in LF or CRLF, the last one perhaps in neither; a byte order mark
// is skipped. Fields may be quoted, and then hold quotes (doubled), delimiters
// and line ends. Numbers may have spaces around them. An empty field is NaN
// for a float and "" for a string; nan, inf and infinity are floats, true and
// false bools, in any case. Blank lines are skipped, except where the model
// takes one column of strings: there an empty line is an empty string. A body
// without rows is [ErrEmpty].
//
// Encode writes the outputs of a row in their order, a classifier's label
// first, multidimensional ones flattened, joined by commas:
// 0,0.97,0.02,0.01. Floats are as short as they can be and still read back the
// same, NaN, Infinity and -Infinity as such; text is quoted only where it must
// be. Lines end in LF, the last one if the Reply says so. With header=present
// the first line names the columns, those of an output with several by its name
// and the label or number of each: probabilities_setosa. Outputs that do not
// share their rows, sequences and maps are not acceptable.
type CSV struct{}

// MediaTypes returns text/csv.
func (CSV) MediaTypes() []string { return csvTypes }

var csvTypes = []string{"text/csv"}

// csvOptions are the parameters of text/csv.
type csvOptions struct {
	comma  byte
	header bool
}

func csvOptionsOf(params map[string]string) (csvOptions, error) {
	o := csvOptions{comma: ','}
	if v, ok := params["delimiter"]; ok {
		if len(v) != 1 || v[0] >= utf8.RuneSelf || v[0] < ' ' && v[0] != '\t' ||
			strings.Contains(" \"\\+-.0123456789", v) || 'a' <= v[0]|0x20 && v[0]|0x20 <= 'z' {
			return o, fmt.Errorf("text/csv with delimiter=%s: it must be one ASCII character that is no letter, digit, space, quote or part of a number", quote(v))
		}
		o.comma = v[0]
	}
	switch v := strings.ToLower(params["header"]); v {
	case "present":
		o.header = true
	case "absent", "":
	default:
		return o, fmt.Errorf("text/csv with header=%s: it may be present or absent", quote(v))
	}
	if v, ok := params["label_size"]; ok && v != "0" {
		return o, fmt.Errorf("text/csv with label_size=%s: rows must come without labels, label_size=0", quote(v))
	}
	return o, nil
}

// Decode implements [Codec].
func (CSV) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	o, err := csvOptionsOf(r.Params)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMediaType, err)
	}
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	r.Found.Dialect = Rows
	if out, ok := plainCSV(body, r, o); ok {
		return out, nil
	}
	if r.Options != nil {
		// Hugging Face's containers take the first line for a header.
		o.header = o.header || r.Options.Reply.Style == HuggingFace && r.Params["header"] == ""
		if s := r.Options.SparkML; s != nil {
			return s.decodeCSV(body, r, o)
		}
	}
	if r.Want != nil {
		return decodeCSV(body, r.Want, o)
	}
	// The narrowest type that every cell can be read as.
	for _, d := range []runtime.DType{runtime.Int64, runtime.Float64} {
		if t, err := decodeCSV(body, []runtime.Info{{DType: d, Shape: []int{-1, -1}}}, o); err == nil {
			return t, nil
		}
	}
	return decodeCSV(body, []runtime.Info{{DType: runtime.String, Shape: []int{-1, -1}}}, o)
}

func decodeCSV(body []byte, want []runtime.Info, o csvOptions) ([]runtime.Tensor, error) {
	s := csvScanner{b: body, comma: o.comma}
	var room [4]csvInput
	p := csvPlan{inputs: slices.Grow(room[:0], len(want))[:len(want)]}
	if o.header {
		var err error
		if p.header, err = s.header(); err != nil {
			return nil, err
		}
	}
	first := s.afterBlank(s.i)
	if first == len(body) {
		return nil, ErrEmpty
	}
	s.start = first
	if err := s.plan(&p, want); err != nil {
		return nil, err
	}
	var one *result
	if len(want) == 1 {
		one = new(result)
	}
	if !p.makeRoom(body[s.i:], one) {
		return nil, s.ragged(&p)
	}
	if err := s.rows(&p); err != nil {
		return nil, err
	}
	return p.tensors(s.row, one)
}
