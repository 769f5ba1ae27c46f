package codec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// fitShape appends to dst the shape under which a body's value of shape have
// goes to the input info, and returns the whole of dst. They agree where
// info's dimension is open or the same; beyond that, without ambiguity,
//
//   - a value without info's first dimension, if that is open or 1, is one
//     row (but not when have's first dimension counts rows already);
//   - a value without info's last dimension, if that is 1, has it;
//   - a value with one dimension too many, a leading 1, loses it if info's
//     first is not open: that one counts rows already;
//   - a value without elements ([], [[],[]]) takes the dimensions that it
//     cannot show from info, 0 where they are open.
//
// Anything else is an error that names both shapes.
func fitShape(dst []int, info *runtime.Info, have []int, rows bool) ([]int, error) {
	want := info.Shape
	n := len(have)
	switch {
	case info.Unranked || agree(want, have):
		return append(dst, have...), nil
	case !rows && n+1 == len(want) && want[0] <= 1 && want[0] != 0 && agree(want[1:], have):
		return append(append(dst, 1), have...), nil
	case n+1 == len(want) && want[n] == 1 && agree(want[:n], have):
		return append(append(dst, have...), 1), nil
	case n == len(want)+1 && have[0] == 1 && (n == 1 || want[0] >= 0) && agree(want, have[1:]):
		return append(dst, have[1:]...), nil
	case n > 0 && n < len(want) && have[n-1] == 0 && agree(want[:n], have):
		dst = append(dst, have...)
		for _, d := range want[n:] {
			dst = append(dst, max(d, 0))
		}
		return dst, nil
	}
	hint := ""
	if rows && n+1 == len(want) && agree(want[1:], have) {
		hint = "; a row is a list in the list of rows"
	}
	return nil, fmt.Errorf("shape %s where %s is wanted%s", shapeText(have, nil), shapeText(want, info.Dims), hint)
}

// fitFlat is fitShape for rows that are vectors, whatever dimensions the input
// has behind the first: have is [rows, elements of a row].
func fitFlat(dst []int, info *runtime.Info, have []int) ([]int, error) {
	if want := info.Shape; len(have) == 2 && len(want) > 2 && (want[0] < 0 || want[0] == have[0]) {
		if n, err := runtime.Elements(want[1:]); err == nil && n == have[1] {
			return append(append(dst, have[0]), want[1:]...), nil
		}
	}
	return fitShape(dst, info, have, true)
}

// agree reports whether have is a shape that want, with its open dimensions,
// allows.
func agree(want, have []int) bool {
	if len(want) != len(have) {
		return false
	}
	for i, d := range want {
		if d >= 0 && d != have[i] {
			return false
		}
	}
	return true
}

// shapeText writes a shape for an error: [batch,?,4].
func shapeText(shape []int, dims []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range shape {
		if i > 0 {
			b.WriteByte(',')
		}
		switch {
		case d >= 0:
			b.WriteString(strconv.Itoa(d))
		case i < len(dims) && dims[i] != "":
			b.WriteString(dims[i])
		default:
			b.WriteByte('?')
		}
	}
	b.WriteByte(']')
	return b.String()
}
