package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// file writes a body to a file of this run and returns its path.
func (b *bench) file(name string, content []byte) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, content, 0o600)
}

// numbers returns n float32 in [0, 8), the same every time.
func numbers(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float32, n)
	for i := range values {
		values[i] = r.Float32() * 8
	}
	return values
}

// rowsCSV returns lines of flowers' measures, as the data set has them: one
// digit behind the point.
func rowsCSV(n int) []byte {
	var b bytes.Buffer
	for i, v := range numbers(4 * n) {
		fmt.Fprintf(&b, "%.1f", v)
		if i%4 == 3 {
			b.WriteByte('\n')
		} else {
			b.WriteByte(',')
		}
	}
	return b.Bytes()
}

// npy returns an NPY file of float32.
func npy(shape []int, values []float32) []byte {
	dims := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(shape)), ", "), "[]")
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }", dims)
	if len(shape) > 1 {
		head = strings.Replace(head, ",), }", "), }", 1)
	}
	for (10+len(head)+1)%64 != 0 {
		head += " "
	}
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(head)+1), byte((len(head)+1)>>8))
	b = append(append(b, head...), '\n')
	b, _ = binary.Append(b, binary.LittleEndian, values) // a slice of fixed size cannot fail
	return b
}

// instances returns values as {"instances": ...} nested by shape, in the
// fewest digits that give each float32 back.
func instances(shape []int, values []float32) []byte {
	b := append([]byte(nil), `{"instances":`...)
	b, _ = nest(b, shape, values)
	return append(b, '}')
}

func nest(b []byte, shape []int, values []float32) ([]byte, []float32) {
	if len(shape) == 0 {
		return strconv.AppendFloat(b, float64(values[0]), 'g', -1, 32), values[1:]
	}
	b = append(b, '[')
	for i := range shape[0] {
		if i > 0 {
			b = append(b, ',')
		}
		b, values = nest(b, shape[1:], values)
	}
	return append(b, ']'), values
}
