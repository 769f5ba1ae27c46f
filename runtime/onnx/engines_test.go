package onnx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// TestEngines: a model finds its folder again, another has another, and one that
// cannot be written to is said to be so.
func TestEngines(t *testing.T) {
	root := t.TempDir()
	folder := func(path string) (string, error) {
		g, err := Read(path, "")
		if err != nil {
			t.Fatal(err)
		}
		return engines(root, g, "")
	}
	small, err := folder(models + "/iris/model.onnx")
	if again, failed := folder(models + "/iris/model.onnx"); err != nil || failed != nil || again != small || filepath.Dir(small) != root {
		t.Errorf("%s and %s: %v, %v", small, again, err, failed)
	}
	beside := t.TempDir()
	path := filepath.Join(beside, "model.onnx")
	graph := identity(runtime.Float32, "n")
	if err := os.WriteFile(path, file(graph.bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	if other, err := folder(path); err != nil || other == small {
		t.Errorf("%s, %v", other, err)
	}
	if err := os.RemoveAll(filepath.Join(small, ".writable")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(small, ".writable", "full"), 0o700); err != nil { // root may write anywhere else
		t.Fatal(err)
	}
	if _, err := folder(models + "/iris/model.onnx"); err == nil || !strings.Contains(err.Error(), "tensorrt.engines names another") {
		t.Errorf("%v", err)
	}
}
