package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// engines makes the folder below root that TensorRT keeps a model's engines in.
// It finds them again by the model's name and its nodes' and values', not by the
// weights: two models that differ in these alone would have one engine. A
// calibration table is taken along from root.
func engines(root string, g *Graph, calibration string) (folder string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the folder for TensorRT's engines: %w; tensorrt.engines names another", err)
		}
	}()
	sum := sha256.New()
	for _, path := range append([]string{g.path}, g.External...) {
		if err := readInto(sum, path); err != nil {
			return "", err
		}
	}
	folder = filepath.Join(root, hex.EncodeToString(sum.Sum(nil))[:16])
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := replace(filepath.Join(folder, ".writable"), nil); err != nil {
		return "", err
	}
	if calibration == "" {
		return folder, nil
	}
	table, err := os.Open(filepath.Join(root, calibration))
	if errors.Is(err, fs.ErrNotExist) {
		return folder, nil // it may be there already, and TensorRT says if it is not
	}
	if err != nil {
		return "", err
	}
	defer table.Close()
	return folder, replace(filepath.Join(folder, calibration), table)
}

func readInto(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// replace writes a file as a whole; another process may be reading it.
func replace(path string, from io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return err
	}
	if from != nil {
		_, err = io.Copy(f, from)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
