package onnx

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// models is what the repository is tested with; see its README.md.
const models = "../../testdata/models"

// An expectation is a model's expected.json.
type expectation struct {
	Model           string
	RTol            float64
	Inputs, Outputs []struct {
		Name, DType, Kind string
		Shape             []int
		Labels            []string
	}
	Cases []struct {
		Name            string
		Inputs, Outputs []tensorJSON
	}
}

type tensorJSON struct {
	Name, DType, Kind string
	Shape             []int
	Data              []json.RawMessage
}

// eachModel runs f for every model that has an expected.json.
func eachModel(t *testing.T, f func(t *testing.T, path string, e expectation)) {
	t.Helper()
	files, err := filepath.Glob(models + "/*/expected.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no models in %s: %v", models, err)
	}
	for _, file := range files {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var e expectation
			if err := json.Unmarshal(b, &e); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			f(t, filepath.Join(folder, e.Model), e)
		})
	}
}

func dtypeNamed(t testing.TB, name string) runtime.DType {
	t.Helper()
	for d := range runtime.DType(32) {
		if d.Known() && d.String() == name {
			return d
		}
	}
	t.Fatalf("no element type is called %q", name)
	return 0
}

func (j tensorJSON) tensor(t testing.TB) runtime.Tensor {
	t.Helper()
	return runtime.Tensor{Name: j.Name, Shape: j.Shape, Data: elements(t, dtypeNamed(t, j.DType), j.Data)}
}

// elements reads a flat list of JSON values into a slice of d.
func elements(t testing.TB, d runtime.DType, list []json.RawMessage) any {
	t.Helper()
	data := runtime.Make(d, len(list))
	for i, raw := range list {
		s := string(raw)
		if raw[0] == '"' {
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
		}
		if err := setElement(reflect.ValueOf(data).Index(i), s); err != nil {
			t.Fatalf("element %d: %v", i, err)
		}
	}
	return data
}

func setElement(v reflect.Value, s string) (err error) {
	var f float64
	switch v.Interface().(type) {
	case string:
		v.SetString(s)
		return nil
	case bool:
		v.SetBool(s == "true")
		return nil
	case int8, int16, int32, int64:
		n, err := strconv.ParseInt(s, 10, 64)
		v.SetInt(n)
		return err
	case float32:
		f, err = strconv.ParseFloat(s, 32)
		v.SetFloat(f)
		return err
	case float64:
		f, err = strconv.ParseFloat(s, 64)
		v.SetFloat(f)
		return err
	}
	switch v.Interface().(type) {
	case runtime.F16, runtime.BF16, runtime.F8E4M3FN, runtime.F8E4M3FNUZ, runtime.F8E5M2, runtime.F8E5M2FNUZ:
		f, err = strconv.ParseFloat(s, 64)
		v.SetUint(narrow(v.Interface(), f))
		return err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	v.SetUint(n)
	return err
}

// narrow returns v's bits in the float type that like has.
func narrow(like any, v float64) uint64 {
	switch like.(type) {
	case runtime.F16:
		return uint64(runtime.ToF16(v))
	case runtime.BF16:
		return uint64(runtime.ToBF16(v))
	case runtime.F8E4M3FN:
		return uint64(runtime.ToF8E4M3FN(v))
	case runtime.F8E4M3FNUZ:
		return uint64(runtime.ToF8E4M3FNUZ(v))
	case runtime.F8E5M2:
		return uint64(runtime.ToF8E5M2(v))
	}
	return uint64(runtime.ToF8E5M2FNUZ(v))
}

// number returns a float element's value, and whether it is one.
func floatOf(v any) (float64, bool) {
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	case interface{ Float32() float32 }:
		return float64(v.Float32()), true
	}
	return 0, false
}

