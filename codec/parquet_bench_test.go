package codec_test

import (
	"fmt"
	"testing"

	"github.com/claryhq/clary/codec"
)

func BenchmarkParquet(b *testing.B) {
	for _, c := range []struct{ rows, n int }{{1, 4}, {10000, 28}} {
		name := fmt.Sprintf("%dx%d", c.rows, c.n)
		out := rowsOf(c.rows, c.n)
		body, err := codec.Parquet{}.Encode(nil, out, &codec.Reply{})
		if err != nil {
			b.Fatal(err)
		}
		benchDecode(b, "decode/"+name, codec.Parquet{}, body, c.n)
		benchEncode(b, "encode/"+name, codec.Parquet{}, out)
	}
	benchDecode(b, "decode/float64 and int32 with nulls", codec.Parquet{}, tables(b, "parquet.zip")["many"], 2)
}

func BenchmarkArrow(b *testing.B) {
	files := tables(b, "arrow.zip")
	benchDecode(b, "decode/float64 and int32 with nulls", codec.Arrow{}, files["many"], 2)
	benchDecode(b, "decode/LZ4", codec.Arrow{}, files["lz4-blocks"], 1)
}
