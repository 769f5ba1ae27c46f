package onnx

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// What follows writes the parts of an ONNX file, each as the bytes of its
// message; the numbers are onnx.proto's.

// info is a ValueInfoProto of a tensor; a dimension is an int, a name, or nil
// for an open one.
func info(name string, d runtime.DType, dims ...any) []byte {
	var shape []byte
	for _, dim := range dims {
		switch dim := dim.(type) {
		case int:
			shape = append(shape, message(1, number(1, dim))...)
		case string:
			shape = append(shape, message(1, message(2, []byte(dim)))...)
		default:
			shape = append(shape, message(1)...)
		}
	}
	return typed(name, message(1, number(1, int(d)), message(2, shape)))
}

// unranked is a ValueInfoProto of a tensor without a shape.
func unranked(name string, d runtime.DType) []byte {
	return typed(name, message(1, number(1, int(d))))
}

func typed(name string, typ []byte) []byte {
	return append(message(1, []byte(name)), message(2, typ)...)
}

// sequenceType is the TypeProto of sequences of element.
func sequenceType(element []byte) []byte { return message(4, message(1, element)) }

// mapType is the TypeProto of maps from key to float32.
func mapType(key runtime.DType) []byte {
	return message(5, number(1, int(key)), message(2, message(1, number(1, int(runtime.Float32)), message(2))))
}

func op(domain, op string, in, out []string, attributes ...[]byte) []byte {
	var n []byte
	for _, s := range in {
		n = append(n, message(1, []byte(s))...)
	}
	for _, s := range out {
		n = append(n, message(2, []byte(s))...)
	}
	n = append(n, message(4, []byte(op))...)
	for _, a := range attributes {
		n = append(n, message(5, a)...)
	}
	return append(n, message(7, []byte(domain))...)
}

func names(s ...string) []string { return s }

func attribute(name string, typ int, value ...[]byte) []byte {
	a := append(message(1, []byte(name)), number(20, typ)...)
	for _, v := range value {
		a = append(a, v...)
	}
	return a
}

func intAttribute(name string, v int) []byte       { return attribute(name, 2, number(3, v)) }
func tensorAttribute(name string, t []byte) []byte { return attribute(name, 4, message(5, t)) }
func graphAttribute(name string, g []byte) []byte  { return attribute(name, 5, message(6, g)) }

func intsAttribute(name string, v ...int) []byte {
	a := attribute(name, 7)
	for _, i := range v {
		a = append(a, number(8, i)...)
	}
	return a
}

func stringsAttribute(name string, v ...string) []byte {
	a := attribute(name, 8)
	for _, s := range v {
		a = append(a, message(9, []byte(s))...)
	}
	return a
}

// weights is a TensorProto of data, which is a slice that runtime.Bytes takes.
func weights(name string, data any, dims ...int) []byte {
	return append(tensorHead(name, runtime.DTypeOf(data), dims), message(9, runtime.Bytes(data))...)
}

// external is a TensorProto whose data lies at location.
func external(name string, d runtime.DType, location string, dims ...int) []byte {
	entry := message(13, message(1, []byte("location")), message(2, []byte(location)))
	return append(append(tensorHead(name, d, dims), entry...), number(14, 1)...)
}

func tensorHead(name string, d runtime.DType, dims []int) []byte {
	var t []byte
	for _, n := range dims {
		t = append(t, number(1, n)...)
	}
	return append(append(t, number(2, int(d))...), message(8, []byte(name))...)
}

// A graphSpec is a GraphProto in parts.
type graphSpec struct {
	nodes, initializers, inputs, outputs, values [][]byte
}

func (g graphSpec) bytes() []byte {
	var b []byte
	for _, part := range []struct {
		field protowire.Number
		list  [][]byte
	}{{1, g.nodes}, {5, g.initializers}, {11, g.inputs}, {12, g.outputs}, {13, g.values}} {
		for _, m := range part.list {
			b = append(b, message(part.field, m)...)
		}
	}
	return append(b, message(2, []byte("graph"))...)
}

func messages(m ...[]byte) [][]byte { return m }

// file is a ModelProto around graph; extra are further fields.
func file(graph []byte, extra ...[]byte) []byte {
	b := append(number(1, 10), message(7, graph)...)
	b = append(b, message(8, message(1, nil), number(2, 21))...)
	b = append(b, message(8, message(1, []byte("ai.onnx.ml")), number(2, 3))...)
	for _, e := range extra {
		b = append(b, e...)
	}
	return b
}

// write puts b into a new folder as model.onnx and returns its path.
func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened opens a model of g.
func opened(t testing.TB, g graphSpec, o Options) *Session {
	t.Helper()
	return open1(t, write(t, file(g.bytes())), o)
}

// run1 runs s and fails the test on an error.
func run1(t testing.TB, s *Session, in ...runtime.Tensor) []runtime.Tensor {
	t.Helper()
	out, err := s.Run(t.Context(), in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tensor is a runtime.Tensor without a name.
func tensor(data any, shape ...int) runtime.Tensor { return runtime.Tensor{Shape: shape, Data: data} }

// identity is a graph that returns x of type d and those dimensions.
func identity(d runtime.DType, dims ...any) graphSpec {
	return graphSpec{
		nodes:   messages(op("", "Identity", names("x"), names("y"))),
		inputs:  messages(info("x", d, dims...)),
		outputs: messages(info("y", d, dims...)),
	}
}
