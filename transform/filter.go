package transform

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"
)

// maxFilter is SageMaker's bound on a filter's length.
const maxFilter = 63

// A filter is a JSONPath as SageMaker uses it. The path is RFC 9535's; what
// comes of it is as in the older implementation that SageMaker's pages link
// to, which RFC 9535 leaves open: a path that can only have one result is that
// result, others are a list, several names of an object an object; and a name
// or an index that is not there is an error.
type filter struct {
	text  string
	path  *jsonpath.Path
	one   bool     // a single result
	least int      // results where all names and indices are there; 0: no saying
	names []string // of the last segment, if it has several
}

// newFilter reads a path; nil for "$", which changes nothing.
func newFilter(text string) (*filter, error) {
	if text == "" || text == "$" {
		return nil, nil
	}
	if n := utf8.RuneCountInString(text); n > maxFilter {
		return nil, fmt.Errorf("%q has %d characters: want at most %d", text, n, maxFilter)
	}
	path, err := jsonpath.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no JSONPath: %w", text, err)
	}
	f := &filter{text: text, path: path, one: true, least: 1}
	segments := path.Query().Segments()
	for i, segment := range segments {
		selectors := segment.Selectors()
		var names []string
		for _, selector := range selectors {
			switch selector := selector.(type) {
			case spec.Name:
				names = append(names, string(selector))
			case spec.Index:
			default:
				f.one, f.least = false, 0
			}
		}
		if segment.IsDescendant() {
			f.one, f.least = false, 0
		}
		f.one, f.least = f.one && len(selectors) == 1, f.least*len(selectors)
		if i == len(segments)-1 && len(names) > 1 && len(names) == len(selectors) && f.least == len(names) {
			f.names = names
		}
	}
	return f, nil
}

// apply selects from a value.
func (f *filter) apply(value any) (any, error) {
	nodes := f.path.Select(value)
	switch {
	case len(nodes) < f.least:
		return nil, fmt.Errorf("%s finds %d values of %d in it", f.text, len(nodes), f.least)
	case f.one:
		return nodes[0], nil
	case f.names != nil:
		object := make(map[string]any, len(nodes))
		for i, name := range f.names {
			object[name] = nodes[i]
		}
		return object, nil
	}
	return []any(nodes), nil
}

// checkProcessing refuses what SageMaker refuses (contract §6.4).
func (j *Job) checkProcessing() error {
	in, _, _ := strings.Cut(j.ContentType, ";")
	out, _, _ := strings.Cut(j.Accept, ";")
	lines := j.Split == SplitLine && j.AssembleLine
	switch in {
	case "text/csv", "application/jsonlines":
		if !lines {
			return fmt.Errorf("filters, join and inference ids take %s line by line: want --split-type Line and --assemble-with Line", in)
		}
	case "application/json":
		if j.Split != SplitNone && !lines {
			return errors.New("filters, join and inference ids: want both --split-type and --assemble-with Line, or neither")
		}
		if j.Split == SplitLine && j.Multi {
			return errors.New("several records of application/json are no JSON together: want --strategy SingleRecord, or application/jsonlines")
		}
	default:
		return fmt.Errorf("filters, join and inference ids take text/csv, application/json and application/jsonlines, not %q", j.ContentType)
	}
	if in != out {
		return fmt.Errorf("filters, join and inference ids want one format: --content-type is %q, --accept %q", in, out)
	}
	return nil
}