// differ says where got is not what want is, within rtol for floats.
func differ(got, want runtime.Tensor, rtol float64) error {
	if got.Name != want.Name {
		return fmt.Errorf("it is called %q, want %q", got.Name, want.Name)
	}
	if got.DType() != want.DType() || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("%v %v, want %v %v", got.DType(), got.Shape, want.DType(), want.Shape)
	}
	if err := got.Check(); err != nil {
		return err
	}
	g, w := reflect.ValueOf(got.Data), reflect.ValueOf(want.Data)
	for i := range w.Len() {
		a, b := g.Index(i).Interface(), w.Index(i).Interface()
		x, isFloat := floatOf(a)
		if !isFloat {
			if a != b {
				return fmt.Errorf("element %d is %v, want %v", i, a, b)
			}
			continue
		}
		y, _ := floatOf(b)
		if x == y || math.IsNaN(x) && math.IsNaN(y) {
			continue
		}
		if !(math.Abs(x-y) <= rtol*math.Abs(y)+1e-7) {
			return fmt.Errorf("element %d is %v, want %v", i, a, b)
		}
	}
	return nil
}

// differSequence compares got with a sequence's JSON form.
func differSequence(t testing.TB, got runtime.Tensor, want tensorJSON, rtol float64) error {
	d := dtypeNamed(t, want.DType)
	switch s := got.Data.(type) {
	case []runtime.Tensor:
		if len(s) != len(want.Data) {
			return fmt.Errorf("%d elements, want %d", len(s), len(want.Data))
		}
		for i, raw := range want.Data {
			var e tensorJSON
			if err := json.Unmarshal(raw, &e); err != nil {
				return err
			}
			if err := differ(s[i], runtime.Tensor{Shape: e.Shape, Data: elements(t, d, e.Data)}, rtol); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		return nil
	case []runtime.Map:
		if len(s) != len(want.Data) {
			return fmt.Errorf("%d maps, want %d", len(s), len(want.Data))
		}
		for i, raw := range want.Data {
			if err := differMap(t, s[i], raw, d); err != nil {
				return fmt.Errorf("map %d: %w", i, err)
			}
		}
		return nil
	}
	return fmt.Errorf("a %T is no sequence", got.Data)
}

func differMap(t testing.TB, got runtime.Map, raw json.RawMessage, d runtime.DType) error {
	var want struct{ Keys, Values []json.RawMessage }
	if err := json.Unmarshal(raw, &want); err != nil {
		return err
	}
	keys := elements(t, runtime.DTypeOf(got.Keys), want.Keys)
	values := elements(t, d, want.Values)
	if fmt.Sprint(got.Keys) != fmt.Sprint(keys) || fmt.Sprint(got.Values) != fmt.Sprint(values) {
		return fmt.Errorf("%v: %v, want %v: %v", got.Keys, got.Values, keys, values)
	}
	return nil
}

// answers runs every case of e and compares. It runs each three times: what
// is kept from one run to the next must not show.
func answers(t *testing.T, s *Session, e expectation) {
	t.Helper()
	for _, c := range e.Cases {
		var in []runtime.Tensor
		for _, j := range c.Inputs {
			in = append(in, j.tensor(t))
		}
		for range 3 {
			out, err := s.Run(t.Context(), in, nil)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			for i, want := range c.Outputs {
				if want.Kind == "sequence" {
					err = differSequence(t, out[i], want, e.RTol)
				} else {
					err = differ(out[i], want.tensor(t), e.RTol)
				}
				if err != nil {
					t.Errorf("%s: output %s: %v", c.Name, want.Name, err)
				}
			}
		}
	}
}

func open1(t testing.TB, path string, o Options) *Session {
	t.Helper()
	o.bind = o.bind || bound
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestEveryModelAnswersAsPythonDoes(t *testing.T) {
	eachModel(t, func(t *testing.T, path string, e expectation) {
		s := open1(t, path, Options{})
		answers(t, s, e)
	})
}

func TestInfosAreWhatTheModelDeclares(t *testing.T) {
	eachModel(t, func(t *testing.T, path string, e expectation) {
		s := open1(t, path, Options{})
		var got, want []string
		for _, i := range append(slices.Clone(s.Inputs()), s.Outputs()...) {
			if i.Kind == runtime.KindSequence {
				got = append(got, fmt.Sprintln(i.Name, i.DType, "sequence"))
			} else {
				got = append(got, fmt.Sprintln(i.Name, i.DType, i.Shape, strings.Join(i.Labels, ",")))
			}
		}
		for _, i := range append(e.Inputs, e.Outputs...) {
			if i.Kind == "sequence" {
				want = append(want, fmt.Sprintln(i.Name, i.DType, "sequence"))
			} else {
				want = append(want, fmt.Sprintln(i.Name, i.DType, i.Shape, strings.Join(i.Labels, ",")))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
