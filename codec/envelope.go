package codec

import "bytes"

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

// options returns how the reply's rows are written.
func (r *Reply) options() ReplyOptions {
	if r.Options == nil {
		return ReplyOptions{}
	}
	return r.Options.Reply
}

// appendStyled appends a reply of w's n rows, -1 where the outputs have no rows
// in common, in a style other than the default; ok is false for what has the
// default form in this style too.
func (w *rowWriter) appendStyled(dst []byte, n int, o ReplyOptions, d Dialect) (_ []byte, ok bool) {
	switch {
	case o.Style == TFS && d == Columns && len(w.out) == 1:
		dst = append(dst, `{"outputs":`...)
		return append(appendWhole(dst, &w.out[0]), '}'), true
	case o.Style == DefaultStyle, n < 0, d == Columns && o.Style != HuggingFace:
		return dst, false
	case o.Style == HuggingFace:
		return w.appendRows(dst, n), true
	case o.NoEnvelope && n == 1:
		return w.appendEntry(dst, 0), true
	case o.NoEnvelope:
		return w.appendRows(dst, n), true
	}
	envelope := o.Envelope
	if envelope == "" {
		envelope = "predictions"
	}
	dst = append(appendString(append(dst, '{'), envelope), ':')
	return append(w.appendRows(dst, n), '}'), true
}

// keepsNames reports whether every row is an object by output name.
func (o ReplyOptions) keepsNames() bool { return o.Style == Predictions || o.Style == XGBoost }

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
