package onnx

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// matrices is a model of one node that takes the matrices a and b.
func matrices(operator string, attributes ...[]byte) graphSpec {
	return graphSpec{
		nodes:   messages(op("", operator, names("a", "b"), names("y"), attributes...)),
		inputs:  messages(info("a", runtime.Float32, nil, nil), info("b", runtime.Float32, nil, nil)),
		outputs: messages(unranked("y", runtime.Float32)),
	}
}

// sized is a model of one node that takes a matrix, and numbers that decide
// what becomes of it.
func sized(operator string, outputs ...string) graphSpec {
	g := graphSpec{
		nodes:  messages(op("", operator, names("a", "b"), outputs)),
		inputs: messages(info("a", runtime.Float32, nil, nil), info("b", runtime.Int64, nil)),
	}
	for _, o := range outputs {
		g.outputs = append(g.outputs, unranked(o, runtime.Float32))
	}
	return g
}

// words is a model of one node that takes strings.
func words(domain, operator string, to runtime.DType, attributes ...[]byte) graphSpec {
	return graphSpec{
		nodes:   messages(op(domain, operator, names("a"), names("y"), attributes...)),
		inputs:  messages(info("a", runtime.String, nil)),
		outputs: messages(unranked("y", to)),
	}
}

func TestErrorsOfARunSayWhoseTheyAre(t *testing.T) {
	zeros := func(shape ...int) runtime.Tensor {
		n, _ := runtime.Elements(shape)
		return tensor(make([]float32, n), shape...)
	}
	ints := func(v ...int64) runtime.Tensor { return tensor(v, len(v)) }
	conv := graphSpec{
		nodes:        messages(op("", "Conv", names("a", "w"), names("y"))),
		initializers: messages(weights("w", make([]float32, 9), 1, 1, 3, 3)),
		inputs:       messages(unranked("a", runtime.Float32)),
		outputs:      messages(unranked("y", runtime.Float32)),
	}
	divide := graphSpec{
		nodes:   messages(op("", "Div", names("a", "b"), names("y"))),
		inputs:  messages(info("a", runtime.Int64, nil), info("b", runtime.Int64, nil)),
		outputs: messages(info("y", runtime.Int64, nil)),
	}
	fill := graphSpec{
		nodes:   messages(op("", "ConstantOfShape", names("b"), names("y"))),
		inputs:  messages(info("b", runtime.Int64, nil)),
		outputs: messages(unranked("y", runtime.Float32)),
	}
	text := tensor([]string{"abc"}, 1)
	for name, c := range map[string]struct {
		graph graphSpec
		in    []runtime.Tensor
		is    error
		says  string
	}{
		"add":           {matrices("Add"), []runtime.Tensor{zeros(2, 3), zeros(2, 4)}, runtime.ErrInput, "3 by 4"},
		"matmul":        {matrices("MatMul"), []runtime.Tensor{zeros(2, 3), zeros(2, 4)}, runtime.ErrInput, "MatMul dimension mismatch"},
		"gemm":          {matrices("Gemm"), []runtime.Tensor{zeros(2, 3), zeros(2, 4)}, runtime.ErrInput, "W: {2,4} K: 3"},
		"concat":        {matrices("Concat", intAttribute("axis", 0)), []runtime.Tensor{zeros(2, 3), zeros(2, 4)}, runtime.ErrInput, "mismatched dimensions of 4 and 3"},
		"gather":        {sized("Gather", "y"), []runtime.Tensor{zeros(2, 3), ints(5)}, runtime.ErrInput, "idx=5"},
		"reshape":       {sized("Reshape", "y"), []runtime.Tensor{zeros(2, 3), ints(5, 7)}, runtime.ErrInput, "requested shape:{5,7}"},
		"expand":        {sized("Expand", "y"), []runtime.Tensor{zeros(2, 3), ints(5, 7)}, runtime.ErrInput, "invalid expand shape"},
		"overflow":      {sized("Expand", "y"), []runtime.Tensor{zeros(1, 1), ints(1<<40, 1<<40)}, runtime.ErrInput, "Integer overflow"},
		"too large":     {sized("Expand", "y"), []runtime.Tensor{zeros(1, 1), ints(1<<22, 1<<22)}, runtime.ErrMemory, "70368744177664"},
		"split":         {sized("Split", "y", "z"), []runtime.Tensor{zeros(3, 3), ints(1, 1)}, runtime.ErrInput, "Cannot split"},
		"convolution":   {conv, []runtime.Tensor{zeros(2, 3)}, runtime.ErrInput, "X: {2,3}"},
		"channels":      {conv, []runtime.Tensor{zeros(2, 2, 5, 5)}, runtime.ErrInput, "C: 2 kernel channels: 1"},
		"division":      {divide, []runtime.Tensor{ints(1), ints(0)}, runtime.ErrInput, "division by zero"},
		"fill":          {fill, []runtime.Tensor{ints(-1)}, runtime.ErrInput, "must be >= 0"},
		"fill too much": {fill, []runtime.Tensor{ints(1 << 44)}, runtime.ErrMemory, "70368744177664"},
		"number":        {words("", "Cast", runtime.Float32, intAttribute("to", 1)), []runtime.Tensor{text}, runtime.ErrInput, "Cast"},
		"category": {words("ai.onnx.ml", "OneHotEncoder", runtime.Float32, stringsAttribute("cats_strings", "a"), intAttribute("zeros", 0)),
			[]runtime.Tensor{text}, runtime.ErrInput, "Unknown Category"},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, c.graph, Options{})
			for range 3 {
				_, err := s.Run(t.Context(), c.in, nil)
				if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "onnxruntime/core") {
					t.Fatalf("want %q and no source position in: %v", c.says, err)
				}
				for _, kind := range []error{runtime.ErrInput, runtime.ErrMemory, runtime.ErrModel} {
					if errors.Is(err, kind) != (kind == c.is) {
						t.Fatalf("want %v: %v", c.is, err)
					}
				}
			}
		})
	}
}

