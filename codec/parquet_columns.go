package codec

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// A table is a body of named columns, Parquet or Arrow, on its way to a
// model's inputs.
type table struct {
	format  string // for errors
	rows    int
	body    int // bytes
	room    int // bytes that the columns may still take
	columns []column

	// read reads the values of a column where that is not done yet. Those that
	// are not of type d need to last until the next call only.
	read func(i int, d runtime.DType) error
}

// A column has rows*width elements.
type column struct {
	name    string
	dtype   runtime.DType // what the body calls its elements
	refused string        // why it cannot be read: "a timestamp"; else empty
	list    bool          // rows are lists, of a length that reading them finds
	width   int
	data    any   // the elements; of a wider type than dtype, maybe
	nulls   []int // those of data that are null, ascending
}

// columnOverhead is what a column takes beside its name and values, and what
// each of its nulls takes.
const (
	columnOverhead = 256
	nullOverhead   = 8
)

func newTable(format string, body int) *table {
	return &table{format: format, body: body, room: maxDense(body)}
}

// take takes n elements of size bytes from what the columns may still take. It
// is asked before they are allocated. A row takes a byte by itself, for what it
// costs to go through rows of nothing.
func (t *table) take(n, size int) error {
	if n < 0 || size > 0 && n > t.room/size {
		return fmt.Errorf("the columns take more than %d bytes once they are decoded, 64 MiB or %d times the body: send fewer rows at a time", maxDense(t.body), denseRatio)
	}
	t.room -= n * size
	return nil
}

// elementSize is the memory of one element; of a string without its text.
func elementSize(d runtime.DType) int {
	if d == runtime.String {
		return 16
	}
	return d.Size()
}

// isPandasIndex reports whether name is one under which pandas saves an index
// that has none: __index_level_0__.
func isPandasIndex(name string) bool {
	level, ok := strings.CutPrefix(name, "__index_level_")
	level, ends := strings.CutSuffix(level, "__")
	return ok && ends && level != "" && strings.Trim(level, "0123456789") == ""
}

// tensors returns the columns as the inputs that want describes, without want
// each as a tensor of its own.
func (t *table) tensors(want []runtime.Info) ([]runtime.Tensor, error) {
	used := t.used(want)
	if want == nil {
		tensors := make([]runtime.Tensor, 0, len(used))
		for _, c := range used {
			info := runtime.Info{Name: t.columns[c].name, Unranked: true}
			tensor, err := t.tensor(&info, []int{c})
			if err != nil {
				return nil, err
			}
			tensors = append(tensors, tensor)
		}
		return tensors, nil
	}
	if len(want) == 0 {
		return nil, errorf(t.format, "", "the model takes no inputs")
	}
	shares, err := t.assign(want, used)
	if err != nil {
		return nil, err
	}
	tensors := make([]runtime.Tensor, len(want))
	for i := range want {
		if tensors[i], err = t.tensor(&want[i], shares[i]); err != nil {
			return nil, err
		}
	}
	return tensors, nil
}

// used returns the columns that are for the model: all but pandas' index,
// unless an input has its name.
func (t *table) used(want []runtime.Info) []int {
	used := make([]int, 0, len(t.columns))
	for i := range t.columns {
		name := t.columns[i].name
		if isPandasIndex(name) && !slices.ContainsFunc(want, func(info runtime.Info) bool { return info.Name == name }) {
			continue
		}
		used = append(used, i)
	}
	return used
}

// assign returns the columns of each input: by name where every input has one
// and none is left, else in order, as many as the input's row has elements. A
// list column in that place is all of a row. One input may leave the length of
// its row open and takes what the others leave.
func (t *table) assign(want []runtime.Info, used []int) ([][]int, error) {
	for _, info := range want {
		if info.Kind != runtime.KindTensor || !info.DType.Known() {
			return nil, errorf(t.format, "", "input %q is not a tensor of a known type, and columns hold nothing else", info.Name)
		}
	}
	shares := make([][]int, len(want))
	if len(want) == len(used) && t.byName(shares, want, used) {
		return shares, nil
	}
	open := -1
	if len(want) == 1 && rowWidth(&want[0], t.rows) != 0 {
		open = 0 // whatever there is: its shape is held against that
	}
	for i := range want {
		if open == i || rowWidth(&want[i], t.rows) >= 0 {
			continue
		}
		if open >= 0 {
			return nil, errorf(t.format, "", "inputs %q and %q both take any number of columns; name the columns after the inputs, one list column each", want[open].Name, want[i].Name)
		}
		open = i
	}
	rest := used
	for i := 0; i < len(want) && i != open && rest != nil; i++ {
		shares[i], rest = t.first(&want[i], rest)
	}
	for i := len(want) - 1; open >= 0 && i > open && rest != nil; i-- {
		rest, shares[i] = t.last(&want[i], rest)
	}
	if rest == nil || (len(rest) > 0) != (open >= 0) {
		return nil, t.mismatch(want, used)
	}
	if open >= 0 {
		shares[open] = rest
	}
	return shares, t.contradiction(shares, want)
}

