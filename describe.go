package clary

import (
	"net/http"

	"github.com/claryhq/clary/runtime"
)

// A description tells a person with curl what is served here.
type description struct {
	Model   string   `json:"model"`
	Inputs  []port   `json:"inputs"`
	Outputs []port   `json:"outputs"`
	Formats []format `json:"formats"`
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
	if s.many != nil {
		s.many.describe(w)
		return
	}
	if s.conductor != nil {
		s.conductor.describe(w, r)
		return
	}
	m := s.model.Load()
	if m == nil {
		writeFailure(w, failureOf(errStarting, ""))
		return
	}
	d := description{Model: m.name, Inputs: ports(m.inputs), Outputs: ports(m.outputs),
		Formats: formats(m.inputs, m.outputs, m.formats, r.Host), Server: "clary " + Version}
	writeIndented(w, d)
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

// widest is the most numbers of a row that an example spells out.
const widest = 64
