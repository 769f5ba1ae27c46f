package codec

import (
	"fmt"
	"strings"
)

// A MediaType is a parsed Content-Type, or one entry of an Accept.
type MediaType struct {
	Type   string            // "text/csv", in lower case
	Params map[string]string // keys in lower case, values as given, without their quotes; nil if there are none
}

// ParseMediaType reads a media type as RFC 9110 §8.3.1 writes it. Types and
// parameter names are matched in any case, values may be quoted strings. A
// missing one is application/json (contract §11.10). Malformed ones, and a
// charset other than UTF-8 or its subset US-ASCII for a text format, are
// errors that wrap [ErrMediaType].
func ParseMediaType(s string) (MediaType, error) {
	s = strings.Trim(s, " \t")
	if s == "" {
		return MediaType{Type: "application/json"}, nil
	}
	if f := formatOf(s); f.codec != nil {
		return MediaType{Type: f.name}, nil
	}
	m, rest, err := scanMediaType(s)
	if err == nil && rest != "" {
		err = fmt.Errorf("%s follows %s", quote(rest), m.Type)
	}
	if err == nil {
		err = m.checkCharset()
	}
	if err != nil {
		return MediaType{}, fmt.Errorf("%w: %s: %w", ErrMediaType, quote(s), err)
	}
	return m, nil
}

// scanMediaType reads one media type, or one range of an Accept, from the
// front of s and returns what follows it: nothing, or text from a comma on.
func scanMediaType(s string) (m MediaType, rest string, err error) {
	major, rest := token(s)
	minor := ""
	switch {
	case major == "*" && !strings.HasPrefix(rest, "/"):
		minor = "*" // old Java clients write "*" for "*/*"
	case major == "" || !strings.HasPrefix(rest, "/"):
		return m, "", fmt.Errorf("it does not begin with type/subtype")
	default:
		if minor, rest = token(rest[1:]); minor == "" {
			return m, "", fmt.Errorf("its subtype is missing")
		}
	}
	m.Type = strings.ToLower(major + "/" + minor)
	for {
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, ";") {
			break
		}
		rest = strings.TrimLeft(rest[1:], " \t")
		if rest == "" || rest[0] == ';' || rest[0] == ',' {
			continue // RFC 9110 lets a parameter be empty
		}
		var key, value string
		if key, value, rest, err = scanParam(rest); err != nil {
			return m, "", err
		}
		if _, twice := m.Params[key]; twice {
			return m, "", fmt.Errorf("parameter %s is given twice", quote(key))
		}
		if m.Params == nil {
			m.Params = make(map[string]string, 2)
		}
		m.Params[key] = value
	}
	if rest != "" && rest[0] != ',' {
		return m, "", fmt.Errorf("%s follows %s", quote(rest), m.Type)
	}
	return m, rest, nil
}

// scanParam reads name=token or name="quoted string".
func scanParam(s string) (key, value, rest string, err error) {
	key, rest = token(s)
	if key == "" || !strings.HasPrefix(rest, "=") {
		return "", "", "", fmt.Errorf("parameter %s is not name=value", quote(s))
	}
	key, rest = strings.ToLower(key), rest[1:]
	if !strings.HasPrefix(rest, `"`) {
		value, rest = token(rest)
		if value == "" {
			return "", "", "", fmt.Errorf("parameter %s has no value", quote(key))
		}
		return key, value, rest, nil
	}
	rest = rest[1:]
	end := strings.IndexAny(rest, `"\`)
	if end >= 0 && rest[end] == '"' {
		return key, rest[:end], rest[end+1:], nil
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return key, b.String(), rest[i+1:], nil
		case '\\':
			if i++; i == len(rest) {
				continue
			}
		}
		b.WriteByte(rest[i])
	}
	return "", "", "", fmt.Errorf("the quoted value of parameter %s does not end", quote(key))
}

// token splits s after the RFC 9110 token that it begins with.
func token(s string) (tok, rest string) {
	for i := range len(s) {
		if !isToken(s[i]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func isToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// checkCharset refuses text in anything but UTF-8.
func (m MediaType) checkCharset() error {
	charset, given := m.Params["charset"]
	text := strings.HasPrefix(m.Type, "text/") || strings.Contains(m.Type, "json")
	if !given || !text {
		return nil
	}
	for _, ok := range []string{"utf-8", "utf8", "us-ascii", "ascii"} {
		if strings.EqualFold(charset, ok) {
			return nil
		}
	}
	return fmt.Errorf("charset %s: Clary reads and writes UTF-8", quote(charset))
}

// quote returns s for an error message, cut where it is long.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
