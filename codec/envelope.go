package codec

import (
	"bytes"
	"cmp"
)

// A Style is the form that replies made of rows have: that of the servers whose
// clients are to be kept. KServe V2 is answered in KServe V2 in each of them.
type Style uint8

// The styles. Names are those of clary.yaml.
const (
	DefaultStyle Style = iota // contract §11.10

	// Predictions is that of SageMaker's built-in algorithms (contract §11.2):
	// every row an object by output name. JSON has them under the Envelope,
	// JSON Lines one a line.
	Predictions

	// XGBoost is Predictions, but that a CSV cell holds all values that an
	// output has for a row, "[0.25, 0.75]" in quotes, and NaN is nan
	// (contract §11.5).
	XGBoost

	// TFS is TensorFlow Serving's (contract §11.4): no form of their own for
	// classifiers, {"outputs": ...} without a name for an only output, and JSON
	// Lines the whole JSON reply in one line.
	TFS

	// HuggingFace is a JSON list of the rows, without a name before it, for
	// requests by column too (contract §11.6).
	HuggingFace
)

// ReplyOptions say how rows are written.
type ReplyOptions struct {
	Style      Style
	Envelope   string // the key that Predictions puts JSON's rows under; "": predictions
	NoEnvelope bool   // Predictions: JSON has the rows in a bare list, an only row without the list
	Verbose    int    // how many of the last outputs are left out unless the accepted media type says verbose=true
}

// style returns how the reply's rows are written, nil for the default.
func (r *Reply) style() *ReplyOptions {
	if r.Options == nil || r.Options.Reply.Style == DefaultStyle {
		return nil
	}
	return &r.Options.Reply
}

// styled reports whether a reply of n rows, -1 where the outputs have none in
// common, has a form of its own in w's style.
func (w *rowWriter) styled(n int, d Dialect) bool {
	switch {
	case w.style.Style == TFS && d == Columns:
		return len(w.out) == 1
	case n < 0:
		return false
	}
	return d != Columns || w.style.Style == HuggingFace
}

// appendStyled appends the reply of w's n rows that styled says it has.
func (w *rowWriter) appendStyled(dst []byte, n int, d Dialect) []byte {
	switch o := w.style; {
	case o.Style == TFS && d == Columns:
		dst = append(dst, `{"outputs":`...)
		return append(appendWhole(dst, &w.out[0]), '}')
	case o.NoEnvelope && n == 1:
		return w.appendEntry(dst, 0)
	case o.NoEnvelope, o.Style == HuggingFace:
		return w.appendRows(dst, n)
	}
	dst = append(appendString(append(dst, '{'), cmp.Or(w.style.Envelope, "predictions")), ':')
	return append(w.appendRows(dst, n), '}')
}

// keepsNames reports whether every row is an object by output name.
func (o *ReplyOptions) keepsNames() bool {
	return o != nil && (o.Style == Predictions || o.Style == XGBoost)
}

// appendList appends a row as one cell: its value, or several as Python writes
// a list of them.
func (c csvOutput) appendList(dst []byte, row int, comma byte, only bool) []byte {
	s, text := c.Data.([]string)
	switch {
	case c.width == 1 && text:
		return appendField(dst, s[row], comma, only)
	case c.width == 1:
		return lowerNaN(appendNumbers(dst, c.Data, row, row+1))
	}
	dst = append(dst, `"[`...)
	for i := row * c.width; i < (row+1)*c.width; i++ {
		if i > row*c.width {
			dst = append(dst, ", "...)
		}
		if text {
			dst = append(dst, bytes.ReplaceAll(appendString(nil, s[i]), []byte(`"`), []byte(`""`))...)
		} else {
			dst = lowerNaN(appendNumbers(dst, c.Data, i, i+1))
		}
	}
	return append(dst, `]"`...)
}

// lowerNaN writes a NaN at dst's end as Python does.
func lowerNaN(dst []byte) []byte {
	if bytes.HasSuffix(dst, []byte("NaN")) {
		copy(dst[len(dst)-3:], "nan")
	}
	return dst
}
