package artifact

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// errNone is wrapped by locate's error when a folder holds no model at all.
var errNone = errors.New("no model")

// locate reads the artifact in a folder without touching it.
func locate(dir string) (*Artifact, error) {
	dir, top, err := root(dir)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	if c.Model != "" {
		model := filepath.Join(dir, c.Model)
		if info, err := os.Stat(model); err != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: model: there is no file %s", filepath.Join(dir, ConfigName), model)
		}
		return opened(dir, model, c), nil
	}
	model, err := find(dir, top)
	if err != nil {
		return nil, err
	}
	if stray := filepath.Join(filepath.Dir(model), ConfigName); filepath.Dir(model) != dir && isFile(stray) {
		return nil, fmt.Errorf("%s is not at the artifact's root and would not be read: move it to %s", stray, dir)
	}
	return opened(dir, model, c), nil
}

// An entry is a visible file or folder, links followed.
type entry struct {
	path string
	dir  bool
}

// root returns the folder that is the artifact's root, and what it holds:
// `tar czf model.tar.gz iris` wraps everything in one folder.
func root(dir string) (string, []entry, error) {
	top, err := visible(dir)
	if err != nil || len(top) != 1 || !top[0].dir {
		return dir, top, err
	}
	dir = top[0].path
	top, err = visible(dir)
	return dir, top, err
}

// visible lists what is in dir, sorted, without hidden names and dead links.
func visible(dir string) ([]entry, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []entry
	for _, e := range all {
		if hidden(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			list = append(list, entry{path, info.IsDir()})
		}
	}
	return list, nil
}

// find returns the model below dir, whose visible entries are top.
func find(dir string, top []entry) (string, error) {
	var folders []string
	versions := map[string]uint64{}
	for _, e := range top {
		if !e.dir {
			continue
		}
		if v, err := strconv.ParseUint(filepath.Base(e.path), 10, 64); err == nil {
			versions[e.path] = v
		} else {
			folders = append(folders, e.path)
		}
	}
	level := models(top)
	if len(level) == 0 {
		for _, f := range folders {
			in, err := visible(f)
			if err != nil {
				return "", err
			}
			level = append(level, models(in)...)
		}
	}
	if len(level) > 0 {
		return choose(dir, level)
	}
	byVersion := slices.SortedFunc(maps.Keys(versions), func(a, b string) int {
		return cmp.Or(cmp.Compare(versions[b], versions[a]), cmp.Compare(a, b))
	})
	for _, f := range byVersion {
		in, err := visible(f)
		if err != nil {
			return "", err
		}
		if level := models(in); len(level) > 0 {
			return choose(dir, level)
		}
	}
	return "", fmt.Errorf("%w in %s: looked for *.onnx there and in its folders, and for 1/model.onnx; it holds %s", errNone, dir, listing(top))
}

func models(in []entry) []string {
	var found []string
	for _, e := range in {
		if !e.dir && isModel(e.path) {
			found = append(found, e.path)
		}
	}
	return found
}

// choose picks one of the models that lie at one level.
func choose(dir string, found []string) (string, error) {
	var named []string
	for _, f := range found {
		if filepath.Base(f) == "model.onnx" {
			named = append(named, f)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(named) == 1:
		return named[0], nil
	}
	for i, f := range found {
		found[i], _ = filepath.Rel(dir, f)
	}
	return "", fmt.Errorf("%s holds several models (%s): name one in its %s, as in \"model: %s\"", dir, some(found), ConfigName, found[0])
}

func listing(top []entry) string {
	if len(top) == 0 {
		return "nothing"
	}
	names := make([]string, len(top))
	for i, e := range top {
		names[i] = filepath.Base(e.path)
		if e.dir {
			names[i] += "/"
		}
	}
	return some(names)
}

// some joins names, and counts those beyond the first ten.
func some(names []string) string {
	const most = 10
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
