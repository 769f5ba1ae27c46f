package artifact

import (
	"slices"
	"strings"
)

// ReplyConfig is the part of clary.yaml that says what form replies have
// (docs/post.md).
type ReplyConfig struct {
	Style    string   `yaml:"style"`    // one of ReplyStyles; "": default
	Envelope string   `yaml:"envelope"` // predictions: the key of the rows; none: no key
	Fields   Pairs    `yaml:"fields"`   // predictions: field: output, or output[column]
	Verbose  Pairs    `yaml:"verbose"`  // predictions: more of them, where verbose=true is asked for
	Output   []string `yaml:"output"`   // xgboost: what to select
}

// ReplyStyles are the values of reply.style.
var ReplyStyles = []string{"default", "predictions", "xgboost", "tfs", "huggingface"}

// xgboostOutputs are the values of reply.output (contract §11.5).
var xgboostOutputs = []string{"predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores", "predicted_score"}

// ImageConfig is the part of clary.yaml that says how an image becomes the
// model's input (docs/formats.md). The zero value of a field is the default.
type ImageConfig struct {
	Layout    string    `yaml:"layout"`
	Size      []int     `yaml:"size"` // height and width, or one for both
	Resize    string    `yaml:"resize"`
	ResizeTo  int       `yaml:"resize_to"`
	Pad       int       `yaml:"pad"`
	Filter    string    `yaml:"filter"`
	Color     string    `yaml:"color"`
	Scale     float64   `yaml:"scale"`
	Mean      []float64 `yaml:"mean"`
	Std       []float64 `yaml:"std"`
	MaxPixels int       `yaml:"max_pixels"`
}

// LibSVMConfig is the part of clary.yaml that says how text/libsvm counts.
type LibSVMConfig struct {
	IndexBase *int `yaml:"index_base"` // the first column's index, 0 or 1; nil: 1
}

// SparseConfig is the part of clary.yaml that says what sparse rows leave out.
type SparseConfig struct {
	Missing string `yaml:"missing"` // nan or 0; "": 0
}

func (d *decoder) checkReply(r *ReplyConfig) error {
	if r.Style != "" && !slices.Contains(ReplyStyles, r.Style) {
		return d.oneOf("reply.style", ReplyStyles, r.Style)
	}
	for _, c := range []struct {
		key, style string
		empty      bool
	}{
		{"envelope", "predictions", r.Envelope == ""},
		{"fields", "predictions", len(r.Fields) == 0},
		{"verbose", "predictions", len(r.Verbose) == 0},
		{"output", "xgboost", len(r.Output) == 0},
	} {
		line, given := d.lines["reply."+c.key]
		switch {
		case !given:
		case r.Style != c.style:
			return d.errorf(line, "reply.%s belongs to style: %s", c.key, c.style)
		case c.empty:
			return d.errorf(line, "reply.%s is empty", c.key)
		}
	}
	if line, given := d.lines["reply.verbose"]; given && len(r.Fields) == 0 {
		return d.errorf(line, "reply.verbose adds to reply.fields, which is missing")
	}
	for _, key := range r.Output {
		if !slices.Contains(xgboostOutputs, key) {
			return d.oneOf("reply.output", xgboostOutputs, key)
		}
	}
	return nil
}

func (d *decoder) checkFormats(c *Config) error {
	if n := len(c.Image.Size); n > 2 {
		return d.errorf(d.lines["image.size"], "image.size is height and width, not %d numbers", n)
	}
	if b := c.LibSVM.IndexBase; b != nil && *b != 0 && *b != 1 {
		return d.errorf(d.lines["libsvm.index_base"], "libsvm.index_base is 0 or 1, not %d", *b)
	}
	if m := c.Sparse.Missing; m != "" && m != "0" && !strings.EqualFold(m, "nan") && m != ".nan" {
		return d.errorf(d.lines["sparse.missing"], "sparse.missing is nan or 0, not %q", m)
	}
	return nil
}

// oneOf says that value is not among the values that path may have.
func (d *decoder) oneOf(path string, known []string, value string) error {
	if near := Nearest(value, known); near != "" {
		return d.errorf(d.lines[path], "%s has no %q; did you mean %s?", path, value, near)
	}
	return d.errorf(d.lines[path], "%s is one of %s, not %q", path, strings.Join(known, ", "), value)
}