func TestAnErrorOfNoKnownKindIsTheServers(t *testing.T) {
	err := error(&statusError{1, "Non-zero status code returned while running Magic node. Name:'' Status Message: no luck"})
	for _, kind := range []error{runtime.ErrInput, runtime.ErrMemory, runtime.ErrModel, nil} {
		if errors.Is(err, kind) {
			t.Errorf("it is %v", kind)
		}
	}
}

func TestFilesThatCannotBeOpenedAreNamed(t *testing.T) {
	bare := func(nodes, initializers [][]byte) []byte {
		return file(graphSpec{nodes: nodes, initializers: initializers,
			inputs: messages(info("x", runtime.Float32, nil)), outputs: messages(info("y", runtime.Float32, nil))}.bytes())
	}
	inputs := func(typ []byte) []byte {
		return file(graphSpec{nodes: messages(op("", "SequenceLength", names("x"), names("y"))),
			inputs: messages(typed("x", typ)), outputs: messages(info("y", runtime.Int64))}.bytes())
	}
	tensorType := message(1, number(1, int(runtime.Float32)))
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"nothing":          {[]byte{}, "it is empty"},
		"text":             {[]byte("<html><body>Not found</body></html>"), "it "},
		"no graph":         {number(1, 8), "no graph"},
		"two graphs":       {append(bare(nil, nil), message(7)...), "two graphs"},
		"truncated":        {bare(nil, nil)[:20], "ends in the middle"},
		"no outputs":       {file(graphSpec{inputs: messages(info("x", runtime.Float32))}.bytes()), "no outputs"},
		"unknown operator": {bare(messages(op("", "Magic", names("x"), names("y"))), nil), "Magic"},
		"unknown domain":   {bare(messages(op("com.acme", "Magic", names("x"), names("y"))), nil), "com.acme"},
		"unknown value":    {bare(messages(op("", "Identity", names("q"), names("y"))), nil), "'q'"},
		"short weights": {bare(messages(op("", "Add", names("x", "w"), names("y"))), messages(weights("w", make([]float32, 2), 3))),
			"does not match expected size"},
		"sequence input": {inputs(sequenceType(tensorType)), `input "x" is a sequence or a map`},
		"map input":      {inputs(mapType(runtime.Int64)), `input "x" is a sequence or a map`},
		"complex input":  {inputs(message(1, number(1, 14))), `input "x" has elements of onnx type 14`},
		"optional input": {inputs(message(9, message(1, tensorType))), `input "x" has elements of undefined`},
		"sparse input":   {inputs(message(8, number(1, 1))), `input "x" has elements of undefined`},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.file)
			s, err := Open(t.Context(), path, Options{})
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want ErrModel, %s and %q in: %v", path, c.says, err)
			}
		})
	}
	for name, path := range map[string]string{"missing": t.TempDir() + "/model.onnx", "folder": t.TempDir()} {
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, runtime.ErrModel) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), t.TempDir()+"/model.onnx", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestOptionsThatMeanNothingAreRefused(t *testing.T) {
	path := write(t, file(slow().bytes()))
	for _, o := range []Options{{Optimize: "fast"}, {IntraOp: -1}, {InterOp: -1}} {
		if _, err := Open(t.Context(), path, o); err == nil || errors.Is(err, runtime.ErrModel) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []Options{
		{Optimize: "off"}, {Optimize: "basic"}, {Optimize: "extended"}, {Optimize: "all"}, {IntraOp: 2, InterOp: 2, Spin: true},
		{Config: map[string]string{"session.intra_op.allow_spinning": "1"}},
	} {
		run1(t, open1(t, path, o), times(2)...)
	}
}
