package clary

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/claryhq/clary/runtime"
)

// What a batch transform job is told to send (contract §6.1).
const (
	defaultPayloadMB = 6                // SageMaker's own
	mostInFlightMB   = 100              // of all payloads together
	payloadTime      = 10 * time.Second // that a payload should take at most
	recordTime       = time.Minute      // and a megabyte of rows: more than that, and rows are sent one by one
	bytesPerNumber   = 8                // in a body
)

// executionParameters answers GET /execution-parameters: how many requests a
// batch transform job should send at the same time, and how large, so that all
// cores work and none takes long.
func (s *Server) executionParameters(w http.ResponseWriter, _ *http.Request) {
	m := s.model.Load()
	if m == nil {
		writeFailure(w, failureOf(errStarting, ""))
		return
	}
	body, err := json.Marshal(s.parametersFor(m))
	if err != nil {
		panic("clary: " + err.Error()) // numbers and a string
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may have gone
}

type parameters struct {
	MaxConcurrentTransforms int
	BatchStrategy           string `json:",omitempty"`
	MaxPayloadInMB          int
}

func (s *Server) parametersFor(m *live) parameters {
	limit := max(1, int(s.cfg.MaxBody>>20))
	p := parameters{MaxConcurrentTransforms: min(m.workers, mostInFlightMB), BatchStrategy: "MULTI_RECORD", MaxPayloadInMB: min(defaultPayloadMB, limit)}
	perMB := m.perMB()
	if perMB > 0 {
		p.MaxPayloadInMB = max(1, min(limit, mostInFlightMB/p.MaxConcurrentTransforms, int(payloadTime/perMB)))
	}
	if perMB > recordTime {
		p.BatchStrategy, p.MaxPayloadInMB = "SINGLE_RECORD", min(defaultPayloadMB, limit)
	}
	p.MaxConcurrentTransforms = max(1, min(p.MaxConcurrentTransforms, mostInFlightMB/p.MaxPayloadInMB))
	if s.cfg.OmitStrategy {
		p.BatchStrategy = ""
	}
	return p
}

// perMB is what the rows in a megabyte of text take, as measured; 0 where that
// is not known.
func (m *live) perMB() time.Duration {
	if len(m.sessions) != 1 || len(m.inputs) == 0 {
		return 0
	}
	size := 0
	for _, in := range m.inputs {
		n := 1
		for i, d := range in.Shape {
			if i > 0 && d > 0 {
				n *= d
			}
		}
		if in.DType == runtime.String {
			n *= 4
		}
		size += n * bytesPerNumber
	}
	return m.sessions[0].PerRow() * time.Duration(max(1, 1<<20/size))
}
