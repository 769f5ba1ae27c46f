package codec

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/claryhq/clary/runtime"
)

// Encode implements [Codec]. Rows and Bare answer row by row where every
// output has as many rows (its first dimension, or the length of a sequence of
// maps):
//
//	{"predictions": [...]}, or bare the list alone, or for several outputs bare an object of lists by name
//
// with an entry a row: the value of the only output; for a classifier, whose
// second output has Labels, {"label": ..., "probabilities": [...]}, or with
// the media type's probabilities=map an object by label; otherwise an object
// by name. Outputs without common rows, and Columns, are
//
//	{"outputs": {"name": ...}}
//
// NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity". A
// [Style] of the model's options gives rows another form.
func (JSON) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	if b, ok := appendPlainRows(dst, out, r); ok {
		return b, nil
	}
	if err := checkTensors(out); err != nil {
		return dst, err
	}
	if r.Dialect == V2 {
		return appendV2(dst, out, r, false)
	}
	dst = slices.Grow(dst, jsonSize(out))
	rows, ok := commonRows(out)
	w := newRowWriter(out, r)
	if w.style != nil && w.styled(rows, r.Dialect) {
		return w.appendStyled(dst, rows, r.Dialect), nil
	}
	switch {
	case (r.Dialect == Rows || r.Dialect == SparkML) && ok:
		dst = append(dst, `{"predictions":`...)
		dst = w.appendRows(dst, rows)
		return append(dst, '}'), nil
	case r.Dialect == Bare && ok && w.entries():
		return w.appendRows(dst, rows), nil
	case r.Dialect == Bare && len(out) == 1:
		return appendWhole(dst, &out[0]), nil
	case r.Dialect == Bare:
		return appendByName(dst, out), nil
	}
	dst = append(dst, `{"outputs":`...)
	dst = appendByName(dst, out)
	return append(dst, '}'), nil
}

