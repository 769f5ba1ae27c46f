package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/bytedance/sonic"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
	goccy "github.com/goccy/go-json"
	"github.com/minio/simdjson-go"
	segmentio "github.com/segmentio/encoding/json"
	"github.com/valyala/fastjson"
)

// sizes are a row of a table and an image, 3 x 224 x 224.
var sizes = []int{4, 150528}

// floats are n values as models take and give them.
func floats(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// join writes values with commas between them.
func join(values []float32, number func(dst []byte, v float32) []byte) []byte {
	var b []byte
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = number(b, v)
	}
	return b
}

// How clients write a float32: by its own shortest text, or, as Python does,
// by that of the float64 it becomes.
func shortest(dst []byte, v float32) []byte { return strconv.AppendFloat(dst, float64(v), 'g', -1, 32) }
func asFloat64(dst []byte, v float32) []byte {
	return strconv.AppendFloat(dst, float64(v), 'g', -1, 64)
}

// instances is a request of one row.
type instances struct {
	Instances [][]float32 `json:"instances"`
}

// predictions is a reply of one row.
type predictions struct {
	Predictions [][]float32 `json:"predictions"`
}

func jsonTasks() []task {
	var tasks []task
	for _, n := range sizes {
		tasks = append(tasks, jsonDecode(n, "shortest text", shortest), jsonDecode(n, "text of float64", asFloat64))
	}
	for _, n := range sizes {
		tasks = append(tasks, jsonEncode(n))
	}
	return tasks
}

// errOther is a contestant whose result is not the values.
var errOther = errors.New("the values are others")

// same compares a row that was read with the values.
func same(got [][]float32, want []float32) error {
	if len(got) != 1 || len(got[0]) != len(want) || got[0][len(want)-1] != want[len(want)-1] {
		return errOther
	}
	return nil
}

func jsonDecode(n int, form string, number func([]byte, float32) []byte) task {
	values := floats(n)
	body := []byte(`{"instances":[[` + string(join(values, number)) + `]]}`)
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, n}}}
	unmarshal := func(name string, f func([]byte, any) error) contestant {
		return contestant{name, fastest, func() error {
			var v instances
			if err := f(body, &v); err != nil {
				return err
			}
			return same(v.Instances, values)
		}}
	}
	request := codec.Request{Want: want} // whoever calls the codec has one
	t := task{name: fmt.Sprintf("JSON, %d floats read, %s", n, form), bytes: len(body), allocations: -1, contestants: []contestant{
		{"Clary", 0, func() error {
			in, err := codec.JSON{}.Decode(body, &request)
			if err != nil {
				return err
			}
			return same([][]float32{in[0].Data.([]float32)}, values)
		}},
		unmarshal("encoding/json", json.Unmarshal),
		unmarshal("sonic", sonic.ConfigFastest.Unmarshal),
		unmarshal("goccy/go-json", goccy.Unmarshal),
		unmarshal("segmentio/encoding", segmentio.Unmarshal),
		{"valyala/fastjson", fastest, fastJSON(body, values)},
	}}
	if n == sizes[0] {
		t.allocations = 2
	}
	if simdjson.SupportedCPU() {
		t.contestants = append(t.contestants, contestant{"minio/simdjson-go", fastest, simdJSON(body, values)})
	}
	t.contestants = append(t.contestants, contestant{"a scanner of this form alone", least, func() error {
		const before, after = `{"instances":[[`, "]]}"
		if !bytes.HasPrefix(body, []byte(before)) || !bytes.HasSuffix(body, []byte(after)) {
			return errOther
		}
		in, end := scanRow(body, len(before), n)
		if end != len(body)-len(after) {
			return errOther
		}
		return same([][]float32{in[0].Data.([]float32)}, values)
	}})
	return t
}

// fastJSON parses into a tree, which is used again, and copies the floats from it.
func fastJSON(body []byte, values []float32) func() error {
	var p fastjson.Parser
	return func() error {
		v, err := p.ParseBytes(body)
		if err != nil {
			return err
		}
		rows := v.GetArray("instances")
		if len(rows) != 1 {
			return errOther
		}
		row := rows[0].GetArray()
		got := make([]float32, len(row))
		for i, cell := range row {
			f, err := cell.Float64()
			if err != nil {
				return err
			}
			got[i] = float32(f)
		}
		return same([][]float32{got}, values)
	}
}

// simdJSON parses onto a tape, which is used again, and copies the floats from it.
func simdJSON(body []byte, values []float32) func() error {
	var tape *simdjson.ParsedJson
	var array simdjson.Array
	return func() (err error) {
		if tape, err = simdjson.Parse(body, tape); err != nil {
			return err
		}
		i := tape.Iter()
		element, err := i.FindElement(nil, "instances")
		if err != nil {
			return err
		}
		rows, err := element.Iter.Array(&array)
		if err != nil {
			return err
		}
		row := rows.Iter()
		row.Advance()
		cells, err := row.Array(nil)
		if err != nil {
			return err
		}
		all, err := cells.AsFloat()
		if err != nil {
			return err
		}
		got := make([]float32, len(all))
		for i, f := range all {
			got[i] = float32(f)
		}
		return same([][]float32{got}, values)
	}
}

func jsonEncode(n int) task {
	values := floats(n)
	var v predictions
	v.Predictions = [][]float32{values}
	out := []runtime.Tensor{{Name: "y", Shape: []int{1, n}, Data: values}}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // finite floats
	}
	check := func(b []byte) error {
		if len(b) != len(text) {
			return errOther
		}
		return nil
	}
	marshal := func(name string, f func(any) ([]byte, error)) contestant {
		return contestant{name, fastest, func() error {
			b, err := f(v)
			if err != nil {
				return err
			}
			return check(b)
		}}
	}
	var room []byte
	t := task{name: fmt.Sprintf("JSON, %d floats written", n), bytes: len(text), allocations: -1, contestants: []contestant{
		{"Clary", 0, func() error {
			b, err := codec.JSON{}.Encode(nil, out, &codec.Reply{})
			if err != nil {
				return err
			}
			return check(b)
		}},
		marshal("encoding/json", json.Marshal),
		marshal("sonic", sonic.ConfigFastest.Marshal),
		marshal("goccy/go-json", goccy.Marshal),
		marshal("segmentio/encoding", segmentio.Marshal),
		{"strconv into memory that is there", least, func() error {
			room = append(room[:0], `{"predictions":[[`...)
			room = writeFloats(room, values)
			room = append(room, `]]}`...)
			return check(room)
		}},
	}}
	if n == sizes[0] {
		t.allocations = 2
	}
	return t
}
