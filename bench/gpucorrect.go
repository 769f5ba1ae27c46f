package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"

	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// gpuCorrect compares the device's answers with the CPU's: those of every model
// of testdata to the inputs of its expected.json, and of the networks.
func gpuCorrect(b *bench, g *gpuSettings) error {
	files, err := filepath.Glob("testdata/models/*/expected.json")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no models in testdata/models: %v", err)
	}
	for _, tf32 := range []bool{false, true} {
		p := precision{tf32: tf32}
		worst, where := 0.0, ""
		note := func(model string, difference float64) {
			if difference > worst || where == "" {
				worst, where = difference, model
			}
		}
		for _, file := range files {
			model, cases, err := readCases(file)
			if err != nil {
				return err
			}
			d, err := g.compare(model, p, cases)
			if err != nil {
				return fmt.Errorf("%s: %w", model, err)
			}
			note(filepath.Base(filepath.Dir(file)), d)
		}
		for _, n := range g.networks {
			d, err := g.compareNetwork(b, n, p)
			if err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
			note(n.Name, d)
		}
		r := row{What: fmt.Sprintf("%d models and networks, TF32 %v: largest relative difference", len(files)+len(g.networks), tf32),
			Value: fmt.Sprintf("%.1e (%s)", worst, where), Against: "the CPU's answers", Ratio: worst / 1e-3}
		if !tf32 {
			r.Limit = 1
		}
		b.report(r)
	}
	return nil
}

func (g *gpuSettings) compareNetwork(b *bench, n networks.Network, p precision) (float64, error) {
	dir, err := n.Make(b.cache, networks.Options{})
	if err != nil {
		return 0, err
	}
	var cases [][]runtime.Tensor
	for _, rows := range []int{1, min(8, g.batches[len(g.batches)-1])} {
		shape := append([]int{rows}, shapeOf(n)...)
		count, err := runtime.Elements(shape)
		if err != nil {
			return 0, err
		}
		cases = append(cases, []runtime.Tensor{{Shape: shape, Data: unit(count)}})
	}
	return g.compare(filepath.Join(dir, "model.onnx"), p, cases)
}

// shapeOf is that of a network's images.
func shapeOf(n networks.Network) []int {
	if n.Name == networks.Thumbnail.Name {
		return []int{3, 8, 8}
	}
	return image[1:]
}

// unit returns n numbers between 0 and 1.
func unit(n int) []float32 {
	values := numbers(n)
	for i := range values {
		values[i] /= 8
	}
	return values
}

// compare runs the cases on the CPU and on the device and returns the largest
// relative difference. Where one fails, both must.
func (g *gpuSettings) compare(model string, p precision, cases [][]runtime.Tensor) (worst float64, err error) {
	ctx := context.Background()
	cpu, err := onnx.Open(ctx, model, onnx.Options{})
	if err != nil {
		return 0, err
	}
	defer cpu.Close()
	device, err := onnx.Open(ctx, model, g.options(p))
	if err != nil {
		return 0, err
	}
	defer device.Close()
	for _, in := range cases {
		want, failed := cpu.Run(ctx, in, nil)
		for range 3 { // what is kept from run to run must not show
			got, err := device.Run(ctx, in, nil)
			if (err == nil) != (failed == nil) {
				return 0, fmt.Errorf("on the CPU: %v; on the device: %v", failed, err)
			}
			for i := range want {
				d, err := difference(got[i], want[i])
				if err != nil {
					return 0, fmt.Errorf("output %s: %w", want[i].Name, err)
				}
				worst = max(worst, d)
			}
		}
	}
	return worst, nil
}

// difference is the largest relative one of two tensors' or sequences' floats;
// all else must be equal.
func difference(got, want runtime.Tensor) (float64, error) {
	if fmt.Sprint(got.Shape, got.DType()) != fmt.Sprint(want.Shape, want.DType()) {
		return 0, fmt.Errorf("%v %v, want %v %v", got.DType(), got.Shape, want.DType(), want.Shape)
	}
	return differ(reflect.ValueOf(got.Data), reflect.ValueOf(want.Data))
}

func differ(got, want reflect.Value) (worst float64, err error) {
	if got.Kind() != want.Kind() || got.Kind() == reflect.Slice && got.Len() != want.Len() {
		return 0, fmt.Errorf("%v, want %v", got, want)
	}
	var parts int
	part := func(v reflect.Value, i int) reflect.Value { return v.Index(i) }
	switch x := want.Interface().(type) {
	case float32, float64, interface{ Float32() float32 }:
		return relative(float(got.Interface()), float(x)), nil
	}
	switch want.Kind() {
	case reflect.Slice:
		parts = want.Len()
	case reflect.Struct:
		parts, part = want.NumField(), reflect.Value.Field
	case reflect.Interface:
		return differ(got.Elem(), want.Elem())
	default:
		if got.Interface() != want.Interface() {
			return 0, fmt.Errorf("%v, want %v", got, want)
		}
	}
	for i := range parts {
		d, err := differ(part(got, i), part(want, i))
		if err != nil {
			return 0, fmt.Errorf("%d: %w", i, err)
		}
		worst = max(worst, d)
	}
	return worst, nil
}

func float(v any) float64 {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case float64:
		return v
	case interface{ Float32() float32 }:
		return float64(v.Float32())
	}
	return math.NaN()
}

// relative is the difference over the value, of small values over 1e-3: what
// is next to nothing has no digits.
func relative(got, want float64) float64 {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	d := math.Abs(got-want) / max(math.Abs(want), 1e-3)
	if math.IsNaN(d) {
		return math.Inf(1)
	}
	return d
}

// readCases reads the inputs of an expected.json.
func readCases(file string) (model string, cases [][]runtime.Tensor, err error) {
	var e struct {
		Model string
		Cases []struct {
			Inputs []struct {
				Name, DType string
				Shape       []int
				Data        []json.RawMessage
			}
		}
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return "", nil, err
	}
	for _, c := range e.Cases {
		var in []runtime.Tensor
		for _, t := range c.Inputs {
			data, err := elements(t.DType, t.Data)
			if err != nil {
				return "", nil, fmt.Errorf("%s: %s: %w", file, t.Name, err)
			}
			in = append(in, runtime.Tensor{Name: t.Name, Shape: t.Shape, Data: data})
		}
		cases = append(cases, in)
	}
	return filepath.Join(filepath.Dir(file), e.Model), cases, nil
}

// elements makes a tensor's data; of the small floats, which JSON does not have
// the bits of, zeros.
func elements(dtype string, list []json.RawMessage) (any, error) {
	for d := range runtime.DType(32) {
		if !d.Known() || d.String() != dtype {
			continue
		}
		data := runtime.Make(d, len(list))
		for i, raw := range list {
			if err := setElement(reflect.ValueOf(data).Index(i), raw); err != nil {
				return nil, err
			}
		}
		return data, nil
	}
	return nil, fmt.Errorf("there is no type %q", dtype)
}

func setElement(v reflect.Value, raw json.RawMessage) (err error) {
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	if _, small := v.Interface().(interface{ Float32() float32 }); small {
		f, err := strconv.ParseFloat(text, 32)
		if _, half := v.Interface().(runtime.F16); half {
			v.SetUint(uint64(runtime.ToF16(f)))
		}
		return err
	}
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		v.SetUint(n)
		return err
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, 64)
		v.SetFloat(f)
		return err
	case v.Kind() == reflect.Bool:
		v.SetBool(text == "true")
	default:
		v.SetString(text)
	}
	return nil
}
