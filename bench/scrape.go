package main

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
)

// scrape returns the samples of the server's /metrics by name; those of a
// name that differ in their labels are added up.
func (s *server) scrape() (map[string]float64, error) {
	resp, err := http.Get("http://" + s.addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	samples := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		name, _, _ := strings.Cut(line[:max(at, 0)], "{")
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			samples[name] += v
		}
	}
	return samples, nil
}

// A span is how the server's counters moved during a burst.
type span struct{ before, after map[string]float64 }

func (s span) of(name string) float64 { return s.after[name] - s.before[name] }

// batch is the mean number of rows in a Run.
func (s span) batch() float64 {
	if runs := s.of("clary_runs_total"); runs > 0 {
		return s.of("clary_run_rows_total") / runs
	}
	return 1
}

// allocations is the mean number for each invocation.
func (s span) allocations() float64 {
	return s.of("go_memstats_mallocs_total") / s.of("sagemaker_invocations_total")
}

// watched is collect with the server's counters around it.
func (s *server) watched(into *[]span, do func() error) func() error {
	return func() (err error) {
		var w span
		if w.before, err = s.scrape(); err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		if w.after, err = s.scrape(); err != nil {
			return err
		}
		*into = append(*into, w)
		return nil
	}
}
