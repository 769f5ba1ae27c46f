package codec

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// maxNPYText bounds an array of strings, which takes four bytes times the
// longest string's characters for every element.
const maxNPYText = 256 << 20

// appendNPY appends t as numpy.save writes it.
func appendNPY(dst []byte, t runtime.Tensor) ([]byte, error) {
	if t.Kind() != runtime.KindTensor {
		return nil, fmt.Errorf("%w: output %q is a sequence or a map, which no NPY file holds; accept application/json", ErrNotAcceptable, t.Name)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	if s, ok := t.Data.([]string); ok {
		return appendNPYText(dst, t, s)
	}
	dst, err := appendNPYHeader(dst, npyDescr(t.DType()), t.Shape)
	if err != nil {
		return nil, err
	}
	return append(dst, runtime.Bytes(t.Data)...), nil
}

// npyDescr returns numpy's name of a type; those that numpy lacks are bytes
// without a type, as ml_dtypes saves them.
func npyDescr(d runtime.DType) string {
	if d == runtime.BFloat16 {
		return "<V2"
	}
	for _, t := range npyTypesOf {
		if t.dtype == d {
			order := "<"
			if d.Size() == 1 {
				order = "|"
			}
			return order + string(rune(t.kind)) + strconv.Itoa(d.Size())
		}
	}
	return "|V1"
}

func appendNPYText(dst []byte, t runtime.Tensor, s []string) ([]byte, error) {
	width := 1
	for i, v := range s {
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("%w: element %d of output %q is not UTF-8", ErrNotAcceptable, i, t.Name)
		}
		width = max(width, utf8.RuneCountInString(v))
	}
	if len(s) > maxNPYText/4/width {
		return nil, fmt.Errorf("%w: output %q as NPY would give every one of %d strings room for %d characters, over %d MiB; accept application/json",
			ErrNotAcceptable, t.Name, len(s), width, maxNPYText>>20)
	}
	dst, err := appendNPYHeader(dst, "<U"+strconv.Itoa(width), t.Shape)
	if err != nil {
		return nil, err
	}
	for _, v := range s {
		end := len(dst) + 4*width
		for _, c := range v {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(c))
		}
		for len(dst) < end {
			dst = append(dst, 0)
		}
	}
	return dst, nil
}
