package codec

import (
	"fmt"
	"math"

	"github.com/claryhq/clary/runtime"
)

// isSparse reports whether a file's arrays are those of a SciPy sparse matrix.
func isSparse(members []npzMember) bool {
	found := 0
	for _, m := range members {
		switch m.name {
		case "format", "shape", "data":
			found++
		}
	}
	return found == 3
}

// A sparseMatrix is what scipy.sparse.save_npz writes: the arrays format,
// shape and data, and those that say where data belongs.
type sparseMatrix struct {
	arrays     map[string]npyArray
	rows, cols int
}

// readSparse reads a matrix from a file and writes its zeros out, NaN if
// missingNaN is set, as the input want; a want without a type takes data's own.
func readSparse(members []npzMember, body []byte, want runtime.Info, missingNaN bool) (runtime.Tensor, error) {
	t := runtime.Tensor{Name: want.Name}
	m := sparseMatrix{arrays: make(map[string]npyArray, len(members))}
	for _, member := range members {
		raw, err := member.read(body)
		if err != nil {
			return t, inArray(member.name, err)
		}
		if m.arrays[member.name], err = parseNPY(raw); err != nil {
			return t, inArray(member.name, err)
		}
	}
	data, err := m.data()
	if err != nil {
		return t, err
	}
	if err := m.shape(); err != nil {
		return t, err
	}
	own := runtime.DTypeOf(data)
	if want.DType == runtime.Undefined {
		want.DType, want.Unranked = own, true
	}
	if t.Shape, err = fitRows(&want, m.rows, m.cols); err != nil {
		return t, errorf("NPZ", "", "sparse matrix for input %q: %v", want.Name, err)
	}
	size := own.Size()
	if want.DType != own {
		size += want.DType.Size()
	}
	if missingNaN {
		size++
	}
	if err := checkDense("NPZ", "", m.rows, m.cols, size, maxDense(len(body))); err != nil {
		return t, err
	}
	positions, err := m.positions(runtime.Len(data))
	if err != nil {
		return t, err
	}
	dense := runtime.Make(own, m.rows*m.cols)
	addAll(dense, data, positions)
	if t.Data, err = Convert(want.DType, dense); err == nil && missingNaN {
		err = markMissing(t.Data, positions)
	}
	if err != nil {
		return t, errorf("NPZ", "", "sparse matrix for input %q: %v", want.Name, err)
	}
	return t, nil
}

// markMissing makes every element NaN that no position is of.
func markMissing(data any, positions []int) error {
	nan, err := nanOf(runtime.DTypeOf(data))
	if err != nil {
		return err
	}
	given := make([]bool, runtime.Len(data))
	for _, p := range positions {
		given[p] = true
	}
	b := runtime.Bytes(data)
	for i := range given {
		if !given[i] {
			copy(b[i*len(nan):], nan)
		}
	}
	return nil
}

// data returns the elements that are given.
func (m *sparseMatrix) data() (any, error) {
	a := m.arrays["data"]
	d := a.dtype(runtime.Undefined)
	if a.kind == 'V' || d == runtime.String || d == runtime.Float16 || d == runtime.Undefined || len(a.shape) != 1 {
		return nil, errorf("NPZ", `array "data"`, "%d dimensions of type %v; a sparse matrix has one, of bool, integers, float32 or float64", len(a.shape), d)
	}
	if d == runtime.Bool && oddByte(a.data) >= 0 {
		i := oddByte(a.data)
		return nil, errorf("NPZ", fmt.Sprintf(`array "data", element %d`, i), "a bool is the byte %d, neither 0 nor 1", a.data[i])
	}
	return a.numbers(d), nil
}

// integers returns an array that counts something.
func (m *sparseMatrix) integers(name string) (npyArray, []int64, error) {
	a, ok := m.arrays[name]
	if !ok {
		return a, nil, errorf("NPZ", "", "the sparse matrix has no array %s", quote(name))
	}
	d := a.dtype(runtime.Undefined)
	if !d.Integer() {
		return a, nil, errorf("NPZ", "array "+quote(name), "%v where integers are wanted", d)
	}
	data, err := Convert(runtime.Int64, a.numbers(d))
	if err != nil {
		return a, nil, errorf("NPZ", "array "+quote(name), "%v", err)
	}
	return a, data.([]int64), nil
}

// vector is integers for an array that must have n elements in one dimension.
func (m *sparseMatrix) vector(name string, n int) ([]int64, error) {
	a, v, err := m.integers(name)
	if err != nil {
		return nil, err
	}
	if len(a.shape) != 1 || len(v) != n {
		return nil, errorf("NPZ", "array "+quote(name), "shape %s where [%d] is wanted", shapeText(a.shape, nil), n)
	}
	return v, nil
}

func (m *sparseMatrix) shape() error {
	_, shape, err := m.integers("shape")
	if err != nil {
		return err
	}
	if len(shape) != 2 {
		return errorf("NPZ", `array "shape"`, "a sparse array of %d dimensions; an input takes one of two", len(shape))
	}
	for _, d := range shape {
		if d < 0 || d > math.MaxInt {
			return errorf("NPZ", `array "shape"`, "the dimension %d", d)
		}
	}
	m.rows, m.cols = int(shape[0]), int(shape[1])
	return nil
}

