package transform

import "testing"

func TestAnOutputMayLieInTheInput(t *testing.T) {
	for _, c := range []struct {
		in, out, prefix string
		inside          bool
	}{
		{"data", "data", "", true},
		{"data/", "./data", "", true},
		{"data", "data/deep/out/", "deep/out/", true},
		{"/data", "/data", "", true},
		{"/", "/out", "out/", true},
		{"data", "data2", "", false},
		{"data/in", "data", "", false},
		{"s3://b/in/", "s3://b/in", "", true},
		{"s3://b", "s3://b/out", "out/", true},
		{"s3://b/in", "s3://b/in2", "", false},
		{"s3://b/in", "b/in", "", false},
	} {
		if prefix, inside := within(c.in, c.out); inside != c.inside || inside && prefix != c.prefix {
			t.Errorf("%s in %s: %q, %v", c.out, c.in, prefix, inside)
		}
	}
}
