package codec_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
)

func TestAcceptChoosesTheReply(t *testing.T) {
	type params = map[string]string
	const csv = "text/csv; charset=utf-8"
	for _, c := range []struct {
		accept, fallback, request string
		contentType               string
		params                    params
	}{
		// Nothing asked for: the configured default.
		{"", "", "", "application/json", nil},
		{"*/*", "", "text/csv", "application/json", nil},
		{" */* ", "text/csv", "", csv, nil},
		{"", "application/jsonlines;q=0.5, text/html", "", "application/jsonlines", nil},
		{"", "application/json;probabilities=map", "", "application/json", params{"probabilities": "map"}},
		{"*/*", "*/*", "text/csv", "application/json", nil},
		// One type.
		{"text/csv", "application/json", "", csv, nil},
		{"TEXT/Csv", "", "", csv, nil},
		{"application/x-npy", "", "", "application/x-npy", nil},
		{"application/x-ndjson", "", "", "application/x-ndjson", nil},
		{"application/JSONL ; q=0.3", "", "", "application/jsonl", nil},
		{"application/json;probabilities=map", "", "", "application/json", params{"probabilities": "map"}},
		{"application/json; Probabilities=\"map\"; q=0.9", "", "", "application/json", params{"probabilities": "map"}},
		{"text/csv;header=present", "", "", csv + "; header=present", params{"header": "present"}},
		{`text/csv;delimiter=";"`, "", "", csv + `; delimiter=";"`, params{"delimiter": ";"}},
		{"application/x-npy;output=probabilities", "", "", "application/x-npy", params{"output": "probabilities"}},
		{"application/json; charset=utf-8", "", "", "application/json", params{"charset": "utf-8"}},
		// Several: the highest q, then the most specific, then the first.
		{"text/csv, application/json", "", "", csv, nil},
		{"application/json, text/csv", "", "", "application/json", nil},
		{"text/csv;q=0.5, application/json;q=0.6", "", "", "application/json", nil},
		{"text/csv;q=0.501,application/json;q=0.5", "", "", csv, nil},
		{"application/json;q=0.999, text/csv;q=1.000", "", "", csv, nil},
		{"text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "", "", "application/json", nil},
		{"text/html, application/x-npz;q=0.1", "", "", "application/x-npz", nil},
		{"*/*, text/csv", "", "", csv, nil},
		{"text/*, application/x-npy", "", "", "application/x-npy", nil},
		{"*/*, text/*", "", "", csv, nil},
		{"application/json;q=0.5;probabilities=map, application/json;q=0.9", "", "", "application/json", nil},
		{",, text/csv ,,", "", "", csv, nil},
		// Wildcards: the default's type, the request's, JSON, CSV.
		{"text/*", "", "", csv, nil},
		{"application/*", "", "text/csv", "application/json", nil},
		{"application/*", "text/csv", "text/csv", "application/json", nil},
		{"application/*", "text/csv", "application/x-npy", "application/x-npy", nil},
		{"application/*", "application/x-npz", "application/x-npy", "application/x-npz", nil},
		{"*/*;q=0.5", "text/csv;header=present", "", csv + "; header=present", params{"header": "present"}},
		{"text/html, */*;q=0.1", "text/csv", "", csv, nil},
		{"application/*;probabilities=map", "text/csv", "", "application/json", params{"probabilities": "map"}},
		// q=0 excludes, by the most specific rule that matches.
		{"application/json;q=0, */*", "", "text/csv", csv, nil},
		{"application/json;q=0, */*", "", "", "application/jsonlines", nil},
		{"*/*, application/*;q=0", "", "", csv, nil},
		{"*/*;q=0, text/csv", "", "", csv, nil},
		{"text/*;q=0, */*", "text/csv", "", "application/json", nil},
		{"application/json;q=0.1, */*;q=0.9", "", "application/x-npy", "application/x-npy", nil},
		{"application/x-ndjson;q=0, application/json;q=0, */*", "", "", csv, nil},
		{"application/json;charset=latin1, text/csv;q=0.1", "", "", csv, nil},
		// What old Java clients send.
		{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "", "", "application/json", nil},
	} {
		got, params, contentType, err := codec.Negotiate(c.accept, c.fallback, c.request)
		if err != nil || contentType != c.contentType || !maps.Equal(params, c.params) {
			t.Errorf("Negotiate(%q, %q, %q) = %q %v, %v; want %q %v", c.accept, c.fallback, c.request, contentType, params, err, c.contentType, c.params)
			continue
		}
		if want, _, err := codec.For(contentType); err != nil || got != want {
			t.Errorf("Negotiate(%q): %T writes %q, %T reads it", c.accept, got, contentType, want)
		}
	}
}

func TestWhatNothingCanAnswerIsNotAcceptable(t *testing.T) {
	for _, accept := range []string{
		"text/html", "image/*", "application/json;q=0", "*/*;q=0", "application/json;charset=utf-16", "text/csv;q=0, text/plain;q=0, text/*", "text/libsvm", ",",
		"*/*, */*;q=0, application/*;q=0, text/*;q=0",
		// Malformed.
		"text", "text/", "/", "*/csv", "text/csv;q=", "text/csv;q=2", "text/csv;q=1.001", "text/csv;q=-1", "text/csv;q=0.5x", "text/csv;q=.", "text/csv;q=1e-1",
		"text/csv;q=0.5;q=0.6", "text/csv text/csv", `text/csv;a="`, "text/csv;;=", "\x00",
		strings.Repeat("text/html,", 101), strings.Repeat("a", 1<<20), strings.Repeat("*/*;q=0,", 1<<17),
	} {
		_, _, _, err := codec.Negotiate(accept, "application/json", "text/csv")
		if !errors.Is(err, codec.ErrNotAcceptable) {
			t.Errorf("Negotiate(%.60q): %v, want ErrNotAcceptable", accept, err)
		} else if len(err.Error()) > 600 {
			t.Errorf("the error for %.40q has %d bytes", accept, len(err.Error()))
		}
	}
	_, _, _, err := codec.Negotiate("text/html", "", "")
	for _, c := range codec.All() {
		readOnly := c == codec.Codec(codec.LibSVM{}) || c == codec.Codec(codec.Image{}) || c == codec.Codec(codec.Arrow{})
		if name := c.MediaTypes()[0]; strings.Contains(err.Error(), name) == readOnly {
			t.Errorf("%q and %s, which can be written: %t", err, name, !readOnly)
		}
	}
}

func TestACommonAcceptCostsNothing(t *testing.T) {
	for _, accept := range []string{"", "*/*", "application/json", "text/csv"} {
		if n := testing.AllocsPerRun(100, func() { codec.Negotiate(accept, "application/json", "") }); n != 0 {
			t.Errorf("%q: %v allocations", accept, n)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("*/*", "application/json", "text/csv")
	f.Add("text/csv;q=0.5, application/json;probabilities=map;q=.7, *", "", "")
	f.Add(`application/*;a="b\"", text/*;q=0`, "text/csv;header=present", "application/x-npy")
	f.Fuzz(func(t *testing.T, accept, fallback, request string) {
		c, params, contentType, err := codec.Negotiate(accept, fallback, request)
		if err != nil {
			if !errors.Is(err, codec.ErrNotAcceptable) {
				t.Fatal(err)
			}
			return
		}
		if got, _, err := codec.For(contentType); err != nil || got != c {
			t.Fatalf("%q is to be written by %T and read by %T: %v", contentType, c, got, err)
		}
		if _, ok := params["q"]; ok {
			t.Fatalf("q is among the parameters of %q", accept)
		}
	})
}
