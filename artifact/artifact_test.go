package artifact_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claryhq/clary/artifact"
)

// tree writes files with their own path as content, unless one is given after
// "=", and returns the folder.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, content, given := strings.Cut(f, "=")
		if !given {
			content = name
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenFindsTheModelInEveryLayout(t *testing.T) {
	cases := []struct {
		name  string
		files []string
		model string // relative to the folder
		root  string // the artifact's, relative to the folder
	}{
		{"one file at the root", []string{"iris.onnx"}, "iris.onnx", "."},
		{"model.onnx among several at the root", []string{"a.onnx", "model.onnx", "z.onnx"}, "model.onnx", "."},
		{"the root before a folder", []string{"iris.onnx", "sub/model.onnx"}, "iris.onnx", "."},
		{"one level down", []string{"readme.txt", "sub/iris.onnx"}, "sub/iris.onnx", "."},
		{"model.onnx one level down", []string{"a/iris.onnx", "b/model.onnx"}, "b/model.onnx", "."},
		{"the only folder is the root", []string{"iris/iris.onnx", "iris/labels.txt"}, "iris/iris.onnx", "iris"},
		{"version 1 alone", []string{"config.pbtxt", "1/model.onnx"}, "1/model.onnx", "."},
		{"the highest version, as a number", []string{"2/model.onnx", "10/model.onnx", "9/model.onnx"}, "10/model.onnx", "."},
		{"the highest version that has a model", []string{"2/model.onnx", "3/notes.txt"}, "2/model.onnx", "."},
		{"a version holding another name", []string{"1/net.onnx", "x.txt"}, "1/net.onnx", "."},
		{"a folder before a version", []string{"1/model.onnx", "onnx/model.onnx"}, "onnx/model.onnx", "."},
		{"a repository of one model", []string{"iris/config.pbtxt", "iris/1/model.onnx"}, "iris/1/model.onnx", "iris"},
		{"hidden files", []string{"._model.onnx", ".cache/model.onnx", "iris.onnx"}, "iris.onnx", "."},
		{"a folder that is called .onnx", []string{"x.onnx/", "y/net.onnx", "z.txt"}, "y/net.onnx", "."},
		{"what clary.yaml names", []string{"a.onnx", "model.onnx", "clary.yaml=model: a.onnx"}, "a.onnx", "."},
		{"what clary.yaml names, deep down", []string{"a/b/c.onnx", "clary.yaml=model: ./a/b/c.onnx"}, "a/b/c.onnx", "."},
		{"a model.tar.gz that is not needed", []string{"model.onnx", "model.tar.gz"}, "model.onnx", "."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files...)
			a, err := artifact.Open(dir, artifact.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, c.model); a.Model != want {
				t.Errorf("the model is %s, want %s", a.Model, want)
			}
			if want := filepath.Join(dir, c.root); a.Dir != want {
				t.Errorf("the root is %s, want %s", a.Dir, want)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(a.Model); err != nil {
				t.Errorf("Close took the user's own file: %v", err)
			}
		})
	}
}

func TestOpenSaysWhatItWantedAndWhatIsThere(t *testing.T) {
	cases := []struct {
		name  string
		files []string
		open  string
		says  []string
	}{
		{"nothing there", nil, "gone", []string{"there is no", "gone"}},
		{"an empty folder", nil, ".", []string{"no model in", "*.onnx", "1/model.onnx", "it holds nothing"}},
		{"another framework's files", []string{"model.pt", "code/inference.py"}, ".", []string{"it holds code/, model.pt"}},
		{"many other files", []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}, ".", []string{"i, j and 2 more"}},
		{"too deep", []string{"a/b/c/model.onnx"}, ".", []string{"no model in", "it holds b/"}},
		{"several at the root", []string{"a.onnx", "b.onnx"}, ".", []string{"several models (a.onnx, b.onnx)", `"model: a.onnx"`}},
		{"several one level down", []string{"a/model.onnx", "b/model.onnx"}, ".", []string{"several models (a/model.onnx, b/model.onnx)"}},
		{"a file of another kind", []string{"model.pkl"}, "model.pkl", []string{"model.pkl is not a model", ".onnx", ".tar.gz"}},
		{"clary.yaml names what is not there", []string{"a.onnx", "clary.yaml=model: b.onnx"}, ".", []string{"clary.yaml", "there is no file", "b.onnx"}},
		{"clary.yaml away from the root", []string{"x.txt", "m/a.onnx", "m/clary.yaml=name: x"}, ".", []string{"m/clary.yaml is not at the artifact's root", "move it"}},
		{"clary.yml", []string{"a.onnx", "clary.yml=name: x"}, ".", []string{"clary.yml would not be read", "clary.yaml"}},
		{"a broken clary.yaml", []string{"a.onnx", "clary.yaml=name: [x"}, "a.onnx", []string{"clary.yaml"}},
		{"a model.tar.gz that is none", []string{"model.tar.gz=hello"}, ".", []string{"model.tar.gz: ", "truncated"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			emptyTemp(t)
			a, err := artifact.Open(filepath.Join(tree(t, c.files...), c.open), artifact.Limits{})
			if err == nil {
				t.Fatalf("opened %s", a.Model)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error does not say %q: %v", s, err)
				}
			}
		})
	}
}

