package clary_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMetricsCountWhatHappened(t *testing.T) {
	p := start(t, "serve", nil, iris)
	for range 3 {
		mustAnswer(t, p)
	}
	p.invoke("text/csv", "1,2")
	for name, want := range map[string]float64{
		`sagemaker_invocations_total{model="iris"}`:                   4,
		`sagemaker_invocation_errors_total{class="4xx",model="iris"}`: 1,
		`sagemaker_invocation_errors_total{class="5xx",model="iris"}`: 0,
		`clary_responses_total{model="iris",status="200"}`:            3,
		`clary_responses_total{model="iris",status="400"}`:            1,
		`sagemaker_model_latency_seconds_count{model="iris"}`:         3,
		`sagemaker_overhead_latency_seconds_count{model="iris"}`:      3,
		`clary_stage_seconds_count{model="iris",stage="queue"}`:       3,
		`clary_stage_seconds_count{model="iris",stage="decode"}`:      3,
		`clary_stage_seconds_count{model="iris",stage="run"}`:         3,
		`clary_stage_seconds_count{model="iris",stage="encode"}`:      3,
		`sagemaker_loaded_model_count{model="iris"}`:                  1,
		`clary_request_bytes_total{model="iris"}`:                     float64(3*len(aRow) + 3),
	} {
		p.metricBecomes(name, want)
	}
	body := p.get("/metrics").body
	for _, name := range []string{"clary_build_info{", `onnxruntime="1.30.0"`, "go_goroutines", "process_resident_memory_bytes", "sagemaker_model_setup_seconds"} {
		if !strings.Contains(body, name) {
			t.Errorf("/metrics has no %s", name)
		}
	}
}

// metricBecomes waits until a metric, with its labels if it has several, has a
// value.
func (p *process) metricBecomes(name string, want float64) {
	p.t.Helper()
	var last string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, line := range strings.Split(p.get("/metrics").body, "\n") {
			key, value, ok := strings.Cut(line, "} ")
			if !ok || key+"}" != name && !strings.HasPrefix(line, name+"{") {
				continue
			}
			last = value
			if value == fmt.Sprint(want) {
				return
			}
		}
	}
	p.t.Fatalf("%s is %s, want %v", name, last, want)
}
