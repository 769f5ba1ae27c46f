package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// shifted is a model that adds two numbers to its input, which lie at location.
func shifted(location string) []byte {
	g := identity(runtime.Float32, 2)
	g.nodes = messages(op("", "Add", names("x", "w"), names("y")))
	g.initializers = messages(external("w", runtime.Float32, location, 2))
	return file(g.bytes())
}

// lay writes files and links (those whose content begins with "->") below a
// new folder.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if to, link := strings.CutPrefix(content, "->"); link {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var two = string(runtime.Bytes([]float32{10, 20}))

func TestExternalDataInsideTheRootIsUsed(t *testing.T) {
	for name, c := range map[string]struct {
		files      map[string]string
		root, data string
	}{
		"beside it":      {map[string]string{"m/model.onnx": string(shifted("w.bin")), "m/w.bin": two}, "", "m/w.bin"},
		"below it":       {map[string]string{"m/model.onnx": string(shifted("data/w.bin")), "m/data/w.bin": two}, "", "m/data/w.bin"},
		"through a link": {map[string]string{"m/model.onnx": string(shifted("w.bin")), "m/w.bin": "->real.bin", "m/real.bin": two}, "", "m/real.bin"},
		"as Kubernetes mounts it": {map[string]string{
			"m/model.onnx": "->..data/model.onnx", "m/w.bin": "->..data/w.bin", "m/..data": "->..2026_11_22",
			"m/..2026_11_22/model.onnx": string(shifted("w.bin")), "m/..2026_11_22/w.bin": two,
		}, "", "m/..2026_11_22/w.bin"},
		"model is a link": {map[string]string{"m/model.onnx": "->v1.onnx", "m/v1.onnx": string(shifted("w.bin")), "m/w.bin": two}, "", "m/w.bin"},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, c.files)
			o := Options{}
			if c.root != "" {
				o.Root = filepath.Join(root, c.root)
			}
			s := open1(t, filepath.Join(root, "m/model.onnx"), o)
			got := run1(t, s, tensor([]float32{1, 2}, 2))[0]
			if err := differ(got, runtime.Tensor{Name: "y", Shape: []int{2}, Data: []float32{11, 22}}, 0); err != nil {
				t.Error(err)
			}
			want, err := filepath.EvalSymlinks(filepath.Join(root, c.data))
			if err != nil {
				t.Fatal(err)
			}
			if e := s.Graph().External; len(e) != 1 || e[0] != want {
				t.Errorf("External is %q, want %q", e, want)
			}
		})
	}
}

func TestExternalDataElsewhereIsRefused(t *testing.T) {
	outside := lay(t, map[string]string{"w.bin": two})
	for name, c := range map[string]struct {
		location, says string
		files          map[string]string
	}{
		"missing":          {"w.bin", "no such file", nil},
		"absolute":         {outside + "/w.bin", "relative", nil},
		"parent":           {"../w.bin", "leads outside", map[string]string{"w.bin": two}},
		"parent in middle": {"data/../../w.bin", "leads outside", map[string]string{"w.bin": two, "m/data/x": ""}},
		"link to a file":   {"w.bin", "leads outside", map[string]string{"m/w.bin": "->" + outside + "/w.bin"}},
		"link to a folder": {"data/w.bin", "leads outside", map[string]string{"m/data": "->" + outside}},
		"link upwards":     {"w.bin", "leads outside", map[string]string{"m/w.bin": "->../w.bin", "w.bin": two}},
		"link in a circle": {"w.bin", "too many links", map[string]string{"m/w.bin": "->v.bin", "m/v.bin": "->w.bin"}},
		"folder":           {"data", "not a file", map[string]string{"m/data/x": ""}},
		"the folder":       {".", "not a file", nil},
		"no name":          {"", "relative", nil},
		"memory":           {"*/_ORT_MEM_ADDR_/*", "no such file", nil},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"m/model.onnx": string(shifted(c.location))}
			for k, v := range c.files {
				files[k] = v
			}
			path := filepath.Join(lay(t, files), "m/model.onnx")
			s, err := Open(t.Context(), path, Options{})
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("want %q: %v", c.says, err)
			}
		})
	}
}

func TestAWiderRootLetsReadFindASiblingFolder(t *testing.T) {
	root := lay(t, map[string]string{"m/model.onnx": string(shifted("../w.bin")), "w.bin": two})
	g, err := Read(filepath.Join(root, "m/model.onnx"), root)
	if err != nil || len(g.External) != 1 {
		t.Errorf("%v, %v", g, err)
	}
	// ONNX Runtime has a rule of its own, which Options.Root mentions.
	_, err = Open(t.Context(), filepath.Join(root, "m/model.onnx"), Options{Root: root})
	if !errors.Is(err, runtime.ErrModel) || !strings.Contains(err.Error(), "escapes model directory") {
		t.Errorf("opening it: %v", err)
	}
}