func TestAModelIsNamedAfterItsClosestPathThatSaysSomething(t *testing.T) {
	emptyTemp(t)
	archive := string(gzipped(t, tarOf(t, file("model.onnx", ""))))
	wrapped := string(gzipped(t, tarOf(t, file("iris/model.onnx", ""))))
	dir := tree(t, "a/forest.onnx", "flowers/model.onnx", "model/model.onnx", "named/forest.onnx", "named/clary.yaml=name: model",
		"v/1/model.onnx", "v/config.pbtxt", "roses.tar.gz="+archive, "tulips/model.tar.gz="+archive, "x/model.tar.gz="+wrapped, "pinks.tgz="+archive)
	for path, want := range map[string]string{
		"a": "forest", "a/forest.onnx": "forest", "flowers": "flowers", "flowers/model.onnx": "flowers", "model": "model", "named": "model",
		"v": "v", "roses.tar.gz": "roses", "pinks.tgz": "pinks", "tulips": "tulips", "tulips/model.tar.gz": "tulips", "x": "iris",
	} {
		a, err := artifact.Open(filepath.Join(dir, path), artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if a.Name != want {
			t.Errorf("%s is named %q, want %q", path, a.Name, want)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAModelFileIsServedWithTheSettingsBesideIt(t *testing.T) {
	dir := tree(t, "a.onnx", "b.onnx", "clary.yaml=name: first\nmodel: a.onnx")
	for model, name := range map[string]string{"a.onnx": "first", "b.onnx": ""} {
		a, err := artifact.Open(filepath.Join(dir, model), artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if a.Model != filepath.Join(dir, model) || a.Dir != dir || a.Config.Name != name {
			t.Errorf("%s opened as %+v, want it with the name %q", model, a, name)
		}
	}
}

func TestLinksInAFolderOfOnesOwnAreFollowed(t *testing.T) {
	elsewhere := tree(t, "blob.onnx")
	dir := tree(t, "x.txt")
	for _, link := range []string{"model.onnx", "dead.onnx"} {
		target := filepath.Join(elsewhere, "blob.onnx")
		if link == "dead.onnx" {
			target = filepath.Join(elsewhere, "gone.onnx")
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	a, err := artifact.Open(dir, artifact.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "model.onnx"); a.Model != want {
		t.Errorf("the model is %s, want %s", a.Model, want)
	}
}

func TestAnArchiveIsUnpackedPrivatelyAndRemovedByClose(t *testing.T) {
	temp := emptyTemp(t)
	archive := gzipped(t, tarOf(t, file("iris/model.onnx", "the model"), file("iris/clary.yaml", "name: flowers"), file("iris/labels/en.txt", "setosa")))
	dir := t.TempDir()
	for _, name := range []string{"model.tar.gz", "iris.tgz"} {
		if err := os.WriteFile(filepath.Join(dir, name), archive, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "plain.tar"), tarOf(t, file("model.onnx", "the model"), file("clary.yaml", "name: flowers"), file("labels/en.txt", "")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "model.tar.gz"), filepath.Join(dir, "iris.tgz"), filepath.Join(dir, "plain.tar")} {
		a, err := artifact.Open(path, artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if a.Config.Name != "flowers" || !strings.HasPrefix(a.Dir, temp) {
			t.Errorf("%s opened as %+v, want the name flowers and a root below %s", path, a, temp)
		}
		for rel, mode := range map[string]os.FileMode{"model.onnx": 0o600, "labels": 0o700, "labels/en.txt": 0o600, ".": 0o700} {
			info, err := os.Stat(filepath.Join(a.Dir, rel))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != mode {
				t.Errorf("%s has mode %v, want %v", rel, info.Mode().Perm(), mode)
			}
		}
		if content, err := os.ReadFile(a.Model); err != nil || string(content) != "the model" {
			t.Errorf("the model holds %q, %v", content, err)
		}
		for range 2 {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// emptyTemp points os.TempDir to a folder of the test's own, which must be
// empty again at its end.
func emptyTemp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left behind in the temporary folder: %v, %v", left, err)
		}
	})
	return dir
}
