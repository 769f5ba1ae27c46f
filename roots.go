package clary

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// insideRoots returns where a path that was registered leads, if that is below
// one of the roots: a file that is not
// there is errMissing, outside it is errOutside.
func insideRoots(roots []string, path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%w: %q: want an absolute path below %s", errOutside, path, strings.Join(roots, ", "))
	}
	clean := filepath.Clean(path)
	real, err := filepath.EvalSymlinks(clean)
	if err != nil {
		real = clean
	}
	for _, root := range roots {
		resolved, rootErr := filepath.EvalSymlinks(root)
		if rootErr != nil {
			resolved = root
		}
		if !below(resolved, real) && !(err != nil && below(root, clean)) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("%w: there is no %s", errMissing, clean)
		}
		return real, nil
	}
	return "", fmt.Errorf("%w: %s is not below %s (CLARY_MODEL_ROOTS)", errOutside, clean, strings.Join(roots, ", "))
}

func below(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && filepath.IsLocal(rel)
}

// defaultRoots are where the platform puts models (contract §4.1).
func defaultRoots(base string) []string {
	return []string{base, filepath.Join(base, "models"), filepath.Join(base, "model")}
}

// Why a path is not where a model can be loaded from.
var (
	errOutside = errors.New("not a place for models")
	errMissing = errors.New("the model is missing")
)