// byName fills shares and reports whether the columns are named as the inputs.
func (t *table) byName(shares [][]int, want []runtime.Info, used []int) bool {
	columns := make(map[string]int, len(used))
	for i, c := range used {
		columns[t.columns[c].name] = i
	}
	for i := range want {
		c, ok := columns[want[i].Name]
		if !ok {
			return false
		}
		shares[i] = used[c : c+1]
	}
	return true
}

// first cuts what an input takes off the front of columns; rest is nil where
// they are too few.
func (t *table) first(info *runtime.Info, columns []int) (share, rest []int) {
	n := t.takes(info, columns, 0)
	if n > len(columns) {
		return nil, nil
	}
	return columns[:n], columns[n:]
}

// last cuts what an input takes off the end of columns.
func (t *table) last(info *runtime.Info, columns []int) (rest, share []int) {
	n := t.takes(info, columns, len(columns)-1)
	if n > len(columns) {
		return nil, nil
	}
	return columns[:len(columns)-n], columns[len(columns)-n:]
}

// takes returns how many columns an input takes that takes columns[at].
func (t *table) takes(info *runtime.Info, columns []int, at int) int {
	n := rowWidth(info, t.rows)
	if n > 0 && 0 <= at && at < len(columns) && t.columns[columns[at]].list {
		return 1
	}
	return n
}

// mismatch is the error of too many or too few columns.
func (t *table) mismatch(want []runtime.Info, used []int) error {
	const most = 10
	var takes, names []string
	for i := range want {
		if i == most {
			takes = append(takes, "...")
			break
		}
		switch w := rowWidth(&want[i], t.rows); {
		case w == 1:
			takes = append(takes, want[i].Name)
		case w < 0:
			takes = append(takes, "any number for "+want[i].Name)
		default:
			takes = append(takes, fmt.Sprintf("%d for %s", w, want[i].Name))
		}
	}
	for i, c := range used {
		if i == most {
			names = append(names, "...")
			break
		}
		names = append(names, quote(t.columns[c].name))
	}
	return errorf(t.format, "", "%d columns (%s), the model takes %s", len(used), strings.Join(names, ", "), strings.Join(takes, ", "))
}

// contradiction refuses columns in order of which one has the name of another
// input than it would go to.
func (t *table) contradiction(shares [][]int, want []runtime.Info) error {
	owner := make(map[string]int, len(want))
	for i := range want {
		owner[want[i].Name] = i
	}
	for i, share := range shares {
		for _, c := range share {
			if other, known := owner[t.columns[c].name]; known && other != i {
				return errorf(t.format, "column "+quote(t.columns[c].name), "in its place the model takes %s; name all columns after the inputs or none: %s", quote(want[i].Name), inputNames(want))
			}
		}
	}
	return nil
}

// tensor returns the columns, one beside the other, as the input info; one
// without a type takes the column's own.
func (t *table) tensor(info *runtime.Info, columns []int) (runtime.Tensor, error) {
	width := 0
	parts := make([]*column, len(columns))
	for i, c := range columns {
		part := &t.columns[c]
		err := t.load(c, info.DType)
		if err != nil {
			return runtime.Tensor{}, t.inColumn(part, err)
		}
		parts[i] = part
		width += part.width
	}
	shape := []int{t.rows, width}
	switch {
	case info.DType != runtime.Undefined:
		var err error
		if t.rows == 0 && len(parts) == 1 && parts[0].list {
			width = max(rowWidth(info, 0), 0) // what no row says
		}
		if shape, err = fitRows(info, t.rows, width); err != nil {
			return runtime.Tensor{}, errorf(t.format, "", "input %q: %s", info.Name, err)
		}
	case !parts[0].list:
		shape = shape[:1]
	}
	tensor := runtime.Tensor{Name: info.Name, Shape: shape}
	if len(parts) == 1 {
		tensor.Data = parts[0].data
	} else {
		tensor.Data = weave(info.DType, parts, t.rows, width)
	}
	for _, p := range parts {
		p.data = nil
	}
	return tensor, nil
}

// load reads column c and makes its elements ones of type d, of its own type
// where d is not one.
func (t *table) load(c int, d runtime.DType) error {
	col := &t.columns[c]
	if col.refused != "" {
		return fmt.Errorf("it is %s: send bools, integers, floats or strings, or lists of those", col.refused)
	}
	if err := t.read(c, d); err != nil {
		return err
	}
	if d == runtime.Undefined {
		if d = col.dtype; d.Integer() && len(col.nulls) > 0 {
			d = runtime.Float64
		}
	}
	if len(col.nulls) > 0 && !d.Float() {
		return fmt.Errorf("row %d is null, and %v is wanted, which has no null: fill it before it is sent", col.nulls[0]/max(col.width, 1), d)
	}
	var err error
	if col.data, err = Convert(d, col.data); err != nil {
		return err
	}
	if len(col.nulls) > 0 {
		nan, err := Convert(d, []float64{math.NaN()})
		if err != nil {
			return err
		}
		b, size := runtime.Bytes(col.data), d.Size()
		for _, i := range col.nulls {
			copy(b[i*size:(i+1)*size], runtime.Bytes(nan))
		}
	}
	return nil
}

// inColumn says in which column err was found.
func (t *table) inColumn(c *column, err error) error {
	return errorf(t.format, "column "+quote(c.name), "%s", err)
}
