package codec

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// Text is text/plain: one string. Decode takes the whole body, line ends
// included, for the only input of a model, one that takes strings; a byte order
// mark is dropped. It must be UTF-8.
//
// Encode writes one value a line: a model's only output where that has one
// value a row, a classifier's label. Strings stand as they are, so that of
// several none may hold a line end; numbers are written as in [CSV].
type Text struct{}

// MediaTypes returns text/plain.
func (Text) MediaTypes() []string { return textTypes }

var textTypes = []string{"text/plain"}

// Decode implements [Codec].
func (Text) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	want := runtime.Info{DType: runtime.String, Shape: []int{-1}}
	switch {
	case len(r.Want) == 1:
		want = r.Want[0]
	case r.Want != nil:
		return nil, errorf("text", "", "one string for a model with %d inputs: send application/json or text/csv", len(r.Want))
	}
	if want.Kind != runtime.KindTensor || want.DType != runtime.String {
		return nil, errorf("text", "", "text for input %q, which takes %v: send text/csv or application/json", want.Name, want.DType)
	}
	shape, err := fitShape(nil, &want, []int{1}, false)
	if err != nil {
		return nil, errorf("text", "", "one string for input %q: %v", want.Name, err)
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if i := notUTF8(body); i >= 0 {
		return nil, errorf("text", fmt.Sprintf("byte %d", i), "%#x is not UTF-8", body[i])
	}
	r.Found.Dialect = Rows
	return []runtime.Tensor{{Name: want.Name, Shape: shape, Data: []string{string(body)}}}, nil
}

// notUTF8 returns where b stops being UTF-8, -1 if it does not.
func notUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// Encode implements [Codec].
func (Text) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	if newRowWriter(out, r).classifier {
		out = out[:1]
	}
	if len(out) != 1 {
		return nil, fmt.Errorf("%w: text/plain holds one value a line, there are %d outputs: accept application/json, or ask for one with the custom attribute ort-outputs", ErrNotAcceptable, len(out))
	}
	t := out[0]
	if t.Kind() != runtime.KindTensor {
		return nil, fmt.Errorf("%w: output %q is a sequence or a map, which is no text; accept application/json", ErrNotAcceptable, t.Name)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	n := runtime.Len(t.Data)
	if len(t.Shape) > 1 && n != t.Shape[0] {
		return nil, fmt.Errorf("%w: output %q has rows of shape %s, and text/plain holds one value a line; accept text/csv or application/json", ErrNotAcceptable, t.Name, shapeText(t.Shape[1:], nil))
	}
	texts, isText := t.Data.([]string)
	for i := range n {
		if i > 0 {
			dst = append(dst, '\n')
		}
		switch {
		case !isText:
			dst = appendNumbers(dst, t.Data, i, i+1)
		case n > 1 && strings.ContainsAny(texts[i], "\r\n"):
			return nil, fmt.Errorf("%w: string %d of output %q holds a line end, which text/plain cannot tell from the next string's; accept application/json", ErrNotAcceptable, i, t.Name)
		default:
			dst = append(dst, texts[i]...)
		}
	}
	if r.Trailing && n > 0 {
		dst = append(dst, '\n')
	}
	return dst, nil
}
