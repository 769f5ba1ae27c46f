package codec_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// floats are n values as a model takes and gives them.
func floats(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]float32, n)
	for i := range out {
		out[i] = r.Float32()
	}
	return out
}

// BenchmarkJSONDecode reads {"instances":[[...]]}, with encoding/json beside it
// into its nearest equivalent.
func BenchmarkJSONDecode(b *testing.B) {
	for _, n := range []int{4, 150528} {
		body, _ := json.Marshal(map[string][][]float32{"instances": {floats(n)}})
		want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, n}}}
		b.Run("clary/"+strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			req := codec.Request{Want: want}
			for b.Loop() {
				if _, err := (codec.JSON{}).Decode(body, &req); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("encoding-json/"+strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var v struct{ Instances [][]float32 }
				if err := json.Unmarshal(body, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJSONEncode(b *testing.B) {
	for _, n := range []int{4, 150528} {
		data := floats(n)
		out := []runtime.Tensor{{Name: "y", Shape: []int{1, n}, Data: data}}
		var buf []byte
		b.Run("clary/"+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = (codec.JSON{}).Encode(buf[:0], out, &codec.Reply{})
			}
			b.SetBytes(int64(len(buf)))
		})
		b.Run("encoding-json/"+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = json.Marshal(map[string][][]float32{"predictions": {data}})
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}
