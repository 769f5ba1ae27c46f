package codec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// The short way of reading floats gives what the long one does, which a quote
// asks for.
func TestShortFloatsAreTheNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var plain, quoted []byte
	const n = 20000
	for i := range n {
		if i > 0 {
			plain, quoted = append(plain, ','), append(quoted, ',')
		}
		digits := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		if i%4 == 0 { // near the middle between two float32
			f := r.Float32()
			digits = strconv.FormatFloat((float64(f)+float64(math.Nextafter32(f, 2)))/2, 'f', 10+r.IntN(20), 64)
		}
		point := r.IntN(len(digits))
		if !strings.Contains(digits, ".") {
			digits = digits[:point] + "." + digits[point:]
		}
		if i%3 == 0 {
			digits = "-" + digits
		}
		plain = append(plain, digits...)
		quoted = fmt.Appendf(quoted, "%q", digits)
	}
	for _, d := range []runtime.DType{runtime.Float32, runtime.Float64} {
		want := []runtime.Info{info("x", d, -1, n)}
		a, err := codec.CSV{}.Decode(plain, &codec.Request{Want: want})
		if err != nil {
			t.Fatal(err)
		}
		b, err := codec.CSV{}.Decode(quoted, &codec.Request{Want: want})
		if err != nil {
			t.Fatal(err)
		}
		if !sameData(a[0].Data, b[0].Data) {
			t.Errorf("%v differs", d)
		}
		for i, text := range strings.Split(string(plain), ",") {
			var got float64
			switch data := a[0].Data.(type) {
			case []float32:
				got = float64(data[i])
			case []float64:
				got = data[i]
			}
			if want, err := strconv.ParseFloat(text, 8*d.Size()); err != nil || got != want {
				t.Errorf("%s as %v is %v, want %v (%v)", text, d, got, want, err)
			}
		}
	}
}
