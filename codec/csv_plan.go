package codec

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// A csvPlan says which columns go to which inputs.
type csvPlan struct {
	columns int
	inputs  []csvInput // in the order of their columns
	header  []string   // the columns' names; nil without a header
	lines   bool       // one column of strings: an empty line is a row
	whole   bool       // one row holds everything, first dimensions included
}

// A csvInput takes the cells of neighbouring columns.
type csvInput struct {
	elements
	info  *runtime.Info
	shape []int // its shape; [-1,-1] where the model leaves even the rank open
	index int   // of the input
	width int   // columns
	open  int   // the dimension that the number of columns decides; 0 for none
	inner int   // columns for each step of that dimension
}

// plan lays the inputs out over the columns of the rows that follow; p has room
// for them.
func (s *csvScanner) plan(p *csvPlan, want []runtime.Info) error {
	if len(want) == 0 {
		return errorf("CSV", "", "the model takes no inputs")
	}
	open, fixed := -1, true
	for i := range want {
		in := &p.inputs[i]
		in.info, in.index, in.shape = &want[i], i, want[i].Shape
		if in.info.Unranked {
			in.shape = []int{-1, -1}
		}
		if err := in.measure(); err != nil {
			return err
		}
		if in.open > 0 {
			if open >= 0 {
				return errorf("CSV", "", "inputs %q and %q both take any number of columns; send application/json or application/x-npz", want[open].Name, want[i].Name)
			}
			open = i
		}
		fixed = fixed && !slices.ContainsFunc(in.shape, func(d int) bool { return d < 0 })
		p.columns += in.width
	}
	switch {
	case open >= 0:
		if err := p.stretch(&p.inputs[open], s.columnsAt(s.start)); err != nil {
			return err
		}
	case fixed:
		p.tryWhole(s)
	}
	if p.columns <= 0 {
		return errorf("CSV", "", "the model takes no columns: its shapes hold nothing, or more than can be counted")
	}
	p.lines = p.columns == 1 && p.inputs[0].info.DType == runtime.String
	if p.header != nil {
		return p.order()
	}
	return nil
}

// measure finds how many columns an input takes in a row; 0 while that is open.
func (in *csvInput) measure() error {
	if in.info.Kind != runtime.KindTensor {
		return errorf("CSV", "", "input %q is a sequence or a map; send application/json", in.info.Name)
	}
	in.inner = 1
	for i, d := range in.shape {
		switch {
		case i == 0:
		case d < 0 && in.open > 0:
			return errorf("CSV", "", "input %q of shape %s: columns do not say how they divide over two open dimensions; send application/json or application/x-npy",
				in.info.Name, shapeText(in.shape, in.info.Dims))
		case d < 0:
			in.open = i
		default:
			in.inner = product(in.inner, d)
		}
	}
	if in.open == 0 {
		in.width = in.inner
	}
	return nil
}

// product is a*b for what is not negative, -1 where it does not fit.
func product(a, b int) int {
	if a < 0 || b > 0 && a > math.MaxInt/b {
		return -1
	}
	return a * b
}

// stretch gives the one open input the columns that the others leave.
func (p *csvPlan) stretch(in *csvInput, columns int) error {
	rest := columns - p.columns
	if rest <= 0 || in.inner <= 0 || rest%in.inner != 0 {
		return errorf("CSV", "", "the first row has %d values: the other inputs take %d, which leaves %d for %q of shape %s",
			columns, p.columns, rest, in.info.Name, shapeText(in.shape, in.info.Dims))
	}
	in.width = rest
	p.columns += rest
	return nil
}

// tryWhole takes the first row for the model's whole input when it has as many
// columns as all shapes together have elements.
func (p *csvPlan) tryWhole(s *csvScanner) {
	total := 0
	for i := range p.inputs {
		n, err := runtime.Elements(p.inputs[i].shape)
		if err != nil {
			return
		}
		total += n
	}
	if total == p.columns || total <= 0 || s.columnsAt(s.start) != total {
		return
	}
	p.whole, p.columns = true, total
	for i := range p.inputs {
		p.inputs[i].width, _ = runtime.Elements(p.inputs[i].shape)
	}
}

