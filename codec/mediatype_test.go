package codec_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
)

func TestMediaTypesAreParsedAsRFC9110WritesThem(t *testing.T) {
	type params = map[string]string
	for _, c := range []struct {
		in     string
		typ    string
		params params
	}{
		{"", "application/json", nil},
		{" \t", "application/json", nil},
		{"text/csv", "text/csv", nil},
		{"Text/CSV", "text/csv", nil},
		{" application/X-NPY ", "application/x-npy", nil},
		{"application/octet-stream", "application/octet-stream", nil},
		{"text/csv;header=present", "text/csv", params{"header": "present"}},
		{"text/csv ; Header=Present\t;label_size=0", "text/csv", params{"header": "Present", "label_size": "0"}},
		{"text/csv;", "text/csv", params{}},
		{"text/csv;;a=b; ;", "text/csv", params{"a": "b"}},
		{`text/csv; delimiter=";"`, "text/csv", params{"delimiter": ";"}},
		{`text/csv; x="a\"b\\c"; y=""`, "text/csv", params{"x": `a"b\c`, "y": ""}},
		{"text/csv; charset=UTF-8", "text/csv", params{"charset": "UTF-8"}},
		{`application/json; charset="utf-8"`, "application/json", params{"charset": "utf-8"}},
		{"application/json; charset=us-ascii", "application/json", params{"charset": "us-ascii"}},
		{"application/x-npy; charset=binary", "application/x-npy", params{"charset": "binary"}},
		{"application/vnd.sagemaker-triton.binary+json;json-header-size=12", "application/vnd.sagemaker-triton.binary+json", params{"json-header-size": "12"}},
	} {
		m, err := codec.ParseMediaType(c.in)
		if err != nil || m.Type != c.typ || !maps.Equal(m.Params, c.params) {
			t.Errorf("ParseMediaType(%q) = %v, %v; want %s %v", c.in, m, err, c.typ, c.params)
		}
	}
}

func TestMalformedMediaTypesAreRefused(t *testing.T) {
	for _, in := range []string{
		"text", "text/", "/csv", "text /csv", "text/csv,text/csv", "text/csv x", "text/csv;a", "text/csv;a=", "text/csv;=b", "text/csv;a =b",
		`text/csv;a="b`, `text/csv;a="b\`, `text/csv;a="b"c`, "text/csv;a=1;A=2", "text/csv;a=b c", "text/\x00csv", "töxt/csv",
		"text/csv; charset=iso-8859-1", "application/json;charset=utf-16", "application/x-ndjson;charset=latin1",
		strings.Repeat("x", 1<<16), "text/csv;" + strings.Repeat("a", 1<<16),
	} {
		m, err := codec.ParseMediaType(in)
		if !errors.Is(err, codec.ErrMediaType) {
			t.Errorf("ParseMediaType(%.40q) = %v, %v; want ErrMediaType", in, m, err)
		} else if len(err.Error()) > 500 {
			t.Errorf("the error for %.40q has %d bytes", in, len(err.Error()))
		}
	}
}

func TestABareKnownMediaTypeCostsNothing(t *testing.T) {
	for _, in := range []string{"", "text/csv", "Application/JSON", "application/x-npy"} {
		n := testing.AllocsPerRun(100, func() {
			if _, err := codec.ParseMediaType(in); err != nil {
				t.Fatal(err)
			}
			if _, _, err := codec.For(in); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%q: %v allocations", in, n)
		}
	}
}

func FuzzMediaType(f *testing.F) {
	for _, s := range []string{"", "text/csv", `text/csv; a="b\"c"; header=present`, "a/b;c=d;;e=\"", "*/*;q=0.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := codec.ParseMediaType(s)
		if err != nil {
			if !errors.Is(err, codec.ErrMediaType) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		// Written out again, it reads the same.
		again := m.Type
		for k, v := range m.Params {
			again += `;` + k + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
		}
		n, err := codec.ParseMediaType(again)
		if err != nil || n.Type != m.Type || !maps.Equal(n.Params, m.Params) {
			t.Fatalf("%q is %v; %q is %v, %v", s, m, again, n, err)
		}
	})
}
