package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// resolve checks where the model's external data lies, and fills in External
// and adds to Size. A location is relative to the model's own folder
// (onnx.proto, TensorProto.external_data) and must be a file inside root after
// all links are followed.
func (g *Graph) resolve(root string, locations []string) error {
	if len(locations) == 0 {
		return nil
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	if root, err = filepath.Abs(root); err != nil {
		return err
	}
	sized := map[string]bool{}
	for _, location := range locations {
		path, size, err := resolve(filepath.Dir(g.path), root, location)
		if err != nil {
			return fmt.Errorf("external data %q: %w", location, err)
		}
		if !sized[path] {
			sized[path] = true
			g.External = append(g.External, path)
			g.Size += size
		}
	}
	return nil
}

func resolve(folder, root, location string) (path string, size int64, err error) {
	if location == "" || filepath.IsAbs(location) {
		return "", 0, errors.New("its path must be relative to the model's folder")
	}
	path, err = filepath.EvalSymlinks(filepath.Join(folder, location))
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, errors.New("there is no such file")
	}
	if err != nil {
		return "", 0, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", 0, err
	}
	inside, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(inside) {
		return "", 0, fmt.Errorf("it leads outside %s", root)
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", 0, err
	}
	if !st.Mode().IsRegular() {
		return "", 0, errors.New("it is not a file")
	}
	return path, st.Size(), nil
}
