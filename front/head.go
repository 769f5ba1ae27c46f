package front

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// A head is the request line and the headers of a request.
type head struct {
	size   int   // in bytes
	length int64 // of the body

	method, target, host string
	url                  *url.URL
	header               http.Header
}

// parse reads a head, of which text is the whole. It takes the plainest form
// alone: whatever net/http would refuse, and all that changes how the
// connection goes on, is false.
func (h *head) parse(text string) bool {
	*h = head{}
	line, rest, _ := strings.Cut(text, "\r\n")
	method, line, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(line, " ")
	if method != http.MethodPost && method != http.MethodGet || proto != "HTTP/1.1" || !isTarget(target) {
		return false
	}
	var err error
	if h.url, err = url.ParseRequestURI(target); err != nil {
		return false
	}
	h.method, h.target = method, target
	n := strings.Count(rest, "\r\n") - 1
	if n < 1 {
		return false // there must be a Host
	}
	h.header = make(http.Header, n)
	values := make([]string, n)
	length := false
	for rest != "\r\n" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, found := strings.Cut(line, ":")
		if !found || !isToken(name) || !isText(value) {
			return false
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		switch name {
		case "Host":
			if h.host != "" || !isHost(value) {
				return false
			}
			h.host = value
			continue
		case "Content-Length":
			if length || !isLength(value) {
				return false
			}
			length = true
			h.length, _ = strconv.ParseInt(value, 10, 64) // isLength
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Te", "Pragma", "Http2-Settings":
			return false
		}
		if list := h.header[name]; list != nil {
			h.header[name] = append(list, value)
			continue
		}
		values[0] = value
		h.header[name], values = values[:1:1], values[1:]
	}
	if h.host == "" || method == http.MethodGet && h.length > 0 {
		return false
	}
	h.size = len(text)
	return true
}

func isTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return strings.HasPrefix(s, "/")
}

// isToken reports whether s is the name of a header (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && !strings.Contains("!#$%&'*+-.^_`|~", s[i:i+1]) {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isText(s string) bool {
	for i := range len(s) {
		if (s[i] < ' ' || s[i] > '~') && s[i] != '\t' {
			return false
		}
	}
	return true
}

func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '.' && c != '-' && c != ':' && c != '_' && c != '[' && c != ']' {
			return false
		}
	}
	return s != ""
}

func isLength(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 18
}
