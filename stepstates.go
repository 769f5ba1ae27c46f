package clary

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/claryhq/clary/pipeline"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// routes adds what a pipeline answers beside a model.
func (c *conductor) routes(r chi.Router) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Method(method, "/pipeline", http.HandlerFunc(c.states))
	}
}

// A stepState is what GET /pipeline says of a step.
type stepState struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`  // url, command or model
	State    string       `json:"state"` // starting, ready, down or stopped
	Why      string       `json:"why,omitempty"`
	Since    time.Time    `json:"since"`
	URL      string       `json:"url,omitempty"`
	PID      int          `json:"pid,omitempty"`
	Restarts int          `json:"restarts"`
	Requests uint64       `json:"requests"`
	Errors   uint64       `json:"errors"`
	Latency  *stepLatency `json:"latency_ms,omitempty"` // of the last few hundred; none before the first
	Model    string       `json:"model,omitempty"`
	Inputs   []port       `json:"inputs,omitempty"`
	Outputs  []port       `json:"outputs,omitempty"`
}

type stepLatency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// status returns the states of the steps; before the chain is put together
// they are starting.
func (c *conductor) status() []stepState {
	list := make([]stepState, len(c.conf.Steps))
	chain := c.chain.Load()
	if chain == nil {
		for i, s := range c.conf.Steps {
			list[i] = stepState{Name: s.Name, Kind: s.Kind(), State: pipeline.Starting, Since: c.started}
		}
		return list
	}
	for i, s := range chain.Status() {
		list[i] = stepState{Name: s.Name, Kind: s.Kind, State: s.State, Since: s.Since, URL: s.URL, PID: s.PID, Restarts: s.Restarts,
			Requests: s.Requests, Errors: s.Errors}
		if s.Why != nil {
			list[i].Why = s.Why.Error()
		}
		if s.Latency.Count > 0 {
			list[i].Latency = &stepLatency{milliseconds(s.Latency.P50), milliseconds(s.Latency.P90), milliseconds(s.Latency.P99)}
		}
		if m := c.models[s.Name]; m != nil {
			list[i].Model, list[i].Inputs, list[i].Outputs = m.artifact.Model, ports(m.inputs), ports(m.outputs)
		}
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// A chainDescription is what GET / and GET /pipeline say.
type chainDescription struct {
	Pipeline string      `json:"pipeline"`
	Mode     string      `json:"mode"`
	Steps    []stepState `json:"steps"`
	Formats  []format    `json:"formats,omitempty"` // where the first step is in this process and the last one too
	Server   string      `json:"server"`
}

// states answers GET /pipeline, while steps are down too.
func (c *conductor) states(w http.ResponseWriter, _ *http.Request) {
	writeIndented(w, chainDescription{Pipeline: c.conf.Name, Mode: c.conf.Mode, Steps: c.status(), Server: "clary " + Version})
}

// describe answers GET /: what is served, and in which formats where this
// process knows them.
func (c *conductor) describe(w http.ResponseWriter, r *http.Request) {
	d := chainDescription{Pipeline: c.conf.Name, Mode: c.conf.Mode, Steps: c.status(), Server: "clary " + Version}
	if m := c.whole.Load(); m != nil {
		d.Formats = formats(m.inputs, m.outputs, m.formats, r.Host)
	}
	writeIndented(w, d)
}

// writeIndented writes JSON for people.
func writeIndented(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // the client may have gone; there is nobody left to tell
}

// A stepCollector shows a chain's steps to Prometheus; docs/metrics.md lists
// what.
type stepCollector struct{ chain *pipeline.Chain }

var (
	stepLabel    = []string{"step"}
	stepUp       = prometheus.NewDesc("clary_step_up", "1 while the step is ready.", stepLabel, nil)
	stepRestarts = prometheus.NewDesc("clary_step_restarts_total", "Times that the step's command was started again.", stepLabel, nil)
	stepRequests = prometheus.NewDesc("clary_step_requests_total", "Requests to the step.", stepLabel, nil)
	stepErrors   = prometheus.NewDesc("clary_step_errors_total", "Those that failed.", stepLabel, nil)
	stepSeconds  = prometheus.NewDesc("sagemaker_container_latency_seconds", "Time of the step, of requests that succeeded: of a container until its reply began.", stepLabel, nil)
)

// Describe is part of prometheus.Collector.
func (stepCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{stepUp, stepRestarts, stepRequests, stepErrors, stepSeconds} {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (c stepCollector) Collect(to chan<- prometheus.Metric) {
	for _, s := range c.chain.Status() {
		up := 0.0
		if s.State == pipeline.Ready {
			up = 1
		}
		l := s.Latency
		to <- prometheus.MustNewConstMetric(stepUp, prometheus.GaugeValue, up, s.Name)
		to <- prometheus.MustNewConstMetric(stepRestarts, prometheus.CounterValue, float64(s.Restarts), s.Name)
		to <- prometheus.MustNewConstMetric(stepRequests, prometheus.CounterValue, float64(s.Requests), s.Name)
		to <- prometheus.MustNewConstMetric(stepErrors, prometheus.CounterValue, float64(s.Errors), s.Name)
		to <- prometheus.MustNewConstSummary(stepSeconds, l.Count, l.Seconds,
			map[float64]float64{0.5: l.P50.Seconds(), 0.9: l.P90.Seconds(), 0.99: l.P99.Seconds()}, s.Name)
	}
}
