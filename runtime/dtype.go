package runtime

import "fmt"

// A DType is a tensor's element type, numbered as ONNX does
// (TensorProto.DataType in onnx.proto).
type DType uint8

// The element types that ONNX Runtime runs on a CPU.
const (
	Undefined      DType = 0
	Float32        DType = 1
	Uint8          DType = 2
	Int8           DType = 3
	Uint16         DType = 4
	Int16          DType = 5
	Int32          DType = 6
	Int64          DType = 7
	String         DType = 8
	Bool           DType = 9
	Float16        DType = 10
	Float64        DType = 11
	Uint32         DType = 12
	Uint64         DType = 13
	BFloat16       DType = 16
	Float8E4M3FN   DType = 17
	Float8E4M3FNUZ DType = 18
	Float8E5M2     DType = 19
	Float8E5M2FNUZ DType = 20
)

var dtypes = [...]struct {
	name string
	size int
}{
	Undefined: {"undefined", 0},
	Float32:   {"float32", 4}, Float64: {"float64", 8}, Float16: {"float16", 2}, BFloat16: {"bfloat16", 2},
	Uint8: {"uint8", 1}, Uint16: {"uint16", 2}, Uint32: {"uint32", 4}, Uint64: {"uint64", 8},
	Int8: {"int8", 1}, Int16: {"int16", 2}, Int32: {"int32", 4}, Int64: {"int64", 8},
	String: {"string", 0}, Bool: {"bool", 1},
	Float8E4M3FN: {"float8e4m3fn", 1}, Float8E4M3FNUZ: {"float8e4m3fnuz", 1},
	Float8E5M2: {"float8e5m2", 1}, Float8E5M2FNUZ: {"float8e5m2fnuz", 1},
}

// Known reports whether d is one of the constants above other than Undefined.
func (d DType) Known() bool { return d != Undefined && int(d) < len(dtypes) && dtypes[d].name != "" }

// String returns the type's name as numpy and ONNX write it: "float32".
func (d DType) String() string {
	if d == Undefined || d.Known() {
		return dtypes[d].name
	}
	return fmt.Sprintf("onnx type %d", uint8(d))
}

// Size returns the bytes one element takes; 0 for String and Undefined.
func (d DType) Size() int {
	if !d.Known() {
		return 0
	}
	return dtypes[d].size
}

// Float reports whether d is a floating-point type of any width.
func (d DType) Float() bool {
	switch d {
	case Float32, Float64, Float16, BFloat16, Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ:
		return true
	}
	return false
}

// Integer reports whether d is a signed or unsigned integer type.
func (d DType) Integer() bool {
	switch d {
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64:
		return true
	}
	return false
}

// DTypeOf returns the element type of a Tensor's Data, Undefined for anything
// that is not one of the slices that [Make] returns.
func DTypeOf(data any) DType {
	switch data.(type) {
	case []float32:
		return Float32
	case []float64:
		return Float64
	case []int64:
		return Int64
	case []int32:
		return Int32
	case []string:
		return String
	case []bool:
		return Bool
	case []uint8:
		return Uint8
	case []int8:
		return Int8
	case []uint16:
		return Uint16
	case []int16:
		return Int16
	case []uint32:
		return Uint32
	case []uint64:
		return Uint64
	case []F16:
		return Float16
	case []BF16:
		return BFloat16
	case []F8E4M3FN:
		return Float8E4M3FN
	case []F8E4M3FNUZ:
		return Float8E4M3FNUZ
	case []F8E5M2:
		return Float8E5M2
	case []F8E5M2FNUZ:
		return Float8E5M2FNUZ
	}
	return Undefined
}

// Make returns a zeroed slice of n elements of type d, or nil when d is not
// Known.
func Make(d DType, n int) any {
	switch d {
	case Float32:
		return make([]float32, n)
	case Float64:
		return make([]float64, n)
	case Int64:
		return make([]int64, n)
	case Int32:
		return make([]int32, n)
	case String:
		return make([]string, n)
	case Bool:
		return make([]bool, n)
	case Uint8:
		return make([]uint8, n)
	case Int8:
		return make([]int8, n)
	case Uint16:
		return make([]uint16, n)
	case Int16:
		return make([]int16, n)
	case Uint32:
		return make([]uint32, n)
	case Uint64:
		return make([]uint64, n)
	case Float16:
		return make([]F16, n)
	case BFloat16:
		return make([]BF16, n)
	case Float8E4M3FN:
		return make([]F8E4M3FN, n)
	case Float8E4M3FNUZ:
		return make([]F8E4M3FNUZ, n)
	case Float8E5M2:
		return make([]F8E5M2, n)
	case Float8E5M2FNUZ:
		return make([]F8E5M2FNUZ, n)
	}
	return nil
}
