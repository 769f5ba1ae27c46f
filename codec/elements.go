package codec

import (
	"github.com/claryhq/clary/runtime"
)

// elements collects the elements of one tensor as they are read from text, in
// the slice that the model will read. The element type is looked at once for a
// run of numbers, not for each.
//
// The zero value is of no type yet and takes that of its first element: bool,
// string, float64, or int64, which still widens to float64 when a number that
// is not written as an integer follows.
type elements struct {
	dtype runtime.DType
	data  any  // what runtime.Make returns; the first n are filled
	n     int  // elements so far
	free  bool // the type is int64 only because all numbers so far were integers
}

// newElements returns an empty collection with room for n elements of type d;
// it grows beyond them.
func newElements(d runtime.DType, n int) elements {
	return elements{dtype: d, data: runtime.Make(d, n)}
}

// numbers appends a run of numbers separated by g's comma, and returns where the
// last of them ends: the caller looks at what follows. With nothing appended
// the refusal says why; a number that is refused later on ends the run before
// its comma, so that the next call meets it first.
//
// In the strict grammar JSON's white space may stand around the commas, in the
// loose one spaces and tabs.
func (e *elements) numbers(b []byte, i int, g grammar) (end int, why refusal) {
	switch dst := e.data.(type) {
	case []float32:
		return runFloat(e, dst, b, i, g, toFloat32)
	case []float64:
		return runFloat(e, dst, b, i, g, toFloat64)
	case nil:
		e.become(runtime.Int64)
		e.free = true
		return e.numbers(b, i, g)
	case []int64:
		if !e.free {
			return run(e, dst, b, i, g, toSigned[int64])
		}
		end, why = run(e, dst, b, i, g, literalInt64)
		if why == notWhole || why == outOfRange {
			if why = e.widen(); why == accepted {
				return e.numbers(b, i, g)
			}
		}
		return end, why
	case []int32:
		return run(e, dst, b, i, g, toSigned[int32])
	case []bool:
		return run(e, dst, b, i, g, toBool)
	case []uint8:
		return run(e, dst, b, i, g, toUnsigned[uint8])
	case []int8:
		return run(e, dst, b, i, g, toSigned[int8])
	case []uint16:
		return run(e, dst, b, i, g, toUnsigned[uint16])
	case []int16:
		return run(e, dst, b, i, g, toSigned[int16])
	case []uint32:
		return run(e, dst, b, i, g, toUnsigned[uint32])
	case []uint64:
		return run(e, dst, b, i, g, toUnsigned[uint64])
	case []runtime.F16:
		return run(e, dst, b, i, g, toSmallFloat(runtime.ToF16))
	case []runtime.BF16:
		return run(e, dst, b, i, g, toSmallFloat(runtime.ToBF16))
	case []runtime.F8E4M3FN:
		return run(e, dst, b, i, g, toSmallFloat(runtime.ToF8E4M3FN))
	case []runtime.F8E4M3FNUZ:
		return run(e, dst, b, i, g, toSmallFloat(runtime.ToF8E4M3FNUZ))
	case []runtime.F8E5M2:
		return run(e, dst, b, i, g, toSmallFloat(runtime.ToF8E5M2))
	case []runtime.F8E5M2FNUZ:
		return run(e, dst, b, i, g, toSmallFloat(runtime.ToF8E5M2FNUZ))
	}
	return i, wantsString
}

// run is numbers for one element type.
func run[T any](e *elements, dst []T, b []byte, i int, g grammar, convert func(number, []byte) (T, refusal)) (end int, why refusal) {
	n := e.n
	for end = i; i >= 0; {
		var v T
		var after int
		if v, after, why = one(b, i, g, convert); why != accepted {
			break
		}
		if n == len(dst) {
			dst = grow(e, dst)
		}
		dst[n] = v
		n++
		end = after
		i = nextNumber(b, after, g)
	}
	return e.ran(n, end, why)
}

// runFloat is run for the types that most bodies are for.
func runFloat[T float32 | float64](e *elements, dst []T, b []byte, i int, g grammar, convert func(number, []byte) (T, refusal)) (end int, why refusal) {
	_, single := any(dst).([]float32)
	n, comma := e.n, g.comma()
	// The end of b, from at on, is read from room, where quickFloat can look
	// beyond it.
	var room [2 * quickWindow]byte
	text, at, last := b, 0, len(b)-quickWindow
	for end = i; i >= 0; {
		if i > last {
			copy(room[:], b[i:])
			text, at, last = room[:], i, len(b)
		}
		f, took := 0.0, 0
		if single {
			f, took = quickSingle((*[quickWindow]byte)(text[i-at:]))
		}
		if took == 0 {
			f, took = quickFloat((*[quickWindow]byte)(text[i-at:]), single)
		}
		v, after := T(f), i+took
		if took == 0 || single && unsure32(f) {
			if v, after, why = one(b, i, g, convert); why != accepted {
				break
			}
		}
		if n == len(dst) {
			dst = grow(e, dst)
		}
		dst[n] = v
		n++
		end = after
		if i = after + 1; i >= len(b) || b[after] != comma || b[i]-'0' > 9 && b[i] != '-' {
			i = nextNumber(b, after, g)
		}
	}
	return e.ran(n, end, why)
}

