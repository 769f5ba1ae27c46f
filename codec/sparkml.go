package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// A Schema says what the columns of a row are, as SageMaker's SparkML container
// is told it (contract §11.7):
//
//	{"input": [{"name": "age", "type": "int"}, {"name": "embedding", "type": "double", "struct": "vector"}],
//	 "output": {"name": "prediction", "type": "double"}}
//
// It applies to CSV, to JSON's {"data": [...]}, a row or a list of rows, and to
// JSON Lines of such objects. A column goes to the input of its name; where
// none is called like an input and the model has only one, all columns,
// vectors too, are together its features in their order. A value must be one
// of the column's type, and then goes to the input's by the rules of
// docs/types.md. The reply has the one output that the schema names.
type Schema struct {
	Input  []Column `json:"input"`
	Output Column   `json:"output"`
}

// A Column is one of a Schema.
type Column struct {
	Name   string `json:"name"`
	Type   string `json:"type"`   // boolean, byte, short, int, long, float, double or string
	Struct string `json:"struct"` // vector or array: several values; "" or basic: one
}

// sparkTypes are SparkML's element types.
var sparkTypes = map[string]runtime.DType{
	"boolean": runtime.Bool, "byte": runtime.Int8, "short": runtime.Int16, "int": runtime.Int32, "long": runtime.Int64,
	"float": runtime.Float32, "double": runtime.Float64, "string": runtime.String,
}

// ParseSchema reads a schema. An error says what is wrong with it.
func ParseSchema(text []byte) (*Schema, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var s Schema
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf(`no schema, {"input": [{"name", "type", "struct"}, ...], "output": {...}}: %w`, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the schema")
	}
	switch n := len(s.Input); {
	case n == 0:
		return nil, errors.New(`"input" has no columns`)
	case n > maxInferred:
		return nil, fmt.Errorf("%d columns, at most %d are read", n, maxInferred)
	}
	seen := make(map[string]bool, len(s.Input))
	for i := range s.Input {
		c := &s.Input[i]
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("input[%d]: %w", i, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("input[%d]: a second column called %s", i, quote(c.Name))
		}
		seen[c.Name] = true
	}
	if err := s.Output.check(); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return &s, nil
}

func (c *Column) check() error {
	switch {
	case c.Name == "":
		return errors.New(`"name" is missing`)
	case sparkTypes[c.Type] == runtime.Undefined:
		return fmt.Errorf("%s of type %s: it may be boolean, byte, short, int, long, float, double or string", quote(c.Name), quote(c.Type))
	}
	switch c.Struct {
	case "", "basic", "vector", "array":
		return nil
	}
	return fmt.Errorf("%s of struct %s: it may be basic, vector or array", quote(c.Name), quote(c.Struct))
}

// several reports whether the column has a list of values for each row.
func (c *Column) several() bool { return c.Struct == "vector" || c.Struct == "array" }

// Columns describes the columns as inputs of their own.
func (s *Schema) Columns() []runtime.Info {
	infos := make([]runtime.Info, len(s.Input))
	for i, c := range s.Input {
		infos[i] = runtime.Info{Name: c.Name, DType: sparkTypes[c.Type], Shape: []int{-1}}
		if c.several() {
			infos[i].Shape = []int{-1, -1}
		}
	}
	return infos
}

// Check reports whether rows of the schema can go to a model with these inputs,
// and its output come from these outputs.
func (s *Schema) Check(inputs, outputs []runtime.Info) error {
	columns := s.Columns()
	matched, err := s.match(inputs)
	if err != nil {
		return err
	}
	for i := range inputs {
		width := 0
		for _, at := range matched[i] {
			if have, want := columns[at].DType, inputs[i].DType; !convertible(have, want) {
				return fmt.Errorf("the column %s is %s, and input %s takes %v", quote(columns[at].Name), s.Input[at].Type, quote(inputs[i].Name), want)
			}
			if width++; s.Input[at].several() {
				width = -1
				break
			}
		}
		if n := rowWidth(&inputs[i], 0); n >= 0 && width >= 0 && n != width {
			return fmt.Errorf("the columns have %d values a row for input %s, which takes %d", width, quote(inputs[i].Name), n)
		}
	}
	var names []string
	for i := range outputs {
		out := &outputs[i]
		if out.Name != s.Output.Name {
			names = append(names, quote(out.Name))
			continue
		}
		if n := rowWidth(out, 0); out.Kind == runtime.KindTensor && n > 1 && !s.Output.several() {
			return fmt.Errorf("output %s has %d values a row, which are a vector or an array, not basic", quote(out.Name), n)
		}
		return nil
	}
	return fmt.Errorf("no output is called %s; there is %s", quote(s.Output.Name), strings.Join(names, ", "))
}

