package codec

import (
	"fmt"
	"strings"
)

// All returns the codecs, in the order in which a wildcard prefers them.
func All() []Codec {
	return []Codec{JSON{}, JSONLines{}, CSV{}, NPY{}, NPZ{}, RecordIO{}, LibSVM{}, Raw{}, Text{}, Parquet{}, Arrow{}, V2Binary{}, Image{}}
}

// A reader is a codec that only decodes: no Accept chooses it.
type reader interface{ readsOnly() }

// Writes reports whether c, which may be nil, can write a reply.
func Writes(c Codec) bool {
	_, only := c.(reader)
	return c != nil && !only
}

// A format is a codec under one of its names, in lower case.
type format struct {
	name  string
	codec Codec
}

// formats is every codec under every name; written once, before main.
var formats = func() map[string]format {
	m := make(map[string]format)
	for _, c := range All() {
		for _, name := range c.MediaTypes() {
			m[name] = format{name, c}
		}
	}
	return m
}()

// Lookup returns the codec of a media type without parameters, in any case.
func Lookup(mediaType string) (Codec, bool) {
	f := formatOf(mediaType)
	return f.codec, f.codec != nil
}

// For returns the codec of a Content-Type and the parameters to decode with.
// An error wraps [ErrMediaType] and says what is supported.
func For(contentType string) (Codec, map[string]string, error) {
	m, err := ParseMediaType(contentType)
	if err != nil {
		return nil, nil, err
	}
	f := formats[m.Type]
	if f.codec == nil {
		return nil, nil, fmt.Errorf("%w: %s; supported are %s", ErrMediaType, quote(m.Type), supported(func(Codec) bool { return true }))
	}
	return f.codec, m.Params, nil
}

// formatOf finds a media type in any case; it allocates nothing.
func formatOf(mediaType string) format {
	var lower [64]byte
	if len(mediaType) > len(lower) {
		return format{}
	}
	for i := range len(mediaType) {
		c := mediaType[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return formats[string(lower[:len(mediaType)])]
}

// supported lists the canonical media types of the codecs that can do
// something, for an error message.
func supported(can func(Codec) bool) string {
	var names []string
	for _, c := range All() {
		if can(c) {
			names = append(names, c.MediaTypes()[0])
		}
	}
	return strings.Join(names, ", ")
}
