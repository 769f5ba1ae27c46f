package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

func csvTasks() []task {
	var tasks []task
	for _, n := range sizes {
		tasks = append(tasks, csvDecode(n, "shortest text", shortest), csvDecode(n, "text of float64", asFloat64))
	}
	for _, n := range sizes {
		tasks = append(tasks, csvEncode(n))
	}
	return tasks
}

func csvDecode(n int, form string, number func([]byte, float32) []byte) task {
	values := floats(n)
	body := append(join(values, number), '\n')
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, n}}}
	request := codec.Request{Want: want} // whoever calls the codec has one
	t := task{name: fmt.Sprintf("CSV, %d floats read, %s", n, form), bytes: len(body), allocations: -1, contestants: []contestant{
		{"Clary", 0, func() error {
			in, err := codec.CSV{}.Decode(body, &request)
			if err != nil {
				return err
			}
			return same([][]float32{in[0].Data.([]float32)}, values)
		}},
		{"encoding/csv and strconv", fastest, func() error {
			rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
			if err != nil {
				return err
			}
			got := make([]float32, 0, n)
			for _, cell := range rows[0] {
				v, err := strconv.ParseFloat(cell, 32)
				if err != nil {
					return err
				}
				got = append(got, float32(v))
			}
			return same([][]float32{got}, values)
		}},
		{"a scanner of this form alone", least, func() error {
			in, end := scanRow(body, 0, n)
			if end != len(body)-1 || body[end] != '\n' {
				return errOther
			}
			return same([][]float32{in[0].Data.([]float32)}, values)
		}},
	}}
	if n == sizes[0] {
		t.allocations = 2
	}
	return t
}

func csvEncode(n int) task {
	values := floats(n)
	out := []runtime.Tensor{{Name: "y", Shape: []int{1, n}, Data: values}}
	size := len(writeFloats(nil, values)) + 1
	check := func(b []byte) error {
		if len(b) != size {
			return errOther
		}
		return nil
	}
	var room []byte
	t := task{name: fmt.Sprintf("CSV, %d floats written", n), bytes: size, allocations: -1, contestants: []contestant{
		{"Clary", 0, func() error {
			b, err := codec.CSV{}.Encode(nil, out, &codec.Reply{Trailing: true})
			if err != nil {
				return err
			}
			return check(b)
		}},
		{"encoding/csv and strconv", fastest, func() error {
			row := make([]string, n)
			for i, v := range values {
				row[i] = strconv.FormatFloat(float64(v), 'f', -1, 32)
			}
			var b bytes.Buffer
			w := csv.NewWriter(&b)
			if err := w.Write(row); err != nil {
				return err
			}
			w.Flush()
			if b.Len() < size {
				return errOther
			}
			return w.Error()
		}},
		{"strconv into memory that is there", least, func() error {
			room = append(writeFloats(room[:0], values), '\n')
			return check(room)
		}},
	}}
	if n == sizes[0] {
		t.allocations = 2
	}
	return t
}
