package codec_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
	"google.golang.org/protobuf/encoding/protowire"
)

// benchDecode reads body into one float32 input of rows of n values.
func benchDecode(b *testing.B, name string, c codec.Codec, body []byte, n int) {
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, n}}}
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(body, &codec.Request{Want: want}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchEncode(b *testing.B, name string, c codec.Codec, out []runtime.Tensor) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(runtime.Bytes(out[0].Data))))
		b.ReportAllocs()
		var buf []byte
		var err error
		for b.Loop() {
			if buf, err = c.Encode(buf[:0], out, &codec.Reply{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// rowsOf returns a tensor of rows of n values.
func rowsOf(rows, n int) []runtime.Tensor {
	return []runtime.Tensor{{Name: "values", Shape: []int{rows, n}, Data: floats(rows * n)}}
}

func BenchmarkRecordIO(b *testing.B) {
	for _, c := range []struct{ rows, n int }{{1, 4}, {1000, 4}, {1, 150528}} {
		name := fmt.Sprintf("%dx%d", c.rows, c.n)
		out := rowsOf(c.rows, c.n)
		body, err := codec.RecordIO{}.Encode(nil, out, &codec.Reply{Params: map[string]string{"as": "features"}})
		if err != nil {
			b.Fatal(err)
		}
		benchDecode(b, "decode/"+name, codec.RecordIO{}, body, c.n)
		benchEncode(b, "encode/"+name, codec.RecordIO{}, out)
	}
	var sparse []byte // 1,000 rows of which one value in a hundred is given
	for range 1000 {
		var keys []uint64
		for i := range 100 {
			keys = append(keys, uint64(100*i))
		}
		sparse = append(sparse, frame(feature("values", protowire.Number(2), float32s(floats(100)...), varints(2, keys...), varints(3, 10000)))...)
	}
	benchDecode(b, "decode/sparse", codec.RecordIO{}, sparse, 10000)
}

func BenchmarkRaw(b *testing.B) {
	for _, n := range []int{4, 150528} {
		out := rowsOf(1, n)
		body := runtime.Bytes(out[0].Data)
		benchDecode(b, "decode/"+strconv.Itoa(n), codec.Raw{}, body, n)
		benchEncode(b, "encode/"+strconv.Itoa(n), codec.Raw{}, out)
	}
}

func BenchmarkLibSVM(b *testing.B) {
	for _, c := range []struct{ rows, given, n int }{{1, 4, 4}, {1000, 100, 10000}} {
		var body strings.Builder
		values := floats(c.given)
		for range c.rows {
			body.WriteString("1")
			for i, v := range values {
				fmt.Fprintf(&body, " %d:%v", i*(c.n/c.given)+1, v)
			}
			body.WriteByte('\n')
		}
		benchDecode(b, fmt.Sprintf("decode/%dx%d", c.rows, c.n), codec.LibSVM{}, []byte(body.String()), c.n)
	}
}
