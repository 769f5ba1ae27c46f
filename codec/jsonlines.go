package codec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// JSONLines is one row a line, in each of the forms that a row of [JSON]'s
// "instances" has: a list or a scalar for the only input, a list with a value
// for each, an object by input name, {"features": [...]}. Blank lines are
// passed over; lists and objects may also follow each other on one line, as
// some writers of concatenated JSON leave them. Lines of {"data": [...]} are
// read by a [Schema]. The reply has a line a row, what an entry of
// "predictions" would be.
type JSONLines struct{}

// MediaTypes implements [Codec].
func (JSONLines) MediaTypes() []string {
	return []string{"application/jsonlines", "application/jsonl", "application/x-ndjson", "application/x-jsonlines", "application/jsons"}
}

// Decode implements [Codec].
func (JSONLines) Decode(body []byte, req *Request) ([]runtime.Tensor, error) {
	req.Found = Found{Dialect: Rows}
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return nil, ErrEmpty
	}
	if s := req.Options.sparkML(); s != nil && schemaLines(body, s) {
		return decodeSchemaLines(body, req)
	}
	d := jsonInputs{request: req}
	if err := d.start(body, req.Want); err != nil {
		return nil, err
	}
	d.count = 0
	for d.nextLine(body) {
		for more := true; more; {
			d.field, d.depth = "", 0
			if err := d.oneRow(); err != nil {
				if d.count == 1 && schemaLines(body, nil) {
					return decodeSchemaLines(body, req)
				}
				return nil, d.hint(err)
			}
			c := d.peek()
			more = c == '[' || c == '{'
		}
		if d.i < len(d.b) {
			return nil, d.syntax("the end of the line")
		}
	}
	d.line = 0
	return d.tensors()
}

// nextLine goes to the next line of body that is not blank.
func (r *jsonReader) nextLine(body []byte) bool {
	start := 0
	if r.line > 0 {
		start = len(r.b) + 1
	}
	for ; start < len(body); start = len(r.b) + 1 {
		r.line++
		end := bytes.IndexByte(body[start:], '\n')
		if end < 0 {
			end = len(body) - start
		}
		r.b, r.i, r.begin = body[:start+end], start, start
		if r.peek(); r.i < len(r.b) {
			return true
		}
	}
	return false
}

// hint says what to do with a line that is a whole request.
func (d *jsonInputs) hint(err error) error {
	line := bytes.TrimLeft(d.b[d.begin:], " \t{")
	var e *Error
	if bytes.HasPrefix(line, []byte(`"instances"`)) && errors.As(err, &e) {
		e.Msg += `; a line is one row: "instances" belongs to application/json`
	}
	return err
}

// Encode implements [Codec]. Outputs that do not share their rows are
// ErrNotAcceptable: there is no line to put them on.
func (JSONLines) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	if err := checkTensors(out); err != nil {
		return dst, err
	}
	rows, ok := commonRows(out)
	if !ok {
		return dst, fmt.Errorf("JSON Lines has a line for each row, and the outputs have no common rows; ask for application/json: %w", ErrNotAcceptable)
	}
	dst = slices.Grow(dst, jsonSize(out))
	w := newRowWriter(out, r)
	if r.Dialect == SparkML {
		return r.Schema.appendLines(dst, &out[0], rows, r)
	}
	if w.style != nil && w.style.Style == TFS {
		dst = w.appendStyled(dst, rows, Rows)
		if r.Trailing {
			dst = append(dst, '\n')
		}
		return dst, nil
	}
	for i := range rows {
		if i > 0 {
			dst = append(dst, '\n')
		}
		dst = w.appendEntry(dst, i)
	}
	if r.Trailing && rows > 0 {
		dst = append(dst, '\n')
	}
	return dst, nil
}
