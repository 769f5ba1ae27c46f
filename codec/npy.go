package codec

import (
	"fmt"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// NPY is application/x-npy: one array as numpy.save writes it.
//
// Decode reads versions 1.0 to 3.0 in either byte order and C or Fortran
// order; Python objects, structured types and complex numbers are refused, a
// pickle is never read. bfloat16 is numpy's V2, a float8 its V1 or, where the
// model wants a float8, the bits of a uint8. The array goes to a model with
// one input; it is converted to the input's type by the rules of docs/types.md.
// With one dimension fewer than the input it is one row, or one value for each
// row of an input whose last dimension is 1. The result shares body's memory
// when nothing has to be changed.
//
// Encode writes version 1.0, byte for byte as numpy does, strings as U. It
// carries one tensor: of several, the parameter output names one, as in
// "application/x-npy;output=probabilities".
type NPY struct{}

// MediaTypes returns application/x-npy.
func (NPY) MediaTypes() []string { return npyTypes }

var npyTypes = []string{"application/x-npy"}

// Decode implements [Codec].
func (NPY) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	want := runtime.Info{}
	switch len(r.Want) {
	case 0:
	case 1:
		want = r.Want[0]
	default:
		return nil, errorf("NPY", "", "one array for a model with %d inputs: send application/x-npz with arrays named %s", len(r.Want), inputNames(r.Want))
	}
	a, err := parseNPY(body)
	if err != nil {
		return nil, err
	}
	t, err := a.tensor(want)
	if err != nil {
		return nil, err
	}
	r.Found.Dialect = Rows
	return []runtime.Tensor{t}, nil
}

// Encode implements [Codec].
func (NPY) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	t, err := oneOutput(out, r.Params["output"], npyTypes[0])
	if err != nil {
		return nil, err
	}
	return appendNPY(dst, t)
}

// oneOutput returns the tensor of that name for a reply of a type that holds
// one; without a name, the only one.
func oneOutput(out []runtime.Tensor, name, mediaType string) (runtime.Tensor, error) {
	var names []string
	for _, t := range out {
		if t.Name == name || name == "" && len(out) == 1 {
			return t, nil
		}
		names = append(names, t.Name)
	}
	has := strings.Join(names, ", ")
	switch {
	case name != "":
		return runtime.Tensor{}, fmt.Errorf("%w: no output is named %s; there are %s", ErrNotAcceptable, quote(name), has)
	case len(out) == 0:
		return runtime.Tensor{}, fmt.Errorf("%w: %s holds one array, there is no output", ErrNotAcceptable, mediaType)
	}
	last := names[len(names)-1]
	return runtime.Tensor{}, fmt.Errorf("%w: %s holds one array, there are %d outputs (%s): accept application/x-npz, or "+
		`"%s;output=%s", or ask for one with the custom attribute ort-outputs=%s`, ErrNotAcceptable, mediaType, len(out), has, mediaType, last, last)
}

// inputNames lists the inputs of a model for an error message.
func inputNames(infos []runtime.Info) string {
	const most = 10
	names := make([]string, 0, most+1)
	for i, info := range infos {
		if i == most {
			names = append(names, "...")
			break
		}
		names = append(names, info.Name)
	}
	return strings.Join(names, ", ")
}