// convertible reports whether Convert ever takes one type to the other.
func convertible(from, to runtime.DType) bool {
	text, truth := runtime.String, runtime.Bool
	return from == to || from != text && to != text && from != truth && to != truth
}

// match returns the columns that each input is made of.
func (s *Schema) match(inputs []runtime.Info) ([][]int, error) {
	at := make(map[string]int, len(s.Input))
	all := make([]int, len(s.Input))
	for i, c := range s.Input {
		at[c.Name], all[i] = i, i
	}
	matched := make([][]int, len(inputs))
	for i := range inputs {
		column, ok := at[inputs[i].Name]
		switch {
		case !ok && len(inputs) == 1:
			return [][]int{all}, nil
		case !ok:
			return nil, fmt.Errorf("no column is called %s, which the model takes", quote(inputs[i].Name))
		}
		matched[i] = []int{column}
		delete(at, inputs[i].Name)
	}
	for _, c := range s.Input {
		if _, left := at[c.Name]; left {
			return nil, fmt.Errorf("the column %s is no input of the model", quote(c.Name))
		}
	}
	return matched, nil
}

// tensors makes the model's inputs of the columns as they were read; without
// inputs to be made the columns are they. It notes in r what the reply needs.
func (s *Schema) tensors(format string, columns []runtime.Tensor, r *Request) ([]runtime.Tensor, error) {
	r.Found = Found{Dialect: SparkML, Schema: s, Outputs: []Output{{Name: s.Output.Name}}}
	if r.Want == nil {
		return columns, nil
	}
	matched, err := s.match(r.Want)
	if err != nil {
		return nil, errorf(format, "schema", "%v", err)
	}
	out := make([]runtime.Tensor, len(r.Want))
	for i := range r.Want {
		if out[i], err = join(format, &r.Want[i], columns, matched[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// join makes the input info of columns side by side.
func join(format string, info *runtime.Info, columns []runtime.Tensor, which []int) (runtime.Tensor, error) {
	rows, width := columns[which[0]].Shape[0], 0
	parts := make([]any, len(which))
	for i, at := range which {
		c := &columns[at]
		data, err := Convert(info.DType, c.Data)
		if err != nil {
			return runtime.Tensor{}, errorf(format, c.Name, "%v for input %s", err, quote(info.Name))
		}
		parts[i] = data
		width += widthOf(c)
	}
	data := parts[0]
	if len(parts) > 1 {
		data = runtime.Make(info.DType, rows*width)
		at := 0
		for i, part := range parts {
			w := widthOf(&columns[which[i]])
			interleave(data, part, at, w, width)
			at += w
		}
	}
	shape, err := fitRows(info, rows, width)
	if err != nil {
		return runtime.Tensor{}, errorf(format, "", "input %s: %v", quote(info.Name), err)
	}
	return runtime.Tensor{Name: info.Name, Shape: shape, Data: data}, nil
}

func widthOf(c *runtime.Tensor) int {
	if len(c.Shape) < 2 {
		return 1
	}
	return c.Shape[1]
}

// interleave copies src, rows of w elements, to column at of dst, rows of width
// elements of the same type.
func interleave(dst, src any, at, w, width int) {
	if s, ok := src.([]string); ok {
		copyColumns(dst.([]string), s, at, w, width)
		return
	}
	size := runtime.DTypeOf(src).Size()
	copyColumns(runtime.Bytes(dst), runtime.Bytes(src), at*size, w*size, width*size)
}

func copyColumns[T any](dst, src []T, at, w, width int) {
	for ; len(src) > 0; at += width {
		copy(dst[at:], src[:w])
		src = src[w:]
	}
}

// decodeCSV reads CSV whose columns are the schema's.
func (s *Schema) decodeCSV(body []byte, r *Request, o csvOptions) ([]runtime.Tensor, error) {
	for i := range s.Input {
		if c := &s.Input[i]; c.several() {
			return nil, errorf("CSV", "", "the schema's column %s is a %s, which is several values; send application/json", quote(c.Name), c.Struct)
		}
	}
	columns, err := decodeCSV(body, s.Columns(), o)
	if err != nil {
		return nil, err
	}
	return s.tensors("CSV", columns, r)
}
