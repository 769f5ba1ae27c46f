package codec

import (
	"math"

	"github.com/claryhq/clary/runtime"
)

// A jsonTensor is one input while it is read from nested lists, as a whole or
// row by row. The shape is found on the way: the first list of each level says
// how long the others must be.
type jsonTensor struct {
	elements
	info  *runtime.Info // nil: the body says what it is
	name  string
	shape [maxRank]int // of the whole value, or of each row; -1 before the first list has ended
	rank  int          // -1 before the first element
	rows  int          // rows read; 1 for a whole value
	flat  bool         // rows came as vectors of features
}

// value reads the value at the cursor into t. level is how many lists it lies
// in, up to the value's own beginning.
func (r *jsonReader) value(t *jsonTensor, level int) error {
	c := r.peek()
	if c == '[' {
		if t.rank == level {
			return r.errorf("a list where %s is wanted, as before it", t.wanted())
		}
		return r.values(t, level)
	}
	if t.rank < 0 {
		t.rank = level
	}
	if t.rank != level {
		if c == 0 {
			return r.syntax("a value")
		}
		return r.errorf("%s where a list is wanted, as before it", clip(r.token(r.i)))
	}
	return r.element(t, c)
}

// values reads a list, which is one dimension of t.
func (r *jsonReader) values(t *jsonTensor, level int) error {
	if level == maxRank {
		return r.errorf("lists nest more than %d deep", maxRank)
	}
	r.i++
	n := 0
	c := r.peek()
	if c == ']' {
		r.i++
		if t.rank < 0 {
			t.open(level + 1)
		}
		return r.dimension(t, level, 0)
	}
	if t.rank < 0 && c != '[' {
		t.open(level + 1)
	}
	before := t.n
	r.depth = level + 1
	for {
		r.idx[level] = n
		if t.rank == level+1 && c != '[' {
			if err := r.element(t, c); err != nil {
				return err
			}
			n = t.n - before
		} else {
			if err := r.value(t, level+1); err != nil {
				return err
			}
			n++
		}
		switch r.peek() {
		case ',':
			r.i++
			c = r.peek()
			continue
		case ']':
			r.i++
			r.depth = level
			return r.dimension(t, level, n)
		}
		return r.syntax("a comma or ]")
	}
}

// open sets the rank, found at the first element.
func (t *jsonTensor) open(rank int) {
	t.rank = rank
	for i := range rank {
		t.shape[i] = -1
	}
}

// dimension records that a list of t's level has n elements.
func (r *jsonReader) dimension(t *jsonTensor, level, n int) error {
	switch {
	case t.shape[level] < 0:
		t.shape[level] = n
	case t.shape[level] != n:
		return r.errorf("a list of %d where %d are wanted, as in the one before it: every list of a level has the same length", n, t.shape[level])
	}
	return nil
}

// element reads what is not a list into t: a run of numbers as far as it goes,
// or one value of another kind. c is the byte at the cursor.
func (r *jsonReader) element(t *jsonTensor, c byte) error {
	var why refusal
	start := r.i
	switch {
	case c-'0' <= 9 || c == '-' && (start+1 == len(r.b) || r.b[start+1] != 'I'):
		b := r.b
		if t.rank == 0 { // the number after a comma is not t's
			_, end := scanNumber(b, start, strict)
			b = b[:end]
		}
		r.i, why = t.numbers(b, start, strict)
		if why == notNumber {
			return r.syntax("a number as JSON writes it")
		}
	case c == '"':
		raw, escaped, err := r.quoted()
		if err != nil {
			return err
		}
		v, ok := nonFinite(raw)
		if ok && t.dtype != runtime.String && (t.data != nil || t.info != nil) {
			why = t.nonFinite(v)
		} else {
			why = t.string(text(raw, escaped))
		}
	case c == '{':
		return r.errorf("an object where %s is wanted", t.wanted())
	default:
		switch r.word() {
		case "true":
			why = t.bool(true)
		case "false":
			why = t.bool(false)
		case "NaN":
			why = t.nonFinite(math.NaN())
		case "Infinity":
			why = t.nonFinite(math.Inf(1))
		case "-Infinity":
			why = t.nonFinite(math.Inf(-1))
		case "null":
			if t.dtype == runtime.String {
				return r.errorf(`null where a string is wanted; an empty one is ""`)
			}
			return r.errorf(`null where %s is wanted; a missing number is "NaN"`, t.wanted())
		default:
			return r.syntax("a value")
		}
	}
	if why != accepted {
		shown := string(r.b[start:r.i])
		if r.i == start {
			shown = r.token(start)
		}
		return r.errorf("%s", why.explain(t.dtype, shown))
	}
	return nil
}

// wanted names what t's elements are for an error.
func (t *jsonTensor) wanted() string {
	switch {
	case t.dtype == runtime.String:
		return "a string"
	case t.dtype == runtime.Bool:
		return "a bool"
	case t.dtype == runtime.Undefined:
		return "a value"
	}
	return "a number (" + t.dtype.String() + ")"
}
