package codec

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// SparseOptions are what a model says of rows that name only some of their
// columns: text/libsvm, sparse tensors in RecordIO, SciPy's matrices. A media
// type's parameter missing=nan or missing=0 goes before them.
type SparseOptions struct {
	MissingNaN bool // a column that a row does not name is NaN, as XGBoost sees it, not 0
}

// missingNaN returns whether a request's sparse rows are NaN where they name no
// value.
func missingNaN(r *Request, mediaType string) (bool, error) {
	switch v := strings.ToLower(r.Params["missing"]); v {
	case "":
		return r.Options != nil && r.Options.Sparse.MissingNaN, nil
	case "0", "nan":
		return v == "nan", nil
	default:
		return false, fmt.Errorf("%w: %s with missing=%s: it may be 0 or nan", ErrMediaType, mediaType, quote(v))
	}
}

// What a body of sparse rows may take once its zeros are written out:
// denseFloor bytes or denseRatio times the body, whichever is more.
const (
	denseFloor = 64 << 20
	denseRatio = 20
)

func maxDense(body int) int { return max(denseFloor, denseRatio*body) }

// checkDense refuses rows x width elements of size bytes that take more than
// room bytes.
func checkDense(format, where string, rows, width, size, room int) error {
	if width == 0 || rows <= room/size/width {
		return nil
	}
	return errorf(format, where, "%d rows of %d values take more than the %d bytes that this body may become with its zeros written out (64 MiB, or %d times its size): send fewer rows at a time",
		rows, width, room, denseRatio)
}

// rowWidth returns how many values a row has that the input info takes as a
// vector, -1 where its shape leaves that open. An input of one dimension takes
// one value a row, or all of a fixed number in one row.
func rowWidth(info *runtime.Info, rows int) int {
	switch {
	case info.Unranked:
		return -1
	case len(info.Shape) == 0:
		return 1
	case len(info.Shape) == 1 && info.Shape[0] >= 0 && rows == 1:
		return info.Shape[0]
	}
	n := 1
	for _, d := range info.Shape[1:] {
		if d < 0 {
			return -1
		}
		n = product(n, d)
	}
	return n
}

// fitRows returns the shape under which rows vectors of width values go to the
// input info.
func fitRows(info *runtime.Info, rows, width int) ([]int, error) {
	if width == 1 && len(info.Shape) < 2 && !info.Unranked {
		return fitShape(nil, info, []int{rows}, true)
	}
	return fitFlat(nil, info, []int{rows, width})
}

// sparseRows are rows of which only some columns are given, the others being
// zero: row i has columns[ends[i-1]:ends[i]].
type sparseRows struct {
	ends    []int
	columns []int
	values  any // a slice of a numeric type, as long as columns
}

// width returns one more than the greatest column.
func (s *sparseRows) width() int {
	if len(s.columns) == 0 {
		return 0
	}
	return slices.Max(s.columns) + 1
}

// writeTo sets what is given in dst, rows of width elements of values' type.
func (s *sparseRows) writeTo(dst any, width int) {
	to, from := runtime.Bytes(dst), runtime.Bytes(s.values)
	switch runtime.DTypeOf(dst).Size() {
	case 1:
		scatter(s, runtime.View(runtime.Uint8, to).([]uint8), runtime.View(runtime.Uint8, from).([]uint8), width)
	case 2:
		scatter(s, runtime.View(runtime.Uint16, to).([]uint16), runtime.View(runtime.Uint16, from).([]uint16), width)
	case 4:
		scatter(s, runtime.View(runtime.Uint32, to).([]uint32), runtime.View(runtime.Uint32, from).([]uint32), width)
	case 8:
		scatter(s, runtime.View(runtime.Uint64, to).([]uint64), runtime.View(runtime.Uint64, from).([]uint64), width)
	}
}

func scatter[T any](s *sparseRows, dst, values []T, width int) {
	i := 0
	for row, end := range s.ends {
		for ; i < end; i++ {
			dst[row*width+s.columns[i]] = values[i]
		}
	}
}

// nanOf returns NaN as one element of type d, in bytes.
func nanOf(d runtime.DType) ([]byte, error) {
	nan, err := Convert(d, []float64{math.NaN()})
	if err != nil {
		return nil, fmt.Errorf("with missing=nan what is not named is NaN, and %v has none", d)
	}
	return runtime.Bytes(nan), nil
}

// fill makes b out of copies of element.
func fill(b, element []byte) {
	for n := copy(b, element); n > 0 && n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// twice returns a column that is among columns more than once.
func twice(columns []int) (column int, found bool) {
	ascending := true
	for i := 1; i < len(columns) && ascending; i++ {
		ascending = columns[i-1] < columns[i]
	}
	if ascending {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(columns))
	for i := 1; i < len(sorted); i++ {
		if sorted[i-1] == sorted[i] {
			return sorted[i], true
		}
	}
	return 0, false
}

// maxColumn bounds a column's number, so that one more can be counted and a
// row of them measured.
const maxColumn = math.MaxInt >> 8
