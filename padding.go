package clary

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// padding is clary.yaml's batching.pad: of each input a slice of the one
// element that its rows are padded with.
func padding(pad artifact.Pairs, inputs []runtime.Info) (map[string]any, error) {
	elements := map[string]any{}
	for _, p := range pad {
		i := slices.IndexFunc(inputs, func(i runtime.Info) bool { return i.Name == p.Key })
		if i < 0 {
			return nil, fmt.Errorf("clary.yaml's batching.pad: the model has no input %q", p.Key)
		}
		want := runtime.Info{Name: p.Key, DType: inputs[i].DType, Shape: []int{1}}
		text := p.Value
		if want.DType == runtime.String {
			quoted, err := json.Marshal(text)
			if err != nil {
				return nil, err
			}
			text = string(quoted)
		}
		in, err := codec.JSON{}.Decode([]byte("["+text+"]"), &codec.Request{Want: []runtime.Info{want}})
		if err != nil {
			return nil, fmt.Errorf("clary.yaml's batching.pad: %q of %s: %w", p.Value, p.Key, err)
		}
		elements[p.Key] = in[0].Data
	}
	return elements, nil
}
