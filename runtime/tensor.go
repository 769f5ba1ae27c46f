package runtime

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"
)

// A Tensor is dense and row-major. Data is the slice that [Make] returns for
// its element type ([]float32, []string, ...), as long as Shape's product; a
// nil Shape is rank 0, one element. For a sequence Data is []Tensor or []Map,
// for a map it is a Map, and Shape means nothing.
type Tensor struct {
	Name  string
	Shape []int
	Data  any
}

// A Map is a value of ONNX's map type: Keys is []int64 or []string, Values a
// slice of the same length.
type Map struct {
	Keys   any
	Values any
}

// DType returns the element type of t's Data.
func (t Tensor) DType() DType { return DTypeOf(t.Data) }

// Kind says whether t is a tensor, a sequence or a map, by its Data.
func (t Tensor) Kind() Kind {
	switch t.Data.(type) {
	case []Tensor, []Map:
		return KindSequence
	case Map:
		return KindMap
	}
	return KindTensor
}

// Check reports whether t's Data is a slice of a known element type whose
// length is the product of Shape.
func (t Tensor) Check() error {
	d := t.DType()
	if d == Undefined {
		return fmt.Errorf("tensor %q: its data is a %T, which is no tensor's", t.Name, t.Data)
	}
	n, err := Elements(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if have := Len(t.Data); have != n {
		return fmt.Errorf("tensor %q: shape %v holds %d elements, its data has %d", t.Name, t.Shape, n, have)
	}
	return nil
}

// Elements returns the number of elements in a shape, 1 for rank 0. A negative
// dimension and a product that does not fit an int are errors.
func Elements(shape []int) (int, error) {
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape %v has the negative dimension %d", shape, d)
		case d == 0:
			zero = true
		default:
			over, product := bits.Mul64(uint64(n), uint64(d)) // a division would take longer than many a small tensor
			if over != 0 || product > math.MaxInt {
				return 0, fmt.Errorf("shape %v holds more elements than an int counts", shape)
			}
			n = int(product)
		}
	}
	if zero {
		return 0, nil
	}
	return n, nil
}

// Len returns the length of a Tensor's Data, 0 when it is not a slice of a
// known element type.
func Len(data any) int {
	if s, ok := data.([]string); ok {
		return len(s)
	}
	d := DTypeOf(data)
	if d == Undefined {
		return 0
	}
	return len(Bytes(data)) / d.Size()
}

// Bytes returns the memory of a numeric or bool slice, not a copy of it, in
// the machine's byte order (little-endian on every platform Clary builds for).
// It is nil for []string and for what is no tensor's data.
func Bytes(data any) []byte {
	switch s := data.(type) {
	case []float32:
		return bytesOf(s)
	case []float64:
		return bytesOf(s)
	case []int64:
		return bytesOf(s)
	case []int32:
		return bytesOf(s)
	case []bool:
		return bytesOf(s)
	case []uint8:
		return s
	case []int8:
		return bytesOf(s)
	case []uint16:
		return bytesOf(s)
	case []int16:
		return bytesOf(s)
	case []uint32:
		return bytesOf(s)
	case []uint64:
		return bytesOf(s)
	case []F16:
		return bytesOf(s)
	case []BF16:
		return bytesOf(s)
	case []F8E4M3FN:
		return bytesOf(s)
	case []F8E4M3FNUZ:
		return bytesOf(s)
	case []F8E5M2:
		return bytesOf(s)
	case []F8E5M2FNUZ:
		return bytesOf(s)
	}
	return nil
}

// View returns b as a slice of d without copying: the reverse of [Bytes]. It
// returns nil when b is not aligned for d, is not a whole number of elements,
// or d is String or not Known. A bool's byte must be 0 or 1: check before.
func View(d DType, b []byte) any {
	size := d.Size()
	if size == 0 || len(b)%size != 0 {
		return nil
	}
	if len(b) == 0 {
		return Make(d, 0)
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%uintptr(size) != 0 {
		return nil
	}
	switch d {
	case Float32:
		return sliceOf[float32](b)
	case Float64:
		return sliceOf[float64](b)
	case Int64:
		return sliceOf[int64](b)
	case Int32:
		return sliceOf[int32](b)
	case Bool:
		return sliceOf[bool](b)
	case Uint8:
		return b
	case Int8:
		return sliceOf[int8](b)
	case Uint16:
		return sliceOf[uint16](b)
	case Int16:
		return sliceOf[int16](b)
	case Uint32:
		return sliceOf[uint32](b)
	case Uint64:
		return sliceOf[uint64](b)
	case Float16:
		return sliceOf[F16](b)
	case BFloat16:
		return sliceOf[BF16](b)
	case Float8E4M3FN:
		return sliceOf[F8E4M3FN](b)
	case Float8E4M3FNUZ:
		return sliceOf[F8E4M3FNUZ](b)
	case Float8E5M2:
		return sliceOf[F8E5M2](b)
	case Float8E5M2FNUZ:
		return sliceOf[F8E5M2FNUZ](b)
	}
	return nil
}

func bytesOf[T any](s []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(zero)))
}

func sliceOf[T any](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}
