package clary

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler/post"
	"github.com/claryhq/clary/runtime"
)

// replyStyle is the settings' style of replies, else clary.yaml's.
func replyStyle(cfg *Config, a *artifact.Artifact) codec.Style {
	if cfg.InferenceOutput != nil {
		return codec.XGBoost
	}
	switch a.Config.Reply.Style {
	case "predictions":
		return codec.Predictions
	case "xgboost":
		return codec.XGBoost
	case "tfs":
		return codec.TFS
	case "huggingface":
		return codec.HuggingFace
	}
	return codec.DefaultStyle
}

// configuredAccept is the media type of replies to requests that want none in
// particular; "" where nobody says. XGBoost's and SparkML's containers answer
// in CSV (contract §11.5, §11.7).
func configuredAccept(cfg *Config, a *artifact.Artifact) string {
	accept := cmp.Or(cfg.Accept, a.Config.Accept)
	if accept == "" && (cfg.SparkML != nil || replyStyle(cfg, a) == codec.XGBoost) {
		return "text/csv"
	}
	return accept
}

// codecOptions are what clary.yaml and the settings say of formats.
func codecOptions(cfg *Config, a *artifact.Artifact) (*codec.Options, error) {
	c := &a.Config
	o := &codec.Options{
		Reply:   codec.ReplyOptions{Style: replyStyle(cfg, a), Envelope: c.Reply.Envelope, Verbose: len(c.Reply.Verbose)},
		SparkML: cfg.SparkML,
		Image: codec.ImageOptions{Layout: c.Image.Layout, Resize: c.Image.Resize, ResizeTo: c.Image.ResizeTo, Pad: c.Image.Pad, Filter: c.Image.Filter,
			Color: c.Image.Color, Scale: c.Image.Scale, Mean: c.Image.Mean, Std: c.Image.Std, MaxPixels: c.Image.MaxPixels},
		Sparse: codec.SparseOptions{MissingNaN: strings.HasSuffix(strings.ToLower(c.Sparse.Missing), "nan")},
		LibSVM: codec.LibSVMOptions{ZeroBased: c.LibSVM.IndexBase != nil && *c.LibSVM.IndexBase == 0},
	}
	if o.Reply.Style != codec.Predictions {
		o.Reply = codec.ReplyOptions{Style: o.Reply.Style}
	}
	if o.Reply.Envelope == "none" {
		o.Reply.Envelope, o.Reply.NoEnvelope = "", true
	}
	if size := c.Image.Size; len(size) > 0 {
		o.Image.Size = [2]int{size[0], size[len(size)-1]}
	}
	if err := o.Image.Check(); err != nil {
		return nil, fmt.Errorf("%s: image.%w", filepath.Join(a.Dir, artifact.ConfigName), err)
	}
	return o, nil
}

// outputChain holds clary.yaml's post steps, and those that the style of
// replies is made of, against a model's outputs. It is nil where there are
// none.
func outputChain(cfg *Config, a *artifact.Artifact, outputs []runtime.Info) (*post.Chain, error) {
	file := filepath.Join(a.Dir, artifact.ConfigName)
	var steps []post.Step
	for i := range a.Config.Post {
		step, err := postStep(a, &a.Config.Post[i])
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, a.Config.Post[i].Line, err)
		}
		steps = append(steps, step)
	}
	switch replyStyle(cfg, a) {
	case codec.Predictions:
		if r := a.Config.Reply; len(r.Fields) > 0 {
			steps = append(steps, fields(slices.Concat(r.Fields, r.Verbose)))
		}
	case codec.XGBoost:
		keys := cfg.InferenceOutput
		if keys == nil {
			keys = a.Config.Reply.Output
		}
		steps = append(steps, post.XGBoost{Keys: keys})
	case codec.HuggingFace:
		steps = append(steps, post.Best{})
	}
	if len(steps) == 0 {
		return nil, nil
	}
	chain, err := post.Plan(outputs, steps...)
	var at *post.StepError
	switch {
	case err == nil:
		return chain, nil
	case !errors.As(err, &at):
		return nil, err
	case at.Step < len(a.Config.Post):
		return nil, fmt.Errorf("%s, line %d: post[%d]: %w", file, a.Config.Post[at.Step].Line, at.Step, at.Err)
	case cfg.InferenceOutput != nil:
		return nil, fmt.Errorf("SAGEMAKER_INFERENCE_OUTPUT: %w", at.Err)
	}
	return nil, fmt.Errorf("%s: reply: %w", file, at.Err)
}

// postStep turns one entry of clary.yaml's post into the step that it names.
func postStep(a *artifact.Artifact, s *artifact.PostStep) (post.Step, error) {
	switch {
	case s.Softmax != nil:
		return post.Softmax(*s.Softmax), nil
	case s.Sigmoid != nil:
		return post.Sigmoid(*s.Sigmoid), nil
	case s.Argmax != nil:
		return post.Argmax(*s.Argmax), nil
	case s.TopK != nil:
		return post.TopK(*s.TopK), nil
	case s.Threshold != nil:
		return post.Threshold(*s.Threshold), nil
	case s.Rename != nil:
		var r post.Rename
		for _, p := range s.Rename {
			r = append(r, post.Renaming{From: p.Key, To: p.Value})
		}
		return r, nil
	case s.Drop != nil:
		return post.Drop(s.Drop), nil
	case s.Keep != nil:
		return post.Keep(s.Keep), nil
	}
	names := s.Labels.Names
	if s.Labels.LabelsFile != "" {
		var err error
		if names, err = a.Labels(s.Labels.LabelsFile); err != nil {
			return nil, fmt.Errorf("labels_file: %w", err)
		}
	}
	return post.Labels{Output: s.Labels.Output, Names: names}, nil
}

func fields(pairs artifact.Pairs) post.Fields {
	var f post.Fields
	for _, p := range pairs {
		f = append(f, post.Field{Name: p.Key, Output: p.Value})
	}
	return f
}
