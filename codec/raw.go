package codec

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// Raw is application/octet-stream: the elements of one tensor and nothing else,
// row-major, little-endian, a byte for a bool (0 or 1).
//
// Decode takes it for a model's only input. Its shape is the input's, of which
// one dimension may be open: the length of the body says how long that is. The
// result shares body's memory where that is aligned. Without a model it is
// bytes. Strings are refused, and what has several open dimensions.
//
// Encode writes one tensor: of several, the parameter output names one, as in
// "application/octet-stream;output=probabilities".
type Raw struct{}

// MediaTypes returns application/octet-stream.
func (Raw) MediaTypes() []string { return rawTypes }

var rawTypes = []string{"application/octet-stream"}

// Decode implements [Codec].
func (Raw) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	var want *runtime.Info
	switch {
	case r.Want == nil:
		want = &runtime.Info{DType: runtime.Uint8, Shape: []int{-1}}
	case len(r.Want) == 1:
		want = &r.Want[0]
	default:
		return nil, errorf("octet-stream", "", "the bytes of one tensor for a model with %d inputs: send application/x-npz with arrays named %s", len(r.Want), inputNames(r.Want))
	}
	shape, err := rawShape(want, len(body))
	if err != nil {
		return nil, err
	}
	if want.DType == runtime.Bool {
		if i := oddByte(body); i >= 0 {
			return nil, errorf("octet-stream", fmt.Sprintf("byte %d", i), "a bool is %d, neither 0 nor 1", body[i])
		}
	}
	data := runtime.View(want.DType, body)
	if data == nil { // not aligned
		data = runtime.Make(want.DType, len(body)/want.DType.Size())
		copy(runtime.Bytes(data), body)
	}
	r.Found.Dialect = Rows
	return []runtime.Tensor{{Name: want.Name, Shape: shape, Data: data}}, nil
}

// rawShape returns the shape of n bytes as the input info.
func rawShape(info *runtime.Info, n int) ([]int, error) {
	refuse := func(msg string, args ...any) ([]int, error) {
		return nil, errorf("octet-stream", "", "input %q (%v of shape %s): %s", info.Name, info.DType, shapeText(info.Shape, info.Dims), fmt.Sprintf(msg, args...))
	}
	switch {
	case info.DType == runtime.String:
		return refuse("strings have no fixed number of bytes; send text/plain or application/json")
	case info.Kind != runtime.KindTensor || !info.DType.Known():
		return refuse("it is not a tensor of a known type")
	case info.Unranked:
		return refuse("it takes any shape, which bytes do not say; send application/x-npy")
	}
	shape := append([]int{}, info.Shape...)
	open, rest := -1, info.DType.Size() // bytes for each step of the open dimension
	for i, d := range shape {
		switch {
		case d >= 0:
			rest = product(rest, d)
		case open >= 0:
			return refuse("bytes do not say how they divide over two open dimensions; send application/x-npy")
		default:
			open = i
		}
	}
	switch {
	case open < 0 && n != rest:
		return refuse("%d bytes where %d are wanted", n, rest)
	case open >= 0 && rest <= 0:
		return refuse("its shape holds nothing, or more than can be counted")
	case open >= 0 && n%rest != 0:
		return refuse("%d bytes where a multiple of %d is wanted", n, rest)
	case open >= 0:
		shape[open] = n / rest
	}
	return shape, nil
}

// Encode implements [Codec].
func (Raw) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	t, err := oneOutput(out, r.Params["output"], rawTypes[0])
	if err != nil {
		return nil, err
	}
	if t.Kind() != runtime.KindTensor || t.DType() == runtime.String {
		return nil, fmt.Errorf("%w: the elements of output %q have no fixed number of bytes; accept application/json", ErrNotAcceptable, t.Name)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	return append(dst, runtime.Bytes(t.Data)...), nil
}
