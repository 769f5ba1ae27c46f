//go:build race

package onnx

// raced says that the race detector is on, which takes several times the memory
// of what Go's heap has.
const raced = true
