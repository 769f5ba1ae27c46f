package artifact

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// A PostStep is one entry of clary.yaml's post: the one of its fields that is
// set says what is to be done (docs/post.md).
type PostStep struct {
	Softmax   *SoftmaxStep   `yaml:"softmax"`
	Sigmoid   *SigmoidStep   `yaml:"sigmoid"`
	Argmax    *ArgmaxStep    `yaml:"argmax"`
	TopK      *TopKStep      `yaml:"top_k"`
	Threshold *ThresholdStep `yaml:"threshold"`
	Labels    *LabelsStep    `yaml:"labels"`
	Rename    Pairs          `yaml:"rename"` // from: to
	Drop      []string       `yaml:"drop"`
	Keep      []string       `yaml:"keep"`

	Line int // in the file
}

// The settings of the steps. Output is the output that is meant, "" the only
// one; As is the name of what comes out.
type (
	SoftmaxStep struct {
		Output string `yaml:"output"`
		As     string `yaml:"as"`
		Axis   int    `yaml:"axis"` // 0: the last
	}
	SigmoidStep struct {
		Output string `yaml:"output"`
		As     string `yaml:"as"`
	}
	ArgmaxStep struct {
		Output string `yaml:"output"`
		As     string `yaml:"as"`
		Axis   int    `yaml:"axis"` // 0: the last
	}
	TopKStep struct {
		Output string `yaml:"output"`
		K      int    `yaml:"k"`
	}
	ThresholdStep struct {
		Output string  `yaml:"output"`
		As     string  `yaml:"as"`
		At     float64 `yaml:"at"`
	}
	LabelsStep struct {
		Output     string   `yaml:"output"`
		Names      []string `yaml:"names"`
		LabelsFile string   `yaml:"labels_file"` // in the artifact, a name a line
	}
)

// Pairs are a mapping in the order in which it is written.
type Pairs []Pair

// A Pair is one entry of a mapping.
type Pair struct{ Key, Value string }

// checkStep holds a step against what needs no model to be seen.
func (d *decoder) checkStep(path string, s *PostStep) error {
	var set []string
	for _, key := range tags(typeOf(s)) {
		if _, given := d.lines[path+"."+key]; given && key != "" {
			set = append(set, key)
		}
	}
	switch len(set) {
	case 1:
	case 0:
		return d.errorf(s.Line, "%s is one step, such as softmax: logits; it has nothing", path)
	default:
		return d.errorf(s.Line, "%s is one step, such as softmax: logits; it has %s", path, some(set))
	}
	path += "." + set[0]
	wrong := func(key, format string, args ...any) error {
		line, given := d.lines[path+"."+key]
		if !given {
			line = s.Line
		}
		return d.errorf(line, "%s.%s %s", path, key, fmt.Sprintf(format, args...))
	}
	axis, given := 0, false
	switch {
	case s.Softmax != nil:
		axis = s.Softmax.Axis
	case s.Argmax != nil:
		axis = s.Argmax.Axis
	case s.TopK != nil && s.TopK.K < 1:
		return wrong("k", "is how many are wanted, at least 1")
	case s.Threshold != nil:
		if _, given := d.lines[path+".at"]; !given {
			return wrong("at", "is missing: the value from which on it is 1")
		}
	case s.Labels != nil:
		return s.Labels.check(wrong)
	case s.Rename != nil && len(s.Rename) == 0, s.Drop != nil && len(s.Drop) == 0, s.Keep != nil && len(s.Keep) == 0:
		return d.errorf(s.Line, "%s names no output", path)
	}
	if _, given = d.lines[path+".axis"]; given && axis == 0 {
		return wrong("axis", "is 1 or more, 0 being the axis of the rows, or counted from the end: -1 is the last")
	}
	return nil
}

func (s *LabelsStep) check(wrong func(key, format string, args ...any) error) error {
	switch {
	case s.Names != nil && s.LabelsFile != "":
		return wrong("labels_file", "and names are both given; one of them has the names")
	case s.Names == nil && s.LabelsFile == "":
		return wrong("names", "is missing, or labels_file, which has a name a line")
	case s.Names != nil && len(s.Names) == 0:
		return wrong("names", "is empty")
	case s.LabelsFile != "" && !filepath.IsLocal(s.LabelsFile):
		return wrong("labels_file", "is the path of a file inside the artifact, not %q", s.LabelsFile)
	}
	return nil
}

const maxLabels = 16 << 20

// Labels returns the lines of a text file of the artifact: the names of
// classes, in their order. Empty lines at the end do not count; others are
// errors, and so is what is not UTF-8.
func (a *Artifact) Labels(file string) ([]string, error) {
	path := filepath.Join(a.Dir, file)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	case info.Size() > maxLabels:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxLabels)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s is not UTF-8", path)
	}
	names := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "\r")
	}
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	if i := slices.Index(names, ""); i >= 0 {
		return nil, fmt.Errorf("%s, line %d is empty: it has the name of a class on every line", path, i+1)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return names, nil
}
