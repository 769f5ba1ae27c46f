package codec_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// csvBody returns rows of floats as format writes them; "" is the shortest
// form of a float32.
func csvBody(rows, columns int, format string) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for range rows {
		for c := range columns {
			if c > 0 {
				b = append(b, ',')
			}
			if v := r.Float32() * 8; format == "" {
				b = strconv.AppendFloat(b, float64(v), 'f', -1, 32)
			} else {
				b = fmt.Appendf(b, format, v)
			}
		}
		b = append(b, '\n')
	}
	return b
}

// BenchmarkCSVDecode reads float32 rows, with encoding/csv and strconv beside
// it.
func BenchmarkCSVDecode(b *testing.B) {
	for _, c := range []struct {
		name          string
		rows, columns int
		format        string
	}{{"row", 1, 4, "%.1f"}, {"rows", 25000, 4, "%.1f"}, {"long-rows", 25000, 4, ""}, {"image", 1, 150528, "%.3f"}, {"long-image", 1, 150528, ""}} {
		body := csvBody(c.rows, c.columns, c.format)
		r := codec.Request{Want: []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, c.columns}}}}
		b.Run("clary/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (codec.CSV{}).Decode(body, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("encoding-csv/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
				if err != nil {
					b.Fatal(err)
				}
				data := make([]float32, 0, c.rows*c.columns)
				for _, row := range rows {
					for _, cell := range row {
						v, err := strconv.ParseFloat(cell, 32)
						if err != nil {
							b.Fatal(err)
						}
						data = append(data, float32(v))
					}
				}
				if len(data) != c.rows*c.columns {
					b.Fatal(len(data))
				}
			}
		})
	}
}

func BenchmarkCSVEncode(b *testing.B) {
	for _, c := range []struct {
		name          string
		rows, columns int
	}{{"row", 1, 3}, {"rows", 25000, 3}, {"scores", 1, 1000}} {
		scores := floats(c.rows * c.columns)
		out := []runtime.Tensor{{Name: "label", Shape: []int{c.rows}, Data: make([]int64, c.rows)}, {Name: "scores", Shape: []int{c.rows, c.columns}, Data: scores}}
		b.Run("clary/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				reply, err := codec.CSV{}.Encode(nil, out, &codec.Reply{})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(reply)))
			}
		})
		b.Run("encoding-csv/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var reply bytes.Buffer
				w := csv.NewWriter(&reply)
				row := make([]string, c.columns+1)
				for i := range c.rows {
					row[0] = "0"
					for k, v := range scores[i*c.columns : (i+1)*c.columns] {
						row[k+1] = strconv.FormatFloat(float64(v), 'g', -1, 32)
					}
					w.Write(row)
				}
				w.Flush()
				b.SetBytes(int64(reply.Len()))
			}
		})
	}
}
