package codec

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// V2Binary is KServe V2 with its binary tensor extension, under the media type
// that Triton has for it on SageMaker: JSON, as long as the parameter
// json-header-size says, and behind it the data of the tensors that have
//
//	"parameters": {"binary_data_size": 16}
//
// instead of "data", in their order: elements row-major and little-endian, a
// byte for a bool (0 or 1), and each of BYTES behind its length in four bytes.
// What has "data" may stand among them. The extension itself gives the length
// in the header Inference-Header-Content-Length; whoever reads that makes it
// the parameter.
//
// A request, in binary or in [JSON], that has binary_data_output among its
// "parameters", or binary_data among those of an output, is answered in binary
// by JSON's Encode too. Encode writes every output in binary. Either way the
// reply's type says how long its JSON is: see ContentType in [Reply].
//
// Data shares the body's memory where it is aligned, as it is behind JSON that
// is filled up with spaces.
type V2Binary struct{}

// MediaTypes returns application/vnd.sagemaker-triton.binary+json.
func (V2Binary) MediaTypes() []string { return v2BinaryTypes }

var v2BinaryTypes = []string{"application/vnd.sagemaker-triton.binary+json"}

// headerSize is the parameter that says where the JSON ends.
const headerSize = "json-header-size"

// Decode implements [Codec].
func (V2Binary) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	given, ok := r.Params[headerSize]
	n, err := strconv.ParseUint(given, 10, 32)
	switch {
	case !ok:
		return nil, errorf("KServe V2", "", "the parameter %s of the media type is missing: how many bytes of JSON the body begins with", headerSize)
	case err != nil || n == 0:
		return nil, errorf("KServe V2", "", "%s is how many bytes of JSON the body begins with, not %s", headerSize, quote(given))
	case n > uint64(len(body)):
		return nil, errorf("KServe V2", "", "%s is %d, and the body has %d bytes", headerSize, n, len(body))
	}
	return decodeJSON(body[:n:n], body[n:len(body):len(body)], r)
}

// Encode implements [Codec].
func (V2Binary) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	if err := checkTensors(out); err != nil {
		return dst, err
	}
	return appendV2(dst, out, r, true)
}

// binary reports whether the request asks for that output in binary.
func (r *Reply) binary(output string) bool {
	for _, o := range r.Outputs {
		if o.Name == output {
			return o.Binary
		}
	}
	return r.Found.Binary
}

// v2Flag reads the "parameters" at the cursor for the bool under key.
func (d *jsonBody) v2Flag(key string, into *bool) error {
	return d.v2Parameter(key, func() error {
		d.peek()
		at := d.i
		switch d.word() {
		case "true":
			*into = true
		case "false":
			*into = false
		default:
			return d.errorf("%s is %s, and true or false is wanted", key, clip(d.token(at)))
		}
		return nil
	})
}

// v2Parameter reads the "parameters" at the cursor; read reads what is under
// key.
func (d *jsonBody) v2Parameter(key string, read func() error) error {
	if d.peek() != '{' {
		return d.skip(2)
	}
	for first := true; ; first = false {
		k, more, err := d.member(first)
		if !more {
			return err
		}
		if string(k) == key {
			err = read()
		} else {
			err = d.skip(3)
		}
		if err != nil {
			return err
		}
	}
}

// v2Size reads the "parameters" of an input.
func (d *jsonBody) v2Size(t *v2Tensor) error {
	if !d.binary {
		return d.skip(2)
	}
	return d.v2Parameter("binary_data_size", func() error {
		d.field = "binary_data_size"
		d.peek()
		num, end := scanNumber(d.b, d.i, strict)
		n, why := toSigned[int64](num, d.b[d.i:end])
		switch {
		case end == d.i || why != accepted || n < 0:
			return d.errorf("%s where a number of bytes is wanted", clip(d.token(d.i)))
		case t.size >= 0:
			return d.errorf("it is given twice")
		}
		t.size, d.i = int(n), end
		return nil
	})
}

// v2Binary takes t's data from what follows the JSON.
func (d *jsonBody) v2Binary(t *v2Tensor) error {
	in, want, err := d.v2Target(t)
	if err != nil {
		return err
	}
	d.field = "binary_data_size"
	if t.size > len(d.tail) {
		return d.errorf("%d bytes, and %d are left behind the JSON and the data of the inputs before", t.size, len(d.tail))
	}
	raw := d.tail[:t.size:t.size]
	d.tail = d.tail[t.size:]
	model := in.dtype
	data, err := binaryElements(t.dtype, raw, want)
	if err != nil {
		return d.errorf("%v of shape %s: %v", t.dtype, shapeText(t.shape, nil), err)
	}
	return d.v2Fill(in, t, model, data)
}

// binaryElements returns n elements of type d that raw consists of.
func binaryElements(d runtime.DType, raw []byte, n int) (any, error) {
	if d == runtime.String {
		return binaryStrings(raw, n)
	}
	if len(raw)%d.Size() != 0 || len(raw)/d.Size() != n {
		return nil, fmt.Errorf("%d bytes where %d elements of %d bytes are wanted", len(raw), n, d.Size())
	}
	if d == runtime.Bool {
		if i := oddByte(raw); i >= 0 {
			return nil, fmt.Errorf("element %d is %d, and a bool is 0 or 1", i, raw[i])
		}
	}
	if data := runtime.View(d, raw); data != nil {
		return data, nil
	}
	data := runtime.Make(d, n)
	copy(runtime.Bytes(data), raw)
	return data, nil
}

// binaryStrings reads strings behind their lengths; they share raw's memory.
func binaryStrings(raw []byte, n int) ([]string, error) {
	if n > len(raw)/4 {
		return nil, fmt.Errorf("%d bytes cannot hold %d elements, each behind its length in 4 bytes", len(raw), n)
	}
	data := make([]string, n)
	rest := raw
	for i := range data {
		if len(rest) < 4 {
			return nil, fmt.Errorf("the data ends where the length of element %d is wanted", i)
		}
		size := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(size) > uint64(len(rest)) {
			return nil, fmt.Errorf("element %d has %d bytes, and %d are left", i, size, len(rest))
		}
		data[i] = unsafe.String(unsafe.SliceData(rest), size)
		rest = rest[size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the last of %d elements", len(rest), n)
	}
	return data, nil
}

// binarySize returns how many bytes appendBinary appends.
func binarySize(data any) int {
	texts, ok := data.([]string)
	if !ok {
		return len(runtime.Bytes(data))
	}
	n := 4 * len(texts)
	for _, s := range texts {
		n += len(s)
	}
	return n
}

// appendBinary appends a tensor's elements.
func appendBinary(dst []byte, data any) []byte {
	dst = slices.Grow(dst, binarySize(data))
	texts, ok := data.([]string)
	if !ok {
		return append(dst, runtime.Bytes(data)...)
	}
	for _, s := range texts {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
		dst = append(dst, s...)
	}
	return dst
}