// one reads the number at b[i].
func one[T any](b []byte, i int, g grammar, convert func(number, []byte) (T, refusal)) (v T, end int, why refusal) {
	n, end := scanNumber(b, i, g)
	if end == i {
		return v, i, notNumber
	}
	v, why = convert(n, b[i:end])
	return v, end, why
}

// ran records that e has n elements after a run. What stands before a refusal
// stands.
func (e *elements) ran(n, end int, why refusal) (int, refusal) {
	if n > e.n {
		why = accepted
	}
	e.n = n
	return end, why
}

// grow returns dst, e's data, with twice the room.
func grow[T any](e *elements, dst []T) []T {
	more := make([]T, max(2*len(dst), 8))
	copy(more, dst)
	e.data = more
	return more
}

// nextNumber returns where the number after the comma at b[i:] begins, -1 when
// there is no comma or no number.
func nextNumber(b []byte, i int, g grammar) int {
	comma := g.comma()
	if i < len(b) && b[i] != comma {
		i = skipBlank(b, i, g)
	}
	if i >= len(b) || b[i] != comma {
		return -1
	}
	i++
	if i < len(b) && b[i] <= ' ' {
		i = skipBlank(b, i, g)
	}
	if i < len(b) && (b[i]-'0' <= 9 || b[i] == '-' || g != strict && (b[i] == '+' || b[i] == '.')) {
		return i
	}
	return -1
}

func skipBlank(b []byte, i int, g grammar) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' && g != '\t' || g == strict && (b[i] == '\n' || b[i] == '\r')) {
		i++
	}
	return i
}

// become gives untyped elements their type.
func (e *elements) become(d runtime.DType) { *e = newElements(d, 8) }

// widen turns the integers so far into float64.
func (e *elements) widen() refusal {
	data, err := Convert(runtime.Float64, e.data)
	if err != nil {
		return identifier
	}
	e.dtype, e.data, e.free = runtime.Float64, data, false
	return accepted
}

// literalInt64 takes what is written as an integer.
func literalInt64(n number, text []byte) (int64, refusal) {
	if !n.whole {
		return 0, notWhole
	}
	return toSigned[int64](n, text)
}

// put appends v, which is of data's type.
func put[T any](e *elements, dst []T, v T) refusal {
	if e.n == len(dst) {
		dst = grow(e, dst)
	}
	dst[e.n] = v
	e.n++
	return accepted
}

// extend appends n elements, whatever they are. The type is known and no
// string.
func (e *elements) extend(n int) {
	if free := runtime.Len(e.data) - e.n; n > free {
		grown := runtime.Make(e.dtype, max(2*runtime.Len(e.data), e.n+n))
		copy(runtime.Bytes(grown), runtime.Bytes(e.data))
		e.data = grown
	}
	e.n += n
}

// string appends s to strings and refuses it elsewhere.
func (e *elements) string(s string) refusal {
	if e.data == nil {
		e.become(runtime.String)
	}
	if dst, ok := e.data.([]string); ok {
		return put(e, dst, s)
	}
	if e.dtype == runtime.Bool {
		return wantsBool
	}
	return wantsNumber
}

// bool appends v to bools and refuses it elsewhere.
func (e *elements) bool(v bool) refusal {
	if e.data == nil {
		e.become(runtime.Bool)
	}
	if dst, ok := e.data.([]bool); ok {
		return put(e, dst, v)
	}
	if e.dtype == runtime.String {
		return wantsString
	}
	return wantsNumber
}

// nonFinite appends NaN or an infinity to a float type that has it.
func (e *elements) nonFinite(v float64) refusal {
	if e.data == nil {
		e.become(runtime.Float64)
	}
	if e.free {
		if why := e.widen(); why != accepted {
			return why
		}
	}
	switch dst := e.data.(type) {
	case []float32:
		return put(e, dst, float32(v))
	case []float64:
		return put(e, dst, v)
	case []runtime.F16:
		return put(e, dst, runtime.ToF16(v))
	case []runtime.BF16:
		return put(e, dst, runtime.ToBF16(v))
	case []runtime.F8E4M3FN:
		return putNaN(e, dst, runtime.ToF8E4M3FN, v)
	case []runtime.F8E4M3FNUZ:
		return putNaN(e, dst, runtime.ToF8E4M3FNUZ, v)
	case []runtime.F8E5M2:
		return put(e, dst, runtime.ToF8E5M2(v))
	case []runtime.F8E5M2FNUZ:
		return putNaN(e, dst, runtime.ToF8E5M2FNUZ, v)
	case []string:
		return wantsString
	}
	return notFinite
}

// putNaN is put for the types without infinities.
func putNaN[T smallFloat](e *elements, dst []T, round func(float64) T, v float64) refusal {
	if v == v {
		return outOfRange
	}
	return put(e, dst, round(v))
}

// finish returns the elements as a tensor's Data; float64 where there was none
// to infer a type from.
func (e *elements) finish() any {
	if e.data == nil {
		e.become(runtime.Float64)
	}
	if e.n == runtime.Len(e.data) {
		return e.data
	}
	if s, ok := e.data.([]string); ok {
		return s[:e.n]
	}
	return runtime.View(e.dtype, runtime.Bytes(e.data)[:e.n*e.dtype.Size()])
}
