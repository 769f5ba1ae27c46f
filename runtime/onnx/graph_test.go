package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

func TestReadFindsWhatTheFileSays(t *testing.T) {
	g := graphSpec{
		nodes:        messages(op("", "Add", names("x", "w"), names("y"))),
		initializers: messages(weights("w", []float32{1, 2, 3}, 3)),
		inputs:       messages(info("w", runtime.Float32, 3), info("x", runtime.Float32, "batch", 3), info("n", runtime.Int64)),
		outputs:      messages(info("y", runtime.Float32, "batch", nil), unranked("z", runtime.Bool)),
	}
	entry := func(k, v string) []byte { return message(14, message(1, []byte(k)), message(2, []byte(v))) }
	b := file(g.bytes(), message(2, []byte("trainer")), message(3, []byte("1.5")), message(4, []byte("org.acme")),
		number(5, 7), message(6, []byte("a model")), entry("classes", "a,b"), entry("date", "today"))
	path := write(t, b)
	got, err := Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	want := &Graph{
		Inputs: []runtime.Info{
			{Name: "x", DType: runtime.Float32, Shape: []int{-1, 3}, Dims: []string{"batch", ""}},
			{Name: "n", DType: runtime.Int64},
		},
		Outputs: []runtime.Info{
			{Name: "y", DType: runtime.Float32, Shape: []int{-1, -1}, Dims: []string{"batch", ""}},
			{Name: "z", DType: runtime.Bool, Unranked: true},
		},
		Name: "graph", Producer: "trainer", ProducerVersion: "1.5", Domain: "org.acme", ModelVersion: 7, IRVersion: 10,
		Opsets: map[string]int64{"": 21, "ai.onnx.ml": 3}, Doc: "a model",
		Metadata: map[string]string{"classes": "a,b", "date": "today"},
		Size:     int64(len(b)), path: path, nodes: 1, main: got.main,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A counter counts what is read of a file.
type counter struct {
	io.ReaderAt
	read int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.read += int64(n)
	return n, err
}

func TestReadSkipsTheWeights(t *testing.T) {
	const size = 64 << 20
	heavy := append(tensorHead("w", runtime.Float32, []int{size / 4}), protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.BytesType), size)...)
	graph := append(protowire.AppendTag(nil, 5, protowire.BytesType), protowire.AppendVarint(nil, uint64(len(heavy)+size))...)
	graph = append(graph, heavy...)
	tail := identity(runtime.Float32).bytes()
	head := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), uint64(len(graph)+size+len(tail)))
	head = append(head, graph...)
	f, err := os.Create(filepath.Join(t.TempDir(), "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err1 := f.WriteAt(head, 0)
	_, err2 := f.WriteAt(tail, int64(len(head)+size)) // between them a hole
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	c := &counter{ReaderAt: f}
	p := newParser(newProtoReader(c, int64(len(head)+size+len(tail))))
	if err := p.model(); err != nil {
		t.Fatal(err)
	}
	if len(p.inputs) != 1 || !p.initializers["w"] {
		t.Errorf("found %v and %v", p.inputs, p.initializers)
	}
	if c.read > 4*windowSize {
		t.Errorf("read %d bytes of a graph without its weights", c.read)
	}
}

func TestAFileCutAnywhereIsAnErrorOrAnotherModel(t *testing.T) {
	b, err := os.ReadFile(models + "/iris-names/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for n := range len(b) {
		p := newParser(newProtoReader(bytes.NewReader(b[:n]), int64(n)))
		if p.model() == nil {
			whole++
		}
	}
	if whole > 20 { // a file may end after any of ModelProto's fields
		t.Errorf("%d of %d prefixes of a model are models", whole, len(b))
	}
}

func TestDepthIsBounded(t *testing.T) {
	graph := identity(runtime.Float32).bytes()
	for range 40 { // a graph, its node, the node's attribute, the graph in that
		graph = message(1, op("", "If", names("c"), names("y"), graphAttribute("then_branch", graph)))
	}
	if _, err := Read(write(t, file(graph)), ""); !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), "nested") {
		t.Errorf("graphs: %v", err)
	}
	typ := message(1, number(1, 1))
	for range 100 {
		typ = sequenceType(typ)
	}
	g := graphSpec{outputs: messages(typed("y", typ))}
	if _, err := Read(write(t, file(g.bytes())), ""); !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), "nested") {
		t.Errorf("types: %v", err)
	}
}

