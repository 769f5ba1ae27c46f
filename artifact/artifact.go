// Package artifact finds the model in what a user hands over: a folder, an
// ONNX file, or a model.tar.gz as SageMaker stores them, together with the
// settings in its clary.yaml.
//
// [Open] does all of it. [Unpack] and [Pack] are its two halves for archives:
// the first trusts nothing that it reads, the second writes the same bytes for
// the same files.
package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The names that mean something at an artifact's root.
const (
	ConfigName  = "clary.yaml"
	archiveName = "model.tar.gz"
)

// An Artifact is an opened one. Nothing is ever written beside the model.
type Artifact struct {
	Name   string // the clary.yaml's, else the first of the ONNX file's, the archive's and the folder's that is not "model"
	Dir    string // the root folder, absolute
	Model  string // the ONNX file, absolute
	Config Config // from clary.yaml; the zero value if there is none

	temp string // the private folder that holds an unpacked archive, or ""
}

// Open opens a folder, a .onnx file, or a .tar.gz, .tgz or .tar file.
//
// In a folder the model is the clary.yaml's, else the only *.onnx file at the
// root, else the only one in the folders at the root, else the one in the
// folder with the highest version number (1/model.onnx). Among several in one
// place a model.onnx is taken. Hidden files are not seen. A folder whose only
// entry is another folder stands for that one, and a folder with a
// model.tar.gz and no model stands for the archive.
//
// The clary.yaml beside a .onnx file applies, unless its model is another one.
//
// An archive is unpacked into a new private folder below os.TempDir, which
// [Artifact.Close] removes.
func Open(path string, l Limits) (*Artifact, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s", abs)
	case err != nil:
		return nil, err
	case info.IsDir():
		return openDir(abs, l)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a folder", abs)
	case isModel(abs):
		return openFile(abs)
	case isArchive(abs):
		return openArchive(abs, l)
	}
	return nil, fmt.Errorf("%s is not a model: give a .onnx file, a folder that holds one, or a .tar.gz of such a folder", abs)
}

// Close removes the folder that an archive was unpacked into. It may be called
// more than once.
func (a *Artifact) Close() error {
	if a.temp == "" {
		return nil
	}
	return os.RemoveAll(a.temp)
}

func openFile(path string) (*Artifact, error) {
	dir := filepath.Dir(path)
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	if c.Model != "" && filepath.Join(dir, c.Model) != path {
		c = Config{}
	}
	return opened(dir, path, c), nil
}

func openDir(dir string, l Limits) (*Artifact, error) {
	a, err := locate(dir)
	if !errors.Is(err, errNone) {
		return a, err
	}
	archive := filepath.Join(dir, archiveName)
	if info, statErr := os.Stat(archive); statErr != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	return openArchive(archive, l)
}

func openArchive(path string, l Limits) (_ *Artifact, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	temp, err := os.MkdirTemp("", "clary-")
	if err != nil {
		return nil, fmt.Errorf("%s needs a temporary folder to unpack into (TMPDIR sets where): %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), os.RemoveAll(temp))
		}
	}()
	if err := Unpack(f, temp, l); err != nil {
		return nil, err
	}
	a, err := locate(temp)
	if err != nil {
		return nil, err
	}
	a.temp = temp
	if a.Dir == temp { // whose own name says nothing
		a.Name = name(a.Config, a.Model, path, filepath.Dir(path))
	}
	return a, nil
}

func opened(dir, model string, c Config) *Artifact {
	return &Artifact{Name: name(c, model, dir), Dir: dir, Model: model, Config: c}
}

// name returns what a model is called, going from its own paths to those of
// what it came in: SageMaker's model, model.onnx and model.tar.gz say nothing.
func name(c Config, paths ...string) string {
	if c.Name != "" {
		return c.Name
	}
	for _, path := range paths {
		base := filepath.Base(path)
		for _, ext := range []string{".onnx", ".gz", ".tar", ".tgz"} {
			base = strings.TrimSuffix(base, ext)
		}
		if base != "model" {
			return base
		}
	}
	return "model"
}

func isModel(name string) bool { return filepath.Ext(name) == ".onnx" }

func isArchive(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar")
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }
