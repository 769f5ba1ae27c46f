package codec

import (
	"fmt"
	"strings"
)

// What [Negotiate] reads of an Accept; SageMaker's own limit is 1024 bytes
// (contract §3.1).
const (
	maxAccept = 8 << 10 // bytes
	maxRanges = 100
)

// Negotiate chooses the reply's codec by an Accept header (RFC 9110 §12.5.1).
// fallback is the configured default, itself an Accept; request is the
// request's Content-Type.
//
// The highest q wins; then a named type before type/* before */*; then what
// stands first. The q of a type is that of the most specific range that
// matches it, so "*/*, text/csv;q=0" is anything but CSV. A missing Accept and
// a bare */* mean fallback, a missing fallback application/json. Another
// wildcard means the fallback's type where it covers it, else the request's,
// else the first of [All] that it covers: JSON for application/*, CSV for
// text/*.
//
// params are the winning range's parameters without q. contentType is what to
// send: the type as it was asked for, an alias included, in lower case. Text
// that is not JSON also says its charset, "text/csv; charset=utf-8" (JSON is
// always UTF-8, RFC 8259 §8.1), and CSV the header and delimiter that were
// asked for. An Accept that is malformed, longer
// than 8 KiB or 100 ranges, or that nothing here satisfies, is an error that
// wraps [ErrNotAcceptable].
func Negotiate(accept, fallback, request string) (c Codec, params map[string]string, contentType string, err error) {
	if acceptsAll(accept) {
		accept, fallback = fallback, ""
	}
	if acceptsAll(accept) {
		accept = "application/json"
	}
	if f := formatOf(accept); Writes(f.codec) {
		return f.codec, nil, replyType(f.name, nil), nil
	}
	ranges, err := parseAccept(accept)
	if err != nil {
		return nil, nil, "", err
	}
	best := -1
	for i, r := range ranges {
		if r.q > 0 && (best < 0 || r.q > ranges[best].q || r.q == ranges[best].q && r.level > ranges[best].level) {
			if f, p, ok := r.choose(ranges, fallback, request); ok {
				best, c, params, contentType = i, f.codec, p, replyType(f.name, p)
			}
		}
	}
	if best < 0 {
		return nil, nil, "", fmt.Errorf("%w: nothing that can be written matches Accept %s; it can be %s", ErrNotAcceptable, quote(accept), supported(Writes))
	}
	return c, params, contentType, nil
}

// acceptsAll reports whether accept leaves the choice to the default.
func acceptsAll(accept string) bool {
	accept = strings.Trim(accept, " \t")
	return accept == "" || accept == "*/*"
}

// An acceptRange is one entry of an Accept.
type acceptRange struct {
	MediaType
	q     int // in thousandths
	level int // 0: */*, 1: type/*, 2: a type
}

func parseAccept(accept string) ([]acceptRange, error) {
	malformed := func(err error) error {
		return fmt.Errorf("%w: Accept %s is malformed: %w", ErrNotAcceptable, quote(accept), err)
	}
	if len(accept) > maxAccept {
		return nil, malformed(fmt.Errorf("it has %d bytes, at most %d are read", len(accept), maxAccept))
	}
	var ranges []acceptRange
	for rest := accept; ; rest = rest[1:] {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			return ranges, nil
		}
		var r acceptRange
		var err error
		if r.MediaType, rest, err = scanMediaType(rest); err != nil {
			return nil, malformed(err)
		}
		if r.q, err = quality(r.Params); err != nil {
			return nil, malformed(err)
		}
		if delete(r.Params, "q"); len(r.Params) == 0 {
			r.Params = nil
		}
		major, minor, _ := strings.Cut(r.Type, "/")
		switch {
		case major == "*" && minor != "*":
			return nil, malformed(fmt.Errorf("%s has a subtype of any type", quote(r.Type)))
		case minor != "*":
			r.level = 2
		case major != "*":
			r.level = 1
		}
		if ranges = append(ranges, r); len(ranges) > maxRanges {
			return nil, malformed(fmt.Errorf("it has more than %d ranges", maxRanges))
		}
		if rest == "" {
			return ranges, nil
		}
	}
}

// quality returns the q among params in thousandths, 1000 if there is none. A
// missing leading zero and more than three decimals are forgiven.
func quality(params map[string]string) (int, error) {
	s, given := params["q"]
	if !given {
		return 1000, nil
	}
	whole, frac, _ := strings.Cut(s, ".")
	n, unit := 0, 100
	for _, c := range frac {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("q=%s is not a number from 0 to 1", quote(s))
		}
		n += unit * int(c-'0')
		unit /= 10
	}
	switch {
	case whole == "1" && strings.Trim(frac, "0") == "":
		return 1000, nil
	case whole == "0", whole == "" && frac != "":
		return n, nil
	}
	return 0, fmt.Errorf("q=%s is not a number from 0 to 1", quote(s))
}

// choose returns the format and parameters that r stands for among all ranges
// of its Accept; none when it is unknown, or ranged elsewhere more
// specifically.
func (r acceptRange) choose(all []acceptRange, fallback, request string) (format, map[string]string, bool) {
	if r.level == 2 {
		f := formats[r.Type]
		return f, r.Params, Writes(f.codec) && r.checkCharset() == nil
	}
	try := func(name string) (format, bool) {
		f := formats[name]
		return f, Writes(f.codec) && r.covers(f.name) && !namedIn(all, r.level, f.codec)
	}
	if fallback == "" {
		fallback = "application/json"
	}
	preferred, _ := parseAccept(fallback)
	for _, p := range preferred {
		if f, ok := try(p.Type); ok {
			return f, p.Params, true
		}
	}
	if m, err := ParseMediaType(request); err == nil {
		if f, ok := try(m.Type); ok {
			return f, r.Params, true
		}
	}
	for _, c := range All() {
		if f, ok := try(c.MediaTypes()[0]); ok {
			return f, r.Params, true
		}
	}
	return format{}, nil, false
}

func (r acceptRange) covers(name string) bool {
	return r.level == 0 || strings.HasPrefix(name, strings.TrimSuffix(r.Type, "*"))
}

// namedIn reports whether a range more specific than level decides about c.
func namedIn(ranges []acceptRange, level int, c Codec) bool {
	for _, r := range ranges {
		if r.level <= level {
			continue
		}
		for _, name := range c.MediaTypes() {
			if r.Type == name || r.level == 1 && r.covers(name) {
				return true
			}
		}
	}
	return false
}

// replyType returns the Content-Type of a reply in the named format.
func replyType(name string, params map[string]string) string {
	switch name {
	case "text/csv":
	case "text/plain":
		return name + "; charset=utf-8"
	default:
		return name
	}
	t := "text/csv; charset=utf-8"
	o, err := csvOptionsOf(params)
	if err != nil {
		return t // Encode refuses them
	}
	if o.header {
		t += "; header=present"
	}
	if o.comma != ',' {
		t += `; delimiter="` + string(rune(o.comma)) + `"`
	}
	return t
}
