// Package post is post-processing that needs no code: what a model's
// clary.yaml says is to be done to its outputs before they are encoded
// (docs/post.md), and the outputs that a style of reply is made of.
//
// [Plan] holds a list of steps against a model's outputs, so that whatever is
// wrong with them is an error when the model is loaded. The [Chain] that it
// returns knows what comes out, and [Chain.Session] is the model with the
// steps behind it: to everyone else one more runtime.Session.
package post

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// A Step makes other outputs of a model's outputs. Those of this package are
// [Softmax], [Sigmoid], [Argmax], [TopK], [Threshold], [Labels], [Rename],
// [Drop], [Keep], [Fields], [Best] and [XGBoost].
type Step interface {
	// plan returns what the outputs in become, and the function that does it
	// to tensors of theirs.
	plan(in []runtime.Info) (out []runtime.Info, run apply, err error)
}

// An apply changes the outputs of one run. It may write into their data: they
// belong to it.
type apply func(ts []runtime.Tensor) ([]runtime.Tensor, error)

// A Chain is a list of steps that fits a model. It may be used concurrently.
type Chain struct {
	outputs []runtime.Info
	steps   []apply
}

// A StepError is a step that does not fit the outputs it is given.
type StepError struct {
	Step int // its place in the list, from 0
	Err  error
}

func (e *StepError) Error() string { return fmt.Sprintf("step %d: %v", e.Step+1, e.Err) }

// Unwrap returns what is wrong.
func (e *StepError) Unwrap() error { return e.Err }

// Plan holds steps, in their order, against a model's outputs. What does not
// fit (an output that there is not, a wrong element type or rank, as many
// names as there are not classes) is a [*StepError]. What the model leaves
// open is held against the tensors of each run.
func Plan(outputs []runtime.Info, steps ...Step) (*Chain, error) {
	c := &Chain{outputs: outputs}
	for i, s := range steps {
		out, run, err := s.plan(slices.Clone(c.outputs))
		if err == nil {
			err = distinct(out)
		}
		if err != nil {
			return nil, &StepError{i, err}
		}
		c.outputs = out
		c.steps = append(c.steps, run)
	}
	return c, nil
}

// Outputs describes what comes out. It is not to be changed.
func (c *Chain) Outputs() []runtime.Info { return c.outputs }

// Run takes the outputs of one run through the steps. It may write into their
// data, and the result may share it.
func (c *Chain) Run(ts []runtime.Tensor) (_ []runtime.Tensor, err error) {
	for _, run := range c.steps {
		if ts, err = run(ts); err != nil {
			return nil, fmt.Errorf("post-processing: %w", err)
		}
	}
	return ts, nil
}

// Session returns s with the steps behind it: its Outputs are the chain's, and
// its Run returns them. The chain must have been planned for s.Outputs(). Run
// allocates what it returns, whatever out it is given.
func (c *Chain) Session(s runtime.Session) runtime.Session { return session{s, c} }

type session struct {
	runtime.Session
	chain *Chain
}

func (s session) Outputs() []runtime.Info { return s.chain.outputs }

func (s session) Run(ctx context.Context, in, _ []runtime.Tensor) ([]runtime.Tensor, error) {
	out, err := s.Session.Run(ctx, in, nil)
	if err != nil {
		return nil, err
	}
	return s.chain.Run(out)
}

// find returns the index of the output of that name; of the only output for
// none.
func find(in []runtime.Info, name string) (int, error) {
	if name == "" && len(in) == 1 {
		return 0, nil
	}
	for i := range in {
		if in[i].Name == name {
			return i, nil
		}
	}
	if name == "" {
		return 0, fmt.Errorf("there are several outputs, %s: say which", names(in))
	}
	return 0, fmt.Errorf("there is no output %q here; there is %s", name, names(in))
}

// names lists outputs for an error.
func names(in []runtime.Info) string {
	list := make([]string, len(in))
	for i := range in {
		list[i] = fmt.Sprintf("%q", in[i].Name)
	}
	return strings.Join(list, ", ")
}

// distinct refuses a step that leaves two outputs of one name, or none at all.
func distinct(out []runtime.Info) error {
	if len(out) == 0 {
		return fmt.Errorf("no output is left")
	}
	seen := make(map[string]bool, len(out))
	for i := range out {
		if seen[out[i].Name] {
			return fmt.Errorf("two outputs would be called %q: drop or rename one before", out[i].Name)
		}
		seen[out[i].Name] = true
	}
	return nil
}
