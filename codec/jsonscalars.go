package codec

import (
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// appendElements appends data[from:to] separated by commas.
func appendElements(dst []byte, data any, from, to int) []byte {
	switch s := data.(type) {
	case []float32: // not by appendEach: a call less for each
		for i, v := range s[from:to] {
			if i > 0 {
				dst = append(dst, ',')
			}
			if v-v == 0 {
				dst = appendFloat32(dst, v)
			} else {
				dst = jsonFloat64(dst, float64(v))
			}
		}
		return dst
	case []float64:
		return appendEach(dst, s[from:to], jsonFloat64)
	case []string:
		return appendEach(dst, s[from:to], appendString)
	case []runtime.F16:
		return appendEach(dst, s[from:to], jsonSmallFloat)
	case []runtime.BF16:
		return appendEach(dst, s[from:to], jsonSmallFloat)
	case []runtime.F8E4M3FN:
		return appendEach(dst, s[from:to], jsonSmallFloat)
	case []runtime.F8E4M3FNUZ:
		return appendEach(dst, s[from:to], jsonSmallFloat)
	case []runtime.F8E5M2:
		return appendEach(dst, s[from:to], jsonSmallFloat)
	case []runtime.F8E5M2FNUZ:
		return appendEach(dst, s[from:to], jsonSmallFloat)
	}
	return appendNumbers(dst, data, from, to)
}

func jsonFloat64(dst []byte, v float64) []byte {
	if v-v == 0 {
		return appendFloat64(dst, v)
	}
	dst = appendFloat64(append(dst, '"'), v)
	return append(dst, '"')
}

func jsonFloat32(dst []byte, v float32) []byte {
	if v-v == 0 {
		return appendFloat32(dst, v)
	}
	return jsonFloat64(dst, float64(v))
}

func jsonSmallFloat[T smallFloat](dst []byte, v T) []byte { return jsonFloat32(dst, v.Float32()) }

// appendString appends s in quotes, escaping what JSON wants escaped; invalid
// UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch {
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, "\ufffd"...)
		}
		i += size
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// jsonSize guesses the length of out's text, rather too long than too short.
func jsonSize(out []runtime.Tensor) int {
	n := 64
	for i := range out {
		t := &out[i]
		n += len(t.Name) + 16
		switch data := t.Data.(type) {
		case []runtime.Tensor:
			n += jsonSize(data)
		case []runtime.Map:
			n += 64 * len(data)
		case []string:
			for _, s := range data {
				n += len(s) + 4
			}
		case []float32:
			n += 14 * len(data)
		case []float64:
			n += 21 * len(data)
		default:
			n += (4 + 5*t.DType().Size()/2) * runtime.Len(data)
		}
	}
	return n
}
