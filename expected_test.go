package clary_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// expected is a model's expected.json: what Python ONNX Runtime answers.
type expected struct {
	Model           string
	ONNXRuntime     string
	RTol            float64
	Inputs, Outputs []value
	Cases           []struct {
		Name            string
		Inputs, Outputs []value
	}
}

// A value is a tensor as expected.json writes it; of a sequence Data is a list
// of objects.
type value struct {
	Name   string
	DType  string
	Kind   string
	Shape  []int
	Labels []string
	Data   []any // json.Number, string or bool
}

func (v value) rows() int { return v.Shape[0] }

// width is the number of elements in one row.
func (v value) width() int {
	n := 1
	for _, d := range v.Shape[min(1, len(v.Shape)):] {
		n *= d
	}
	return n
}

func (v value) isText() bool { return v.DType == "string" }

func (v value) isFloat() bool { return strings.Contains(v.DType, "float") }

// row returns the elements of row i.
func (v value) row(i int) []any { return v.Data[i*v.width() : (i+1)*v.width()] }

// models returns the folders in testdata/models; none is an error.
func models(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/models/*/expected.json")
	if err != nil || len(files) < 25 {
		t.Fatalf("testdata/models has %d models with expected.json, %v", len(files), err)
	}
	for i, f := range files {
		files[i] = filepath.Dir(f)
	}
	return files
}

func readExpected(t testing.TB, dir string) expected {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	var e expected
	if err := decoder.Decode(&e); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	if len(e.Cases) == 0 || e.RTol <= 0 || len(e.Outputs) == 0 {
		t.Fatalf("%s: no cases, outputs or tolerance", dir)
	}
	return e
}

// differs compares flat data with what is expected, element by element: floats
// within rtol in their own type, everything else exactly. It returns "" when
// they agree.
func differs(want value, got []any, rtol float64) string {
	if len(got) != len(want.Data) {
		return fmt.Sprintf("%s has %d elements, want %d", want.Name, len(got), len(want.Data))
	}
	for i := range got {
		if !equal(want, want.Data[i], got[i], rtol) {
			return fmt.Sprintf("%s[%d] is %v, want %v", want.Name, i, got[i], want.Data[i])
		}
	}
	return ""
}

func equal(want value, w, g any, rtol float64) bool {
	if !want.isFloat() {
		return text(w) == text(g)
	}
	a, errA := inType(want.DType, text(w))
	b, errB := inType(want.DType, text(g))
	switch {
	case errA != nil || errB != nil:
		return false
	case math.IsNaN(a) || math.IsNaN(b):
		return math.IsNaN(a) && math.IsNaN(b)
	case a == b:
		return math.Signbit(a) == math.Signbit(b)
	}
	return math.Abs(a-b) <= rtol*math.Abs(a)
}

// text is an element as text: numbers in their JSON form, true and false.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprintf("%T", v)
}

// inType reads a float as its own type holds it.
func inType(dtype, s string) (float64, error) {
	bits := 64
	if dtype == "float32" {
		bits = 32
	}
	v, err := strconv.ParseFloat(s, bits)
	if err != nil {
		return 0, err
	}
	switch dtype {
	case "float16":
		v = float64(runtime.ToF16(v).Float32())
	case "bfloat16":
		v = float64(runtime.ToBF16(v).Float32())
	case "float8e4m3fn":
		v = float64(runtime.ToF8E4M3FN(v).Float32())
	case "float8e4m3fnuz":
		v = float64(runtime.ToF8E4M3FNUZ(v).Float32())
	case "float8e5m2":
		v = float64(runtime.ToF8E5M2(v).Float32())
	case "float8e5m2fnuz":
		v = float64(runtime.ToF8E5M2FNUZ(v).Float32())
	}
	return v, nil
}

// flatten returns the leaves of nested lists and their shape; a list that is
// not rectangular has a nil shape and no leaves.
func flatten(v any) (leaves []any, shape []int) {
	list, ok := v.([]any)
	if !ok {
		return []any{v}, []int{}
	}
	shape = []int{len(list)}
	var inner []int
	for i, item := range list {
		l, s := flatten(item)
		if i > 0 && !slices.Equal(s, inner) {
			return nil, nil
		}
		leaves, inner = append(leaves, l...), s
	}
	return leaves, append(shape, inner...)
}

// parseJSON keeps numbers as they are written.
func parseJSON(body string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w in %.200s", err, body)
	}
	if decoder.More() {
		return nil, fmt.Errorf("more than one value in %.200s", body)
	}
	return v, nil
}