// checkTensors finds the output that is not in itself consistent: a handler may
// have made it.
func checkTensors(out []runtime.Tensor) error {
	for i := range out {
		var err error
		switch data := out[i].Data.(type) {
		case []runtime.Tensor:
			err = checkTensors(data)
		case []runtime.Map:
			err = checkMaps(out[i].Name, data...)
		case runtime.Map:
			err = checkMaps(out[i].Name, data)
		case []float32: // what Check says of nearly all outputs
			if n, bad := runtime.Elements(out[i].Shape); bad != nil || n != len(data) {
				err = out[i].Check()
			}
		default:
			err = out[i].Check()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkMaps(name string, maps ...runtime.Map) error {
	for _, m := range maps {
		d := runtime.DTypeOf(m.Keys)
		if d != runtime.Int64 && d != runtime.String || runtime.DTypeOf(m.Values) == runtime.Undefined || runtime.Len(m.Keys) != runtime.Len(m.Values) {
			return fmt.Errorf("map %q: %d keys (%T) and %d values (%T)", name, runtime.Len(m.Keys), m.Keys, runtime.Len(m.Values), m.Values)
		}
	}
	return nil
}

// commonRows returns how many rows every output has, -1 if they differ. A
// sequence of maps has one for each row (a ZipMap's); one of tensors is never
// taken for rows, or the form of the reply would hang on how many there are.
func commonRows(out []runtime.Tensor) (rows int, ok bool) {
	rows = -1
	for i := range out {
		n := 0
		switch data := out[i].Data.(type) {
		case []runtime.Map:
			n = len(data)
		case []runtime.Tensor, runtime.Map:
			return -1, false
		default:
			if len(out[i].Shape) == 0 {
				return -1, false
			}
			n = out[i].Shape[0]
		}
		if i > 0 && n != rows {
			return -1, false
		}
		rows = n
	}
	return rows, rows >= 0
}

// A rowWriter writes outputs row by row.
type rowWriter struct {
	out        []runtime.Tensor
	style      *ReplyOptions // nil: the default
	classifier bool
	byLabel    []string // label the last output's values; nil: a list
}

func newRowWriter(out []runtime.Tensor, r *Reply) (w rowWriter) {
	w.out, w.style = out, r.style()
	if len(out) > 0 && len(r.Infos) == len(out) && w.style == nil {
		w.label(r)
	}
	return w
}

// label finds what a classifier's labels do to the rows.
func (w *rowWriter) label(r *Reply) {
	last := len(w.out) - 1
	labels, scores := r.Infos[last].Labels, &w.out[last]
	if len(labels) == 0 {
		return
	}
	if last == 1 && len(w.out[0].Shape) == 1 {
		d := w.out[0].DType()
		w.classifier = d == runtime.Int64 || d == runtime.String
	}
	if (w.classifier || last == 0) && r.Params["probabilities"] == "map" && len(scores.Shape) == 2 && scores.Shape[1] == len(labels) {
		w.byLabel = labels
	}
}

// entries reports whether rows are more than nested lists.
func (w *rowWriter) entries() bool { return w.classifier || w.byLabel != nil }

// appendRows appends the list of n rows.
func (w *rowWriter) appendRows(dst []byte, n int) []byte {
	if len(w.out) == 1 && w.byLabel == nil && w.style == nil { // the rows are the whole
		return appendWhole(dst, &w.out[0])
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.appendEntry(dst, i)
	}
	return append(dst, ']')
}

// appendEntry appends the i-th row.
func (w *rowWriter) appendEntry(dst []byte, i int) []byte {
	switch {
	case w.classifier:
		dst = append(dst, `{"label":`...)
		dst = appendRow(dst, &w.out[0], i)
		dst = append(dst, `,"probabilities":`...)
		return append(w.appendScores(dst, i), '}')
	case len(w.out) == 1 && !w.style.keepsNames():
		return w.appendScores(dst, i)
	}
	dst = append(dst, '{')
	for j := range w.out {
		if j > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, w.out[j].Name)
		dst = append(dst, ':')
		dst = appendRow(dst, &w.out[j], i)
	}
	return append(dst, '}')
}

// appendScores appends the i-th row of the last output, by label if so asked.
func (w *rowWriter) appendScores(dst []byte, i int) []byte {
	t := &w.out[len(w.out)-1]
	if w.byLabel == nil {
		return appendRow(dst, t, i)
	}
	return appendObject(dst, w.byLabel, t.Data, i*len(w.byLabel))
}

// appendRow appends the i-th row of t, a tensor or a sequence.
func appendRow(dst []byte, t *runtime.Tensor, i int) []byte {
	switch data := t.Data.(type) {
	case []runtime.Tensor:
		return appendWhole(dst, &data[i])
	case []runtime.Map:
		return appendMap(dst, data[i])
	}
	row := t.Shape[1:]
	n, _ := runtime.Elements(row) // Check has counted them
	return appendNested(dst, t.Data, row, i*n)
}

// appendWhole appends all of t.
func appendWhole(dst []byte, t *runtime.Tensor) []byte {
	n := 0
	switch data := t.Data.(type) {
	case runtime.Map:
		return appendMap(dst, data)
	case []runtime.Tensor:
		n = len(data)
	case []runtime.Map:
		n = len(data)
	default:
		return appendNested(dst, t.Data, t.Shape, 0)
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendRow(dst, t, i)
	}
	return append(dst, ']')
}

// appendByName appends an object of all outputs.
func appendByName(dst []byte, out []runtime.Tensor) []byte {
	dst = append(dst, '{')
	for i := range out {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, out[i].Name)
		dst = append(dst, ':')
		dst = appendWhole(dst, &out[i])
	}
	return append(dst, '}')
}

// appendNested appends the elements from data[at] as lists of that shape.
func appendNested(dst []byte, data any, shape []int, at int) []byte {
	switch len(shape) {
	case 0:
		return appendElements(dst, data, at, at+1)
	case 1:
		dst = append(dst, '[')
		dst = appendElements(dst, data, at, at+shape[0])
		return append(dst, ']')
	}
	n, _ := runtime.Elements(shape[1:])
	dst = append(dst, '[')
	for i := range shape[0] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNested(dst, data, shape[1:], at+i*n)
	}
	return append(dst, ']')
}

// appendMap appends m as an object; an integer key becomes a string.
func appendMap(dst []byte, m runtime.Map) []byte {
	keys, ok := m.Keys.([]int64)
	if !ok {
		return appendObject(dst, m.Keys.([]string), m.Values, 0)
	}
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, k, 10)
		dst = append(dst, `":`...)
		dst = appendElements(dst, m.Values, i, i+1)
	}
	return append(dst, '}')
}

// appendObject appends the elements from values[at] under keys.
func appendObject(dst []byte, keys []string, values any, at int) []byte {
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, k)
		dst = append(dst, ':')
		dst = appendElements(dst, values, at+i, at+i+1)
	}
	return append(dst, '}')
}
