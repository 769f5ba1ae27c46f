package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
	"github.com/sbinet/npyio"
)

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// readFloats reads as many numbers as dst holds, each followed by one byte, and
// returns where the last one ends. They are exact: what is not a plain decimal
// of at most 15 digits is strconv's. It checks nothing else.
func readFloats(b []byte, i int, dst []float32) int {
	for n := range dst {
		start := i
		neg := b[i] == '-'
		if neg {
			i++
		}
		first := i
		mant := uint64(b[i] - '0')
		for i++; b[i]-'0' <= 9; i++ {
			mant = mant*10 + uint64(b[i]-'0')
		}
		decimals := 0
		if b[i] == '.' {
			i++
			point := i
			for len(b)-i >= 8 {
				v := binary.LittleEndian.Uint64(b[i:]) ^ 0x3030303030303030
				if (v+0x7676767676767676|v)&0x8080808080808080 != 0 {
					break
				}
				v = v*10 + v>>8
				mant = mant*1e8 + (v&0x000000ff000000ff*(100+1e6<<32)+v>>16&0x000000ff000000ff*(1+1e4<<32))>>32
				i += 8
			}
			for ; b[i]-'0' <= 9; i++ {
				mant = mant*10 + uint64(b[i]-'0')
			}
			decimals = i - point
		}
		v := 0.0
		if i-first <= 16 && b[i]|0x20 != 'e' {
			v = float64(mant) / powers[decimals]
		}
		if i-first > 16 || b[i]|0x20 == 'e' || math.Float64bits(v)&(1<<29-1) == 1<<28 {
			for b[i] != ',' && b[i] != ']' && b[i] != '\n' {
				i++
			}
			f, _ := strconv.ParseFloat(unsafe.String(&b[start], i-start), 32)
			dst[n] = float32(f)
			i++
			continue
		}
		if neg {
			v = -v
		}
		dst[n] = float32(v)
		i++
	}
	return i - 1
}

// scanRow is the least that a decoder of one known form can do: it knows how
// many numbers there are, and returns them as the model's input, in memory that
// whoever asked keeps.
func scanRow(b []byte, i, n int) (in []runtime.Tensor, end int) {
	values := make([]float32, n)
	end = readFloats(b, i, values)
	return []runtime.Tensor{{Name: "x", Shape: []int{1, n}, Data: values}}, end
}

// writeFloats appends values as encoding/json writes them, commas between them.
func writeFloats(dst []byte, values []float32) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if a := math.Abs(float64(v)); a >= 1e-6 || a == 0 {
			dst = strconv.AppendFloat(dst, float64(v), 'f', -1, 32)
			continue
		}
		dst = strconv.AppendFloat(dst, float64(v), 'e', -1, 32)
		if n := len(dst); dst[n-2] == '0' { // e-07 to e-7
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
	}
	return dst
}

// rawTasks read what is a tensor already: there is nothing to do but look at it.
func rawTasks() []task {
	n := sizes[1]
	values := floats(n)
	out := []runtime.Tensor{{Name: "x", Shape: []int{1, n}, Data: values}}
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, n}}}
	var tasks []task
	for _, c := range []struct {
		name  string
		codec codec.Codec
	}{{"NPY", codec.NPY{}}, {"octet-stream", codec.Raw{}}} {
		body, err := c.codec.Encode(nil, out, &codec.Reply{})
		if err != nil {
			panic(err) // a tensor of floats
		}
		room := make([]byte, len(body))
		t := task{name: fmt.Sprintf("%s, %d floats read", c.name, n), bytes: len(body), allocations: 8, contestants: []contestant{
			{"Clary", 0, func() error {
				in, err := c.codec.Decode(body, &codec.Request{Want: want})
				if err != nil {
					return err
				}
				got := in[0].Data.([]float32)
				if unsafe.Pointer(unsafe.SliceData(got)) != unsafe.Pointer(&body[len(body)-4*n]) {
					return fmt.Errorf("the tensor is a copy of the body")
				}
				return same([][]float32{got}, values)
			}},
			{"one copy of the body", 0.1, func() error {
				copy(room, body)
				return nil
			}},
		}}
		if c.name == "NPY" {
			t.contestants = append(t.contestants, contestant{"npyio", fastest, func() error {
				var got []float32
				if err := npyio.Read(bytes.NewReader(body), &got); err != nil {
					return err
				}
				return same([][]float32{got}, values)
			}})
		}
		tasks = append(tasks, t)
	}
	return tasks
}
