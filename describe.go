package clary

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// A description tells a person with curl what is served here.
type description struct {
	Model   string   `json:"model"`
	Inputs  []port   `json:"inputs"`
	Outputs []port   `json:"outputs"`
	Accepts []string `json:"accepts"`
	Example string   `json:"example,omitempty"`
	Server  string   `json:"server"`
}

// A port is an input or an output of the model.
type port struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind,omitempty"` // sequence or map; a tensor is not said
	Type   string   `json:"type"`
	Shape  []int    `json:"shape"` // -1 is open
	Labels []string `json:"labels,omitempty"`
}

// describe answers GET /.
func (s *Server) describe(w http.ResponseWriter, r *http.Request) {
	m := s.model.Load()
	if m == nil {
		writeFailure(w, failureOf(errStarting, ""))
		return
	}
	d := description{Model: m.name, Inputs: ports(m.inputs), Outputs: ports(m.outputs), Accepts: mediaTypes(),
		Example: example(m.inputs, r.Host), Server: "clary " + Version}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(d) // the client may have gone; there is nobody left to tell
}

func ports(infos []runtime.Info) []port {
	list := make([]port, len(infos))
	for i, info := range infos {
		list[i] = port{Name: info.Name, Type: info.DType.String(), Shape: append([]int{}, info.Shape...), Labels: info.Labels}
		switch info.Kind {
		case runtime.KindSequence:
			list[i].Kind = "sequence"
		case runtime.KindMap:
			list[i].Kind = "map"
		}
	}
	return list
}

// mediaTypes lists the canonical names of what the default handler reads and
// writes.
func mediaTypes() []string {
	var names []string
	for _, c := range codec.All() {
		names = append(names, c.MediaTypes()[0])
	}
	return names
}

// widest is the most numbers that an example spells out.
const widest = 64

// example returns a curl line that the model answers, "" for inputs that no
// example can be made of.
func example(inputs []runtime.Info, host string) string {
	url := host + "/invocations"
	if len(inputs) == 0 {
		return ""
	}
	if only := inputs[0]; len(inputs) == 1 && len(only.Shape) > 0 {
		rows, width := 1, 1
		for i, d := range only.Shape {
			switch {
			case d < 0:
			case i == 0:
				rows = d
			default:
				width *= d
			}
		}
		if rows*width > widest {
			return fmt.Sprintf(`awk 'BEGIN{for(r=0;r<%d;r++){for(i=0;i<%d;i++)printf i?",%s":"%s";print ""}}' | curl -s %s -H 'Content-Type: text/csv' --data-binary @-`,
				rows, width, cell(only.DType), cell(only.DType), url)
		}
		row := strings.TrimSuffix(strings.Repeat(cell(only.DType)+",", width), ",")
		return fmt.Sprintf(`curl -s %s -H 'Content-Type: text/csv' --data-binary $'%s'`, url, strings.Repeat(row+`\n`, rows))
	}
	columns := make([]string, len(inputs))
	for i, info := range inputs {
		value, n := jsonCell(info.DType), 1
		for axis := len(info.Shape) - 1; axis >= 0; axis-- {
			d := max(info.Shape[axis], 1)
			if n *= d; n > widest {
				return ""
			}
			value = "[" + strings.TrimSuffix(strings.Repeat(value+",", d), ",") + "]"
		}
		name, err := json.Marshal(info.Name)
		if err != nil {
			return ""
		}
		columns[i] = string(name) + ":" + value
	}
	body := strings.ReplaceAll(`{"inputs":{`+strings.Join(columns, ",")+`}}`, `'`, `'\''`)
	return fmt.Sprintf(`curl -s %s -H 'Content-Type: application/json' -d '%s'`, url, body)
}

// cell is a harmless value of a type, as CSV writes it.
func cell(d runtime.DType) string {
	switch d {
	case runtime.String:
		return "text"
	case runtime.Bool:
		return "true"
	}
	return "1"
}

func jsonCell(d runtime.DType) string {
	if d == runtime.String {
		return `"text"`
	}
	return cell(d)
}
