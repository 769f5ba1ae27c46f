package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// A Graph is what an ONNX file says about itself, its weights aside.
type Graph struct {
	Inputs []runtime.Info // what a run must be given: not the initializers that the file also lists as inputs
	// Outputs are what a run returns: in place of the maps that a ZipMap at the
	// end would make, the tensor that it is given, with the classes as Labels.
	Outputs []runtime.Info

	Name            string // the graph's
	Producer        string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	IRVersion       int64
	Opsets          map[string]int64 // by domain, "" being ai.onnx
	Doc             string
	Metadata        map[string]string

	External []string // paths of the external data files, each once
	Size     int64    // bytes of the file and of its external data
	Made     int64    // bytes of constants that the graph makes itself, such as ConstantOfShape's

	path    string
	nodes   int      // all there are, also in functions and inside others
	cuts    []cut    // the ZipMaps at its end
	forests []forest // that may become an operator of our own
	taken   int64    // bytes of those in the file that do
	grown   int64    // bytes of memory that they become
	main    protoField
}

// Read reads the ONNX file at path without its weights, holding a window of it
// and its names. External data must lie inside the folder root after all
// links are followed; an empty root is the file's own folder. Every error
// wraps runtime.ErrModel and names the file.
//
// The format is that of onnx.proto: https://onnx.ai/onnx/repo-docs/IR.html
func Read(path, root string) (*Graph, error) {
	g, err := read(path, root)
	if err == nil {
		err = g.weigh()
	}
	if err != nil {
		return nil, modelError(path, err)
	}
	return g, nil
}

// modelError says that the file at path cannot be opened, and why.
func modelError(path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) && pe.Path == path {
		err = pe.Err
	}
	return fmt.Errorf("%w: %s: %w", runtime.ErrModel, path, err)
}

func read(path, root string) (*Graph, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	if st.Size() == 0 {
		return nil, errors.New("it is empty")
	}
	p := newParser(newProtoReader(f, st.Size()))
	if err := p.model(); err != nil {
		return nil, err
	}
	g, err := p.finish()
	if err != nil {
		return nil, err
	}
	g.path, g.Size = path, st.Size()
	if root == "" {
		root = filepath.Dir(path)
	}
	return g, g.resolve(root, p.locations)
}

// finish puts together what model found in pieces.
func (p *parser) finish() (*Graph, error) {
	g := p.g
	g.Inputs = slices.DeleteFunc(p.inputs, func(in runtime.Info) bool { return p.initializers[in.Name] })
	for _, out := range p.outputs {
		g.Outputs = append(g.Outputs, out.info)
	}
	var err error
	g.Made = p.made.bytes()
	g.cuts, err = p.cuts()
	for _, c := range g.cuts {
		g.Outputs[c.output] = c.info
	}
	if err == nil {
		g.forests, err = p.forests()
	}
	return g, err
}
