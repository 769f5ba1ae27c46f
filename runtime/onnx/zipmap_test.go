package onnx

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// classifier is a graph that ends in a ZipMap as converters write it: scores,
// through a Mul, become maps; change may alter it.
func classifier(change func(*graphSpec)) graphSpec {
	g := graphSpec{
		nodes: messages(
			op("", "Mul", names("x", "w"), names("scores")),
			op("ai.onnx.ml", "ZipMap", names("scores"), names("probabilities"), intsAttribute("classlabels_int64s", 10, -20, 30)),
		),
		initializers: messages(weights("w", []float32{2}, 1)),
		inputs:       messages(info("x", runtime.Float32, "rows", 3)),
		outputs:      messages(typed("probabilities", sequenceType(mapType(runtime.Int64)))),
	}
	if change != nil {
		change(&g)
	}
	return g
}

func TestAZipMapIsCut(t *testing.T) {
	named := op("ai.onnx.ml", "ZipMap", names("scores"), names("probabilities"), stringsAttribute("classlabels_strings", "red", "", "blue"))
	numbers, open := []string{"10", "-20", "30"}, []int{-1, 3}
	for name, c := range map[string]struct {
		change func(*graphSpec)
		labels []string
		dims   []string
	}{
		"as converters write it": {nil, numbers, []string{"", ""}},
		"with strings":           {func(g *graphSpec) { g.nodes[1] = named }, []string{"red", "", "blue"}, []string{"", ""}},
		"with the rows' name": {func(g *graphSpec) {
			g.values = messages(info("scores", runtime.Float32, "rows", 3))
		}, numbers, []string{"rows", ""}},
		"before its input in the file": {func(g *graphSpec) { slices.Reverse(g.nodes) }, numbers, []string{"", ""}},
		"beside its tensor": {func(g *graphSpec) {
			g.outputs = append(g.outputs, info("scores", runtime.Float32, nil, 3))
		}, numbers, []string{"", ""}},
		"in a graph of ai.onnx.ml alone": {func(g *graphSpec) {
			scale := attribute("scale", 6, message(7, runtime.Bytes([]float32{2})))
			offset := attribute("offset", 6, message(7, runtime.Bytes([]float32{0})))
			g.nodes[0], g.initializers = op("ai.onnx.ml", "Scaler", names("x"), names("scores"), scale, offset), nil
		}, numbers, []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			g := classifier(c.change)
			b := file(g.bytes())
			if name == "in a graph of ai.onnx.ml alone" {
				b = slices.Concat(number(1, 10), message(7, g.bytes()), message(8, message(1, []byte("ai.onnx.ml")), number(2, 3)))
			}
			s := open1(t, write(t, b), Options{})
			out := s.Outputs()[0]
			if out.Name != "probabilities" || out.Kind != runtime.KindTensor || out.DType != runtime.Float32 ||
				!slices.Equal(out.Shape, open) || !slices.Equal(out.Dims, c.dims) || !slices.Equal(out.Labels, c.labels) {
				t.Errorf("the output is %+v", out)
			}
			for _, rows := range []int{1, 2, 2, 2, 0} {
				in, want := make([]float32, rows*3), make([]float32, rows*3)
				for i := range in {
					in[i], want[i] = float32(i), float32(2*i)
				}
				got := run1(t, s, tensor(in, rows, 3))[0]
				if err := differ(got, runtime.Tensor{Name: "probabilities", Shape: []int{rows, 3}, Data: want}, 0); err != nil {
					t.Errorf("%d rows: %v", rows, err)
				}
			}
		})
	}
}

func TestAZipMapThatIsNotAtTheEndStays(t *testing.T) {
	for name, change := range map[string]func(*graphSpec){
		"of the model's input": func(g *graphSpec) {
			g.nodes = messages(op("ai.onnx.ml", "ZipMap", names("x"), names("probabilities"), intsAttribute("classlabels_int64s", 1, 2, 3)))
		},
		"of one row without an axis": func(g *graphSpec) {
			g.inputs = messages(info("x", runtime.Float32, 3))
			g.values = messages(info("scores", runtime.Float32, 3))
		},
		"of another domain": func(g *graphSpec) {
			g.nodes = append(g.nodes, op("", "ZipMap", names("scores"), names("other")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := Read(write(t, file(classifier(change).bytes())), "")
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if name == "of another domain" {
				want = 1
			}
			if len(g.cuts) != want {
				t.Errorf("%d cuts, want %d", len(g.cuts), want)
			}
		})
	}
	used := classifier(func(g *graphSpec) {
		inner := graphSpec{nodes: messages(op("", "Identity", names("probabilities"), names("copy")))}.bytes()
		g.nodes = append(g.nodes, op("", "If", names("c"), names("z"), graphAttribute("then_branch", inner)))
	})
	if g, err := Read(write(t, file(used.bytes())), ""); err != nil || len(g.cuts) != 0 {
		t.Errorf("used inside another graph: %v, %v", g, err)
	}
}

func TestMapsAndTheTensorInTheirPlaceSayTheSame(t *testing.T) {
	for _, model := range []string{"iris", "iris-names", "text"} {
		t.Run(model, func(t *testing.T) {
			path := filepath.Join(models, model, "model.onnx")
			cut, kept := open1(t, path, Options{}), open1(t, path, Options{unedited: true})
			in := []runtime.Tensor{tensor([]float32{5.1, 3.5, 1.4, 0.2, 7, 3.2, 4.7, 1.4}, 2, 4)}
			if model == "text" {
				in = []runtime.Tensor{tensor([]string{"Return an array of ones.", "Fit the estimator."}, 2, 1)}
			}
			a, b := run1(t, cut, in...), run1(t, kept, in...)
			if err := differ(a[0], b[0], 0); err != nil {
				t.Error(err)
			}
			labels, p := cut.Outputs()[1].Labels, a[1].Data.([]float32)
			maps, ok := b[1].Data.([]runtime.Map)
			if !ok || len(maps) != 2 || kept.Outputs()[1].Kind != runtime.KindSequence || b[1].Kind() != runtime.KindSequence {
				t.Fatalf("kept: %+v", b[1])
			}
			for row, m := range maps {
				values := m.Values.([]float32)
				for i := range values {
					key := ""
					switch keys := m.Keys.(type) {
					case []int64:
						key = strconv.FormatInt(keys[i], 10)
					case []string:
						key = keys[i]
					}
					j := slices.Index(labels, key)
					if j < 0 || math.Float32bits(p[row*len(labels)+j]) != math.Float32bits(values[i]) {
						t.Errorf("row %d, class %q: %v, not what is in %v", row, key, values[i], p)
					}
				}
			}
		})
	}
}

func TestACutModelFindsItsExternalData(t *testing.T) {
	g := classifier(func(g *graphSpec) {
		g.initializers = messages(external("w", runtime.Float32, "w.bin", 1))
	})
	path := write(t, file(g.bytes()))
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "w.bin"), runtime.Bytes([]float32{3}), 0o644); err != nil {
		t.Fatal(err)
	}
	got := run1(t, open1(t, path, Options{}), tensor([]float32{1, 2, 3}, 1, 3))[0]
	if err := differ(got, runtime.Tensor{Name: "probabilities", Shape: []int{1, 3}, Data: []float32{3, 6, 9}}, 0); err != nil {
		t.Error(err)
	}
}