// order matches the header to the inputs: by name when it names all of them,
// one column each, else by order; a name that contradicts the order is refused.
func (p *csvPlan) order() error {
	if len(p.header) != p.columns {
		return errorf("CSV", "line 1", "the header names %d columns, the model takes %d: %s", len(p.header), p.columns, p.takes())
	}
	column := make(map[string]int, len(p.header))
	for i, name := range p.header {
		column[name] = i
	}
	byName := len(p.inputs) == p.columns
	owner := make(map[string]int, len(p.inputs)) // of an input's name: its first column
	at := 0
	for _, in := range p.inputs {
		_, named := column[in.info.Name]
		byName = byName && named
		owner[in.info.Name] = at
		at += in.width
	}
	if byName {
		slices.SortFunc(p.inputs, func(a, b csvInput) int { return cmp.Compare(column[a.info.Name], column[b.info.Name]) })
		return nil
	}
	at = 0
	for _, in := range p.inputs {
		for c := at; c < at+in.width; c++ {
			if first, known := owner[p.header[c]]; known && first != at {
				return errorf("CSV", fmt.Sprintf("line 1, column %d", c+1), "the header names it %s, in its place the model takes %s; name all columns after the inputs or none: %s",
					quote(p.header[c]), quote(in.info.Name), p.takes())
			}
		}
		at += in.width
	}
	return nil
}

// makeRoom allocates for the rows that follow, never more than a small
// multiple of their bytes.
// A model with one input has it in one, which is not a part of p: what p holds
// stays on the stack.
func (p *csvPlan) makeRoom(rest []byte, one *result) (ok bool) {
	rows := bytes.Count(rest, []byte{'\n'})
	if !bytes.HasSuffix(rest, []byte{'\n'}) {
		rows++
	}
	// A row takes a byte for each column, the last row perhaps one less.
	rows = min(rows, (len(rest)+1)/p.columns)
	if one != nil {
		p.inputs[0].elements = one.elements(p.inputs[0].info.DType, rows*p.columns)
		return rows > 0
	}
	for i := range p.inputs {
		in := &p.inputs[i]
		in.elements = newElements(in.info.DType, rows*in.width)
	}
	return rows > 0
}

// takes lists what the columns are for an error message.
func (p *csvPlan) takes() string {
	const most = 10
	var names []string
	for i := range p.inputs {
		if i == most {
			names = append(names, "...")
			break
		}
		name := p.inputs[i].info.Name
		if w := p.inputs[i].width; w != 1 {
			name = fmt.Sprintf("%d of %s", w, name)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// column names a column for an error message.
func (p *csvPlan) column(c int) string {
	if c < len(p.header) {
		return p.header[c]
	}
	for i := range p.inputs {
		in := &p.inputs[i]
		if c < in.width {
			if in.width == 1 {
				return in.info.Name
			}
			return fmt.Sprintf("%s[%d]", in.info.Name, c)
		}
		c -= in.width
	}
	return ""
}

// tensors returns what was read, in the order of the model's inputs.
func (p *csvPlan) tensors(rows int, one *result) ([]runtime.Tensor, error) {
	var tensors []runtime.Tensor
	var dims []int
	if one != nil {
		tensors, dims = one.tensors[:], one.dims[:0]
	} else {
		tensors, dims = make([]runtime.Tensor, len(p.inputs)), make([]int, 0, 4*len(p.inputs))
	}
	for i := range p.inputs {
		in := &p.inputs[i]
		from := len(dims)
		dims = append(dims, in.shape...)
		shape := slices.Clip(dims[from:])
		takes := 1
		if len(shape) > 0 && !p.whole {
			takes = shape[0]
			shape[0] = rows
		}
		if takes >= 0 && takes != rows {
			return nil, errorf("CSV", "", "%d rows, and input %q of shape %s takes exactly %d", rows, in.info.Name, shapeText(in.shape, in.info.Dims), takes)
		}
		if in.open > 0 {
			shape[in.open] = in.width / in.inner
		}
		tensors[in.index] = runtime.Tensor{Name: in.info.Name, Shape: shape, Data: in.finish()}
	}
	return tensors, nil
}
