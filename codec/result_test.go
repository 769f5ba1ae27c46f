package codec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// TestARoomServesOneBodyAfterAnother decodes bodies of all sizes into one Room,
// each right after another, and compares with what new memory gives.
func TestARoomServesOneBodyAfterAnother(t *testing.T) {
	row := func(n int, value func(int) string) string {
		cells := make([]string, n)
		for i := range cells {
			cells[i] = value(i)
		}
		return strings.Join(cells, ",")
	}
	tens := func(i int) string { return fmt.Sprint(i * 10) }
	ones := func(i int) string { return fmt.Sprint(i % 2) }
	var room codec.Room
	var before any
	for _, c := range []struct {
		name  string
		codec codec.Codec
		body  string
		dtype runtime.DType
		shape []int
		same  bool // the memory of the body before it
	}{
		{"small CSV", codec.CSV{}, row(4, tens), runtime.Float32, []int{-1, 4}, false},
		{"again", codec.CSV{}, row(4, ones), runtime.Float32, []int{-1, 4}, true},
		{"large CSV", codec.CSV{}, row(1000, tens), runtime.Float32, []int{-1, 1000}, false},
		{"large JSON", codec.JSON{}, "[[" + row(900, ones) + "]]", runtime.Float32, []int{-1, 900}, true},
		{"of doubles", codec.JSON{}, "[[" + row(400, tens) + "]]", runtime.Float64, []int{-1, 400}, true},
		{"of bytes", codec.JSON{}, "[[" + row(3000, ones) + "]]", runtime.Uint8, []int{-1, 3000}, true},
		{"of three dimensions", codec.JSON{}, "[[[" + row(500, tens) + "],[" + row(500, ones) + "]]]", runtime.Int32, []int{-1, 2, 500}, true},
		{"JSON lines", codec.JSONLines{}, "[" + row(800, tens) + "]\n[" + row(800, ones) + "]\n", runtime.Float32, []int{-1, 800}, false},
		{"sparse, after what was dense", codec.JSON{}, `{"instances":[{"features":{"keys":[7],"shape":[600],"values":[3]}}]}`, runtime.Float32, []int{-1, 600}, false},
		{"strings", codec.JSON{}, `[["` + row(500, func(int) string { return `a","b` }) + `"]]`, runtime.String, []int{-1, 501}, false},
		{"more than is kept", codec.CSV{}, row(300_000, tens), runtime.Float32, []int{-1, 300_000}, false},
		{"small again", codec.CSV{}, row(4, tens), runtime.Float32, []int{-1, 4}, false},
	} {
		want := []runtime.Info{{Name: "x", DType: c.dtype, Shape: c.shape}}
		fresh, err := c.codec.Decode([]byte(c.body), &codec.Request{Want: want})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := c.codec.Decode([]byte(c.body), &codec.Request{Want: want, Room: &room})
		if err != nil {
			t.Fatalf("%s, into the Room: %v", c.name, err)
		}
		if !slices.Equal(got[0].Shape, fresh[0].Shape) || fmt.Sprint(got[0].Data) != fmt.Sprint(fresh[0].Data) {
			t.Errorf("%s: the Room gives %v, new memory %v", c.name, got, fresh)
		}
		if same := before != nil && address(got[0].Data) == address(before); c.same && !same {
			t.Errorf("%s: the memory of the body before was not used", c.name)
		}
		before = got[0].Data
	}
}

// address is where the elements of a tensor lie.
func address(data any) string { return fmt.Sprintf("%p", runtime.Bytes(data)) }
