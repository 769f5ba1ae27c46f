// Package networks writes convolutional networks of full size as ONNX files:
// SqueezeNet 1.1 and ResNet-50, layer by layer as their authors describe them,
// with random weights from a fixed seed held in the file and an open batch
// dimension. They cost what trained ones cost, and need no download.
package networks

import (
	"fmt"
	"os"
	"path/filepath"
)

// A Network is an architecture that [Network.Write] can write. It takes
// images, [N,3,224,224] unless it says otherwise, and answers 1000
// probabilities each.
type Network struct {
	Name  string
	build func(*graph)
}

// The networks there are.
var (
	SqueezeNet = Network{"squeezenet", squeezeNet} // 1.1: 1.2 million weights, 5 MB, 0.35 billion multiply-adds
	// Thumbnail is SqueezeNet's layers on images [N,3,8,8], each enlarged to
	// 128 x 128: a small body, and milliseconds of work.
	Thumbnail = Network{"thumbnail", thumbnail}
	ResNet50  = Network{"resnet50", resNet50} // 25.6 million weights, 102 MB, 4.1 billion multiply-adds
)

// Options say how a network is written. The zero value is float32, seed 0.
type Options struct {
	Seed    uint64 // another seed is another model
	Float16 bool   // weights, inputs and outputs in float16
	// Graph is the graph's name; "" is the network's. Two files that differ in
	// it alone are two models to a cache that knows models by their bytes.
	Graph string
}

// Write writes the network to path.
func (n Network) Write(path string, o Options) error {
	g := newGraph(o)
	if g.name == "" {
		g.name = n.Name
	}
	n.build(g)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := g.write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}

// Make returns a folder under cache that holds the network as model.onnx,
// which it writes where it is not there yet. Several processes may ask at
// once.
func (n Network) Make(cache string, o Options) (dir string, err error) {
	name := fmt.Sprintf("%s-%d", n.Name, o.Seed)
	if o.Float16 {
		name += "-fp16"
	}
	if o.Graph != "" {
		name += "-" + o.Graph
	}
	dir = filepath.Join(cache, name)
	path := filepath.Join(dir, "model.onnx")
	if _, err := os.Stat(path); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := n.Write(temporary, o); err != nil {
		return "", err
	}
	return dir, os.Rename(temporary, path)
}
