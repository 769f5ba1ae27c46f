package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"testing"

	"go.uber.org/goleak"
)

// libraryPath is where the tests find ONNX Runtime.
func libraryPath() string {
	if p := os.Getenv("ORT_DYLIB_PATH"); p != "" {
		return p
	}
	name := "libonnxruntime.so.1"
	if goruntime.GOOS == "darwin" {
		name = "libonnxruntime.dylib"
	}
	return filepath.Join("..", "..", "bin", name)
}

func TestMain(m *testing.M) {
	if _, err := os.Stat(libraryPath()); err != nil {
		fmt.Fprintf(os.Stderr, "no ONNX Runtime at %s: run `make lib`, or set ORT_DYLIB_PATH\n", libraryPath())
		os.Exit(1)
	}
	if err := Start(libraryPath()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if n := live.Load(); code == 0 && n != 0 {
		fmt.Fprintf(os.Stderr, "%d native objects are left\n", n)
		code = 1
	}
	if err := Stop(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
