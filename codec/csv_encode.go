package codec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// A csvOutput is an output and how many columns it takes.
type csvOutput struct {
	runtime.Tensor
	width  int
	labels []string
	list   bool // all values of a row are one cell
}

// cells returns how many a row has.
func (c csvOutput) cells() int {
	if c.list {
		return 1
	}
	return c.width
}

// Encode implements [Codec].
func (CSV) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	o, err := csvOptionsOf(r.Params)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotAcceptable, err)
	}
	var room [4]csvOutput
	columns, rows, err := csvOutputs(room[:0], out, r.Infos)
	if err != nil {
		return nil, err
	}
	if style := r.style(); style != nil && style.Style == XGBoost {
		for i := range columns {
			columns[i].list = true
		}
	}
	start := len(dst)
	if o.header {
		dst = appendHeader(dst, columns, o.comma)
	}
	cells := 0
	for _, c := range columns {
		cells += rows * c.width
	}
	dst = slices.Grow(dst, 12*cells+rows)
	for row := range rows {
		line := len(dst)
		for _, c := range columns {
			if dst = c.append(dst, row, o.comma, len(columns) == 1 && c.width == 1); c.cells() > 0 {
				dst = append(dst, o.comma)
			}
		}
		dst = endLine(dst, line)
	}
	if !r.Trailing && len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	return dst, nil
}

// endLine turns the comma after the last cell of the line that began at start
// into a line end.
func endLine(dst []byte, start int) []byte {
	if len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '\n')
}

// csvOutputs checks that the outputs share their rows.
func csvOutputs(columns []csvOutput, out []runtime.Tensor, infos []runtime.Info) (_ []csvOutput, rows int, err error) {
	for i, t := range out {
		if t.Kind() != runtime.KindTensor {
			return nil, 0, fmt.Errorf("%w: output %q is a sequence or a map, which has no columns; accept application/json", ErrNotAcceptable, t.Name)
		}
		if err := t.Check(); err != nil {
			return nil, 0, err
		}
		n, width := 1, 1
		if len(t.Shape) > 0 {
			n = t.Shape[0]
			if width, err = runtime.Elements(t.Shape[1:]); err != nil {
				return nil, 0, err
			}
		}
		if i > 0 && n != rows {
			return nil, 0, fmt.Errorf("%w: outputs %q and %q have %d and %d rows, so they share no lines; accept application/json, or ask for one with the custom attribute ort-outputs",
				ErrNotAcceptable, out[0].Name, t.Name, rows, n)
		}
		rows = n
		c := csvOutput{Tensor: t, width: width}
		if i < len(infos) && len(infos[i].Labels) == width {
			c.labels = infos[i].Labels
		}
		columns = append(columns, c)
	}
	if len(columns) == 2 && columns[0].labels != nil && columns[1].labels == nil && columns[1].isLabel() {
		columns[0], columns[1] = columns[1], columns[0]
	}
	return columns, rows, nil
}

// isLabel reports whether c can be a classifier's label: one a row, not a
// fraction.
func (c csvOutput) isLabel() bool {
	d := c.DType()
	return c.width == 1 && (d.Integer() || d == runtime.String)
}

// append appends the cells of a row, joined by commas.
func (c csvOutput) append(dst []byte, row int, comma byte, only bool) []byte {
	if c.list {
		return c.appendList(dst, row, comma, only)
	}
	from, to := row*c.width, (row+1)*c.width
	if s, ok := c.Data.([]string); ok {
		for i, v := range s[from:to] {
			if i > 0 {
				dst = append(dst, comma)
			}
			dst = appendField(dst, v, comma, only)
		}
		return dst
	}
	start := len(dst)
	dst = appendNumbers(dst, c.Data, from, to)
	if comma != ',' {
		for i := start; i < len(dst); i++ {
			if dst[i] == ',' {
				dst[i] = comma
			}
		}
	}
	return dst
}

// appendField appends text, in quotes where it would be misread without: an
// empty line counts as no row, and to pandas one of blanks does too.
func appendField(dst []byte, v string, comma byte, only bool) []byte {
	plain := !strings.HasPrefix(v, "\ufeff") && (!only || strings.Trim(v, " \t") != "")
	for i := 0; i < len(v) && plain; i++ {
		c := v[i]
		plain = c != '"' && c != comma && c != '\n' && c != '\r'
	}
	if plain {
		return append(dst, v...)
	}
	dst = append(dst, '"')
	for i := range len(v) {
		if v[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, v[i])
	}
	return append(dst, '"')
}

// column names the output's column i: the output's name, and behind it the
// label or the number of the column where it has several.
func (c csvOutput) column(i int) string {
	switch {
	case i < len(c.labels):
		return c.Name + "_" + c.labels[i]
	case c.width > 1:
		return c.Name + "_" + strconv.Itoa(i)
	}
	return c.Name
}

// appendHeader names the columns.
func appendHeader(dst []byte, columns []csvOutput, comma byte) []byte {
	start := len(dst)
	for _, c := range columns {
		for i := range c.cells() {
			name := c.Name
			if !c.list {
				name = c.column(i)
			}
			dst = append(appendField(dst, name, comma, c.cells() == 1 && len(columns) == 1), comma)
		}
	}
	return endLine(dst, start)
}
