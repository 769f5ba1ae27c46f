package transform

import (
	"strings"
	"testing"
)

func TestFilters(t *testing.T) {
	csv, object := processing{csv: true}, processing{}
	for _, c := range []struct {
		p                *processing
		path, from, want string // an empty want is an error
	}{
		{&csv, "$[0]", "1,2,3", "1"},
		{&csv, "$[-1]", "1,2,3", "3"},
		{&csv, "$[1,0]", "1,2,3", "2,1"},
		{&csv, "$[1:3]", "1,2,3,4", "2,3"}, // the end is exclusive, as the linked implementation has it
		{&csv, "$[1:]", `1,"a, b",3`, `"a, b",3`},
		{&csv, "$[5:]", "1,2,3", "\x00"}, // a slice may be of nothing
		{&csv, "$[3]", "1,2,3", ""},
		{&csv, "$[0,3]", "1,2,3", ""},
		{&csv, "$.*", "1,2,3", "1,2,3"},
		{&object, "$.a", `{"a":1.50,"b":2}`, "1.50"},
		{&object, "$.a.b", `{"a":{"b":"<x>"}}`, `"<x>"`},
		{&object, "$['b','a']", `{"a":1,"b":2,"c":3}`, `{"a":1,"b":2}`},
		{&object, "$['a','c']", `{"a":1}`, ""},
		{&object, "$.x", `{"a":1}`, ""},
		{&object, "$.a[0,2]", `{"a":[1,2,3]}`, "[1,3]"},
		{&object, "$.a[*].b", `{"a":[{"b":1},{"b":2}]}`, "[1,2]"},
		{&object, "$..b", `{"a":[{"b":1},{"b":2}]}`, "[1,2]"},
		{&object, "$.a", `{"a":`, ""},
	} {
		f, err := newFilter(c.path)
		if err != nil {
			t.Fatal(err)
		}
		value, err := c.p.read([]byte(c.from))
		var got []byte
		if err == nil {
			if value, err = f.apply(value); err == nil {
				got, err = c.p.write(value)
			}
		}
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s of %s is %s, want an error", c.path, c.from, got)
		case c.want != "" && (err != nil || string(got) != strings.Trim(c.want, "\x00")):
			t.Errorf("%s of %s is %q (%v), want %q", c.path, c.from, got, err, c.want)
		}
	}
	for _, bad := range []string{"a", "$[", "$.a[?", "$" + strings.Repeat(".a", 32)} {
		if _, err := newFilter(bad); err == nil {
			t.Errorf("%q is a filter", bad)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ in, out, want string }{
		{`{"a":1}`, `[2]`, `{"a":1,"SageMakerOutput":[2]}`},
		{`{}`, `{"b":2}`, `{"SageMakerOutput":{"b":2}}`},
		{`[1]`, `[2]`, `{"SageMakerInput":[1],"SageMakerOutput":[2]}`},
	} {
		got, err := (&processing{}).joined([]byte(c.in), []byte(c.out))
		if err != nil || string(got) != c.want {
			t.Errorf("%s and %s are %s (%v), want %s", c.in, c.out, got, err, c.want)
		}
	}
	if got, err := (&processing{csv: true}).joined([]byte("1,2"), []byte("3")); err != nil || string(got) != "1,2,3" {
		t.Errorf("%s, %v", got, err)
	}
}
