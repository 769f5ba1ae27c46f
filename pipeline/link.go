package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
)

// A Member is a model in this process that is a step.
type Member struct {
	Model   handler.Model
	Inputs  []runtime.Info
	Outputs []runtime.Info
	Options *codec.Options // of the formats that it reads and writes
}

// Linked is a run of steps in this process of which each takes the tensors of
// the one before it: a body is decoded for the first and encoded for the last,
// and in between there are no bytes. It is a handler.Handler around the
// server's own, whose PredictFn is called once for each step.
type Linked struct {
	handler.Handler
	members []member
}

type member struct {
	Member
	step *Step
	from []int // for each input, which output of the step before it; nil for the first
}

// link checks that the models fit together.
func link(h handler.Handler, steps []*Step, models []Member) (*Linked, error) {
	l := &Linked{Handler: h}
	for i, m := range models {
		name := steps[i].name
		if len(models) > 1 && (m.Inputs == nil || m.Outputs == nil) {
			return nil, fmt.Errorf("step %q: its model does not tell its inputs and outputs, so that nothing can be passed to or from it in this process", name)
		}
		next := member{Member: m, step: steps[i]}
		if i > 0 {
			from, err := match(models[i-1].Outputs, m.Inputs)
			if err != nil {
				return nil, fmt.Errorf("step %q does not fit behind step %q: %w", name, steps[i-1].name, err)
			}
			next.from = from
		}
		l.members = append(l.members, next)
	}
	return l, nil
}

// match says for each input which output it takes: the one of its name; those
// without a namesake take what is left, in order, where that can be done in
// one way only.
func match(outputs, inputs []runtime.Info) ([]int, error) {
	from := make([]int, len(inputs))
	taken := make([]bool, len(outputs))
	var rest []int
	for i, in := range inputs {
		from[i] = slices.IndexFunc(outputs, func(out runtime.Info) bool { return out.Name == in.Name })
		if from[i] < 0 {
			rest = append(rest, i)
			continue
		}
		if out := outputs[from[i]]; !fits(out, in) {
			return nil, fmt.Errorf("its input %s is not the output %s", written(in), written(out))
		}
		taken[from[i]] = true
	}
	if len(rest) == 0 {
		return from, nil
	}
	var left []int
	for i := range outputs {
		if !taken[i] {
			left = append(left, i)
		}
	}
	ways := inOrder(outputs, inputs, left, rest)
	switch len(ways) {
	case 1:
		for i, at := range rest {
			from[at] = ways[0][i]
		}
		return from, nil
	case 0:
		return nil, fmt.Errorf("it takes %s, and there is %s", sorts(inputs, rest), sorts(outputs, left))
	}
	return nil, fmt.Errorf("it takes %s, which could be more than one of %s: give one the other's name (post: rename in clary.yaml)",
		sorts(inputs, rest), sorts(outputs, left))
}

// inOrder returns the ways to give each of the inputs rest one of the outputs
// left without changing their order; two at most.
func inOrder(outputs, inputs []runtime.Info, left, rest []int) [][]int {
	if len(rest) == 0 {
		return [][]int{nil}
	}
	var ways [][]int
	for i := 0; i+len(rest) <= len(left) && len(ways) < 2; i++ {
		if !fits(outputs[left[i]], inputs[rest[0]]) {
			continue
		}
		for _, way := range inOrder(outputs, inputs, left[i+1:], rest[1:]) {
			ways = append(ways, append([]int{left[i]}, way...))
		}
	}
	return ways[:min(2, len(ways))]
}

// fits reports whether what out gives can be what in takes.
func fits(out, in runtime.Info) bool {
	if out.Kind != in.Kind || out.DType != in.DType {
		return false
	}
	if out.Unranked || in.Unranked {
		return true
	}
	return slices.EqualFunc(out.Shape, in.Shape, func(a, b int) bool { return a == b || a < 0 || b < 0 })
}

// written is an input or output as a person would write it.
func written(info runtime.Info) string {
	switch {
	case info.Kind == runtime.KindSequence:
		return fmt.Sprintf("%q, a sequence", info.Name)
	case info.Kind == runtime.KindMap:
		return fmt.Sprintf("%q, a map", info.Name)
	case info.Unranked:
		return fmt.Sprintf("%q %v of any shape", info.Name, info.DType)
	}
	return fmt.Sprintf("%q %v%v", info.Name, info.DType, append([]int{}, info.Shape...))
}

func sorts(infos []runtime.Info, which []int) string {
	var list []string
	for _, i := range which {
		list = append(list, written(infos[i]))
	}
	if len(list) == 0 {
		return "nothing left"
	}
	return strings.Join(list, ", ")
}

// Steps are the names of the steps.
func (l *Linked) Steps() []string {
	names := make([]string, len(l.members))
	for i := range l.members {
		names[i] = l.members[i].step.name
	}
	return names
}

// Inputs are the first step's.
func (l *Linked) Inputs() []runtime.Info { return l.members[0].Inputs }

// Outputs are the last step's.
func (l *Linked) Outputs() []runtime.Info { return l.members[len(l.members)-1].Outputs }

// InputFn decodes for the first step.
func (l *Linked) InputFn(ctx context.Context, body []byte, contentType string) (handler.Tensors, error) {
	first := &l.members[0]
	req := handler.RequestFrom(ctx)
	req.Inputs, req.Options = first.Inputs, first.Options
	in, err := l.Handler.InputFn(ctx, body, contentType)
	return in, first.failure(err)
}

// PredictFn takes in through all steps. It needs no Model: each step has its
// own.
func (l *Linked) PredictFn(ctx context.Context, in handler.Tensors, _ handler.Model) (handler.Tensors, error) {
	req := handler.RequestFrom(ctx)
	for i := range l.members {
		m := &l.members[i]
		if m.from != nil {
			var err error
			if in, err = m.take(in, l.members[i-1].Outputs); err != nil {
				return nil, m.failure(err)
			}
		}
		begin, err := m.step.begin(ctx)
		if err != nil {
			return nil, err
		}
		req.Inputs, req.Outputs = m.Inputs, m.Outputs
		if in, err = l.Handler.PredictFn(ctx, in, m.Model); err != nil {
			return nil, m.failure(err)
		}
		end := time.Now()
		m.step.stats.ok(end, end.Sub(begin))
	}
	return in, nil
}

// OutputFn encodes what the last step gave.
func (l *Linked) OutputFn(ctx context.Context, out handler.Tensors, accept string) ([]byte, string, error) {
	last := &l.members[len(l.members)-1]
	req := handler.RequestFrom(ctx)
	req.Outputs, req.Options = last.Outputs, last.Options
	body, contentType, err := l.Handler.OutputFn(ctx, out, accept)
	return body, contentType, last.failure(err)
}

// take gives the outputs of the step before the names of m's inputs. A
// handler's own PredictFn may have given them in another order.
func (m *member) take(out handler.Tensors, infos []runtime.Info) (handler.Tensors, error) {
	in := make(handler.Tensors, len(m.from))
	for i, at := range m.from {
		name := infos[at].Name
		t, ok := runtime.Tensor{}, at < len(out) && out[at].Name == name
		if ok {
			t = out[at]
		} else if t, ok = out.Named(name); !ok {
			return nil, fmt.Errorf("the step before it gave no %q", name)
		}
		t.Name = m.Inputs[i].Name
		in[i] = t
	}
	return in, nil
}

// failure counts err and says whose it is, unless the request itself ended.
func (m *member) failure(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, context.Canceled) {
		m.step.stats.failed()
	}
	return &StepError{Step: m.step.name, Err: err}
}
