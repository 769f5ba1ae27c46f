package onnx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// servable says why no request could be made to, or answered by, a model with
// these inputs and outputs; nil if one could.
func servable(inputs, outputs []runtime.Info) error {
	for _, in := range inputs {
		if in.Kind != runtime.KindTensor {
			return fmt.Errorf("input %q is a sequence or a map; only models whose inputs are tensors are served", in.Name)
		}
		if !in.DType.Known() {
			return fmt.Errorf("input %q has elements of %v, which are not served", in.Name, in.DType)
		}
	}
	if len(outputs) == 0 {
		return errors.New("it has no outputs")
	}
	for _, out := range outputs {
		if !out.DType.Known() {
			return fmt.Errorf("output %q has elements of %v, which are not served", out.Name, out.DType)
		}
	}
	return nil
}

// planned reports whether ONNX Runtime should plan a run's memory. It keeps a
// plan for every combination of input shapes that it has met, and never forgets
// one: with sequence lengths or image sizes beside the batch they grow without
// bound. A plan saves up to a fifth of a small model's time; of a model of a few
// operators it saves nothing, and where a thousand such are in turn cold it costs
// a twentieth of the request to look it up.
func (g *Graph) planned() bool {
	const few = 6
	return g.nodes > few && openDims(g.Inputs) <= 1
}

// openDims counts the dimensions that vary independently, as far as names
// tell; first dimensions without a name are taken for one, the batch's.
func openDims(inputs []runtime.Info) int {
	open := map[string]bool{}
	for _, in := range inputs {
		if in.Unranked {
			open[in.Name+" rank"], open[in.Name+" size"] = true, true
		}
		for i, d := range in.Shape {
			switch {
			case d >= 0:
			case in.Dims[i] != "" || i == 0:
				open[in.Dims[i]] = true
			default:
				open[fmt.Sprint(in.Name, " ", i)] = true
			}
		}
	}
	return len(open)
}

func inputError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{runtime.ErrInput}, args...)...)
}

// match finds for each of want the tensor in in, by its name where it has one,
// else by its place, and puts its index into order.
func match(want []runtime.Info, in []runtime.Tensor, order []int) error {
	if len(in) > len(want) {
		return inputError("%d inputs were sent, the model takes %s", len(in), list(want))
	}
	for i := range order {
		order[i] = -1
	}
	for i := range in {
		slot := i
		if name := in[i].Name; name != "" && name != want[i].Name {
			if slot = index(want, name); slot < 0 {
				return inputError("the model has no input %q, it takes %s", name, list(want))
			}
		}
		if order[slot] >= 0 {
			return inputError("input %q was sent twice", want[slot].Name)
		}
		order[slot] = i
	}
	for i, from := range order {
		if from < 0 {
			return inputError("input %q is missing, the model takes %s", want[i].Name, list(want))
		}
	}
	return nil
}

func index(infos []runtime.Info, name string) int {
	for i := range infos {
		if infos[i].Name == name {
			return i
		}
	}
	return -1
}

func list(infos []runtime.Info) string {
	if len(infos) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, info := range infos {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", info.Name)
	}
	return b.String()
}

// check says how t differs from what want describes.
func check(want *runtime.Info, t *runtime.Tensor) error {
	if d := t.DType(); d != want.DType {
		if d == runtime.Undefined {
			return inputError("input %q: a %T is no tensor's data, want %v", want.Name, t.Data, want.DType)
		}
		return inputError("input %q: type %v, want %v", want.Name, d, want.DType)
	}
	fits := len(t.Shape) == len(want.Shape)
	if want.Unranked {
		if fits = len(t.Shape) <= maxRank; !fits {
			return inputError("input %q: %d dimensions, want at most %d", want.Name, len(t.Shape), maxRank)
		}
	} else if fits {
		for i, d := range want.Shape {
			fits = fits && (d < 0 || d == t.Shape[i])
		}
	}
	if !fits {
		return inputError("input %q: shape %v, want %v", want.Name, t.Shape, want.Shape)
	}
	if err := t.Check(); err != nil {
		return inputError("input %q: %w", want.Name, err)
	}
	return nil
}
