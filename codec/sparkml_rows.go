package codec

import (
	"fmt"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// schemaRows reads the rows of a schema from JSON.
type schemaRows struct {
	*jsonInputs // whose inputs are the columns
	schema      *Schema
}

func newSchemaRows(body []byte, s *Schema) (schemaRows, error) {
	d := schemaRows{new(jsonInputs), s}
	err := d.start(body, s.Columns())
	d.count = 0
	return d, err
}

// read reads the value of "data" at the cursor: a row, or a list of rows.
func (d *schemaRows) read() error {
	d.key, d.row = "data", -1
	deep := 2 // lists in a list that hold a list of rows
	if d.schema.Input[0].several() {
		deep = 3
	}
	if d.lists() >= deep {
		return d.rows()
	}
	if err := d.listRow(); err != nil {
		return err
	}
	d.count++
	return nil
}

// rows reads a list of rows.
func (d *schemaRows) rows() error {
	for first := true; ; first = false {
		more, err := d.list(first)
		if !more {
			d.row = -1
			return err
		}
		d.row++
		if err := d.listRow(); err != nil {
			return err
		}
		d.count++
	}
}

// lists returns how many lists begin at the cursor, each the first in the
// other, three at most.
func (d *schemaRows) lists() int {
	start, n := d.i, 0
	for n < 3 && d.peek() == '[' {
		d.i++
		n++
	}
	d.i = start
	return n
}

// finish returns the model's inputs.
func (d *schemaRows) finish(format string, r *Request) ([]runtime.Tensor, error) {
	columns, err := d.tensors()
	if err != nil {
		return nil, err
	}
	return d.schema.tensors(format, columns, r)
}

// parse reads the schema that begins at byte at.
func (r *jsonReader) parseSchema(at int) (*Schema, error) {
	r.i = at
	if err := r.skip(1); err != nil {
		return nil, err
	}
	s, err := ParseSchema(r.b[at:r.i])
	if err != nil {
		r.key = "schema"
		return nil, r.errorf("%v", err)
	}
	return s, nil
}

// schemaData reads {"data": [...]} by the request's own schema, else the
// model's. There is none of either when ok is false.
func (d *jsonBody) schemaData() (ok bool, err error) {
	s := d.request.Options.sparkML()
	if d.schemaAt > 0 {
		if s, err = d.parseSchema(d.schemaAt); err != nil {
			return true, err
		}
	}
	if s == nil {
		return false, nil
	}
	rows, err := newSchemaRows(d.b, s)
	if err != nil {
		return true, err
	}
	rows.i = d.frame.data
	if err := rows.read(); err != nil {
		return true, err
	}
	d.rows = &rows
	return true, nil
}

// sparkML returns the model's schema; nil without one.
func (o *Options) sparkML() *Schema {
	if o == nil {
		return nil
	}
	return o.SparkML
}

// schemaMembers reads an object {"schema": ..., "data": [...]} and returns
// where the values begin, 0 for one that is not there.
func (r *jsonReader) schemaMembers() (schema, data int, err error) {
	for first := true; ; first = false {
		key, more, err := r.member(first)
		switch {
		case err != nil:
			return 0, 0, err
		case !more && data == 0:
			return 0, 0, r.errorf(`"data" is missing`)
		case !more:
			return schema, data, nil
		}
		at := &data
		switch string(key) {
		case "schema":
			at = &schema
		case "data":
		default:
			return 0, 0, r.errorf(`%s beside "schema" and "data"`, quote(string(key)))
		}
		if *at > 0 {
			return 0, 0, r.errorf("%q is given twice", key)
		}
		*at = r.i
		if err := r.skip(1); err != nil {
			return 0, 0, err
		}
	}
}

// schemaLines reports whether the lines of body are rows of a schema: of the
// model's, or of one that the first line brings along.
func schemaLines(body []byte, configured *Schema) bool {
	r := jsonReader{b: body, row: -1}
	if !r.nextLine(body) {
		return false
	}
	schema, data, err := r.schemaMembers()
	return err == nil && (schema > 0 || configured != nil) && body[data] == '['
}

// decodeSchemaLines reads lines of {"data": [...]}, the first of which may have
// a schema.
func decodeSchemaLines(body []byte, r *Request) ([]runtime.Tensor, error) {
	var rows schemaRows
	line := jsonReader{b: body, row: -1}
	for line.nextLine(body) {
		schema, data, err := line.schemaMembers()
		if err != nil {
			return nil, err
		}
		if line.peek(); line.i < len(line.b) {
			return nil, line.syntax("the end of the line")
		}
		switch {
		case rows.schema == nil:
			s := r.Options.sparkML()
			if schema > 0 {
				if s, err = line.parseSchema(schema); err != nil {
					return nil, err
				}
			}
			if rows, err = newSchemaRows(body, s); err != nil {
				return nil, err
			}
		case schema > 0:
			return nil, line.errorf("the schema is that of the first line; another one is another request")
		}
		rows.jsonReader = line
		rows.i = data
		if err := rows.read(); err != nil {
			return nil, err
		}
	}
	rows.line = 0
	return rows.finish("JSON Lines", r)
}

// appendLines appends the n rows of the schema's output as the SparkML container
// writes JSON Lines: {"features": [...]} for a vector or an array, a basic value
// as it is; with the parameter data=text {"source": "..."}, the values with
// spaces between them.
func (s *Schema) appendLines(dst []byte, t *runtime.Tensor, n int, r *Reply) ([]byte, error) {
	if t.Kind() != runtime.KindTensor {
		return dst, fmt.Errorf("output %q is a sequence or a map, which no column is; ask for application/json: %w", t.Name, ErrNotAcceptable)
	}
	width, _ := runtime.Elements(t.Shape[1:]) // Check has counted them
	if width != 1 && !s.Output.several() {
		return dst, errorf("JSON Lines", "schema.output", "output %s has %d values a row, which are a vector or an array, not basic", quote(t.Name), width)
	}
	for i := range n {
		if i > 0 {
			dst = append(dst, '\n')
		}
		from, to := i*width, (i+1)*width
		switch {
		case r.Params["data"] == "text":
			dst = append(dst, `{"source":`...)
			dst = append(appendString(dst, spaced(t.Data, from, to)), '}')
		case s.Output.several():
			dst = append(dst, `{"features":[`...)
			dst = append(appendElements(dst, t.Data, from, to), `]}`...)
		default:
			dst = appendElements(dst, t.Data, from, to)
		}
	}
	if r.Trailing && n > 0 {
		dst = append(dst, '\n')
	}
	return dst, nil
}

// spaced returns data[from:to] with spaces between them.
func spaced(data any, from, to int) string {
	if s, ok := data.([]string); ok {
		return strings.Join(s[from:to], " ")
	}
	return strings.ReplaceAll(string(appendNumbers(nil, data, from, to)), ",", " ")
}