// positions returns where in the dense matrix each of n elements belongs; it
// may be fewer, as SciPy drops what no row or column counts.
func (m *sparseMatrix) positions(n int) ([]int, error) {
	a := m.arrays["format"]
	if a.n != 1 || a.kind != 'S' && a.kind != 'U' {
		return nil, errorf("NPZ", `array "format"`, "it is not one string")
	}
	format, err := a.strings()
	if err != nil {
		return nil, inArray("format", err)
	}
	switch format[0] {
	case "csr":
		return m.compressed(n, m.rows, m.cols, m.cols, 1)
	case "csc":
		return m.compressed(n, m.cols, m.rows, 1, m.cols)
	case "coo":
		return m.coordinates(n)
	}
	return nil, errorf("NPZ", `array "format"`, "a matrix in format %s; csr, csc and coo are read: save m.tocsr()", quote(format[0]))
}

// compressed is positions for rows (or columns) that say where their elements
// begin: major of them, with minor places each, as many elements of the dense
// matrix apart.
func (m *sparseMatrix) compressed(n, major, minor, majorStep, minorStep int) ([]int, error) {
	if major == math.MaxInt {
		return nil, errorf("NPZ", `array "shape"`, "the dimension %d", major)
	}
	indptr, err := m.vector("indptr", major+1)
	if err != nil {
		return nil, err
	}
	indices, err := m.vector("indices", n)
	if err != nil {
		return nil, err
	}
	if indptr[0] != 0 {
		return nil, errorf("NPZ", `array "indptr", element 0`, "%d where 0 is wanted", indptr[0])
	}
	positions := make([]int, 0, n)
	for i, end := range indptr[1:] {
		from := indptr[i]
		if end < from || end > int64(n) {
			return nil, errorf("NPZ", fmt.Sprintf(`array "indptr", element %d`, i+1), "%d after %d, with %d elements in all", end, from, n)
		}
		for j, k := range indices[from:end] {
			if k < 0 || k >= int64(minor) {
				return nil, errorf("NPZ", fmt.Sprintf(`array "indices", element %d`, int(from)+j), "%d in a matrix of shape [%d,%d]", k, m.rows, m.cols)
			}
			positions = append(positions, i*majorStep+int(k)*minorStep)
		}
	}
	return positions, nil
}

// coordinates is positions for elements that each say their row and column.
func (m *sparseMatrix) coordinates(n int) ([]int, error) {
	row, col, err := m.rowsAndColumns(n)
	if err != nil {
		return nil, err
	}
	positions := make([]int, n)
	for i := range positions {
		if row[i] < 0 || row[i] >= int64(m.rows) || col[i] < 0 || col[i] >= int64(m.cols) {
			return nil, errorf("NPZ", fmt.Sprintf("element %d", i), "row %d, column %d in a matrix of shape [%d,%d]", row[i], col[i], m.rows, m.cols)
		}
		positions[i] = int(row[i])*m.cols + int(col[i])
	}
	return positions, nil
}

// rowsAndColumns reads the arrays row and col or, as SciPy's sparse arrays may
// be saved, one named coords.
func (m *sparseMatrix) rowsAndColumns(n int) (row, col []int64, err error) {
	if _, ok := m.arrays["coords"]; ok {
		a, both, err := m.integers("coords")
		if err == nil && (len(a.shape) != 2 || a.shape[0] != 2 || a.shape[1] != n) {
			err = errorf("NPZ", `array "coords"`, "shape %s where [2,%d] is wanted", shapeText(a.shape, nil), n)
		}
		if err != nil {
			return nil, nil, err
		}
		return both[:n], both[n:], nil
	}
	if row, err = m.vector("row", n); err != nil {
		return nil, nil, err
	}
	col, err = m.vector("col", n)
	return row, col, err
}

// addAll adds each of data to the element of dst at its position, in order:
// what is given twice is summed as SciPy's toarray does, integers wrapping
// around and bools by or. dst and data are of one type.
func addAll(dst, data any, positions []int) {
	switch dst := dst.(type) {
	case []float32:
		addEach(dst, data.([]float32), positions)
	case []float64:
		addEach(dst, data.([]float64), positions)
	case []int64:
		addEach(dst, data.([]int64), positions)
	case []int32:
		addEach(dst, data.([]int32), positions)
	case []int16:
		addEach(dst, data.([]int16), positions)
	case []int8:
		addEach(dst, data.([]int8), positions)
	case []uint64:
		addEach(dst, data.([]uint64), positions)
	case []uint32:
		addEach(dst, data.([]uint32), positions)
	case []uint16:
		addEach(dst, data.([]uint16), positions)
	case []uint8:
		addEach(dst, data.([]uint8), positions)
	case []bool:
		for i, p := range positions {
			dst[p] = dst[p] || data.([]bool)[i]
		}
	}
}

func addEach[T float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](dst, data []T, positions []int) {
	for i, p := range positions {
		dst[p] += data[i]
	}
}