func TestLengthsThatLieAreErrors(t *testing.T) {
	huge := protowire.AppendVarint(nil, 1<<62)
	for _, field := range []protowire.Number{2, 7, 8, 14, 20, 25} {
		b := append(protowire.AppendTag(number(1, 8), field, protowire.BytesType), huge...)
		if _, err := Read(write(t, b), ""); !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), errTruncated.Error()) {
			t.Errorf("field %d: %v", field, err)
		}
	}
	inside := message(7, append(protowire.AppendTag(nil, 2, protowire.BytesType), 100)) // longer than the graph around it
	if _, err := Read(write(t, append(inside, make([]byte, 200)...)), ""); !errors.Is(err, runtime.ErrModel) {
		t.Errorf("a field longer than its message: %v", err)
	}
}

func TestTextIsBounded(t *testing.T) {
	var b []byte
	for i := range 70 {
		b = append(b, message(14, message(1, fmt.Append(nil, i)), message(2, make([]byte, 1<<20)))...)
	}
	if _, err := Read(write(t, file(identity(runtime.Float32).bytes(), b)), ""); !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), "64 MB") {
		t.Errorf("70 MB of metadata: %v", err)
	}
}

// A model inside and out: subgraphs, sparse tensors, functions and training
// information can all refer to external data.
func TestExternalDataIsFoundWhereverItIsReferredTo(t *testing.T) {
	data := func(i int) []byte { return external("w", runtime.Float32, fmt.Sprintf("%d.bin", i), 2) }
	inner := graphSpec{initializers: messages(data(1))}.bytes()
	g := identity(runtime.Float32, 2)
	g.initializers = messages(data(0))
	g.nodes = append(g.nodes,
		op("", "If", nil, names("a"), graphAttribute("then_branch", inner)),
		op("", "Constant", nil, names("b"), append(intsAttribute("value", make([]int, 100_000)...), message(5, data(2))...)), // behind numbers that are passed over
		op("", "Constant", nil, names("c"), attribute("values", 9, message(10, data(3)))),
		op("", "Constant", nil, names("d"), attribute("sparse", 11, message(22, message(1, data(4)), message(2, data(5))))),
		op("", "Scan", nil, names("e"), attribute("bodies", 10, message(11, graphSpec{initializers: messages(data(6))}.bytes()))),
	)
	graph := append(g.bytes(), message(15, message(1, data(7)))...)
	training := message(20, message(1, graphSpec{initializers: messages(data(8))}.bytes()))
	function := message(25, message(7, op("", "Constant", nil, names("f"), tensorAttribute("value", data(9)))))
	path := write(t, file(graph, training, function))
	for i := range 10 {
		_, err := Read(path, "")
		if want := fmt.Sprintf("external data \"%d.bin\"", i); !errors.Is(err, runtime.ErrModel) {
			t.Fatalf("with %d files in place: %v, want one about %s", i, err, want)
		}
		for j := range 10 { // whichever it named
			if strings.Contains(err.Error(), fmt.Sprintf("\"%d.bin\"", j)) {
				if err := os.WriteFile(filepath.Join(filepath.Dir(path), fmt.Sprintf("%d.bin", j)), make([]byte, 8), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	got, err := Read(path, "")
	if err != nil {
		t.Fatal(err)
	}
	st, _ := os.Stat(path)
	if len(got.External) != 10 || got.Size != st.Size()+80 {
		t.Errorf("%d files, %d bytes; want 10, %d", len(got.External), got.Size, st.Size()+80)
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(models + "/*/model.onnx")
	if err != nil || len(files) == 0 {
		f.Fatalf("no models in %s: %v", models, err)
	}
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil && len(b) < 10_000 {
			f.Add(b)
		}
	}
	f.Add(file(slow().bytes()))
	f.Add(file(classifier(nil).bytes()))
	f.Add(file(grown(3).graph().bytes()))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newParser(newProtoReader(bytes.NewReader(b), int64(len(b))))
		if p.model() != nil {
			return
		}
		g, err := p.finish()
		if err != nil {
			return
		}
		edits, forests, err := g.edits(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil || len(edits) == 0 {
			return
		}
		for _, f := range forests {
			sound(t, f)
		}
		// What is cut from a graph that can be read leaves one that can.
		var edited []byte
		for _, s := range g.stretches(edits, int64(len(b))) {
			if s.text == nil {
				edited = append(edited, b[s.start:s.end]...)
			}
			edited = append(edited, s.text...)
		}
		again := newParser(newProtoReader(bytes.NewReader(edited), int64(len(edited))))
		if err := again.model(); err != nil {
			t.Fatalf("the edited graph: %v", err)
		}
		if len(again.zipmaps) != len(p.zipmaps)-len(g.cuts) || len(again.outputs) != len(p.outputs) {
			t.Fatalf("%d ZipMaps and %d outputs after %d cuts, before %d and %d",
				len(again.zipmaps), len(again.outputs), len(g.cuts), len(p.zipmaps), len(p.outputs))
		}
	})
}
