package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
)

// isolation compares a small model's latencies while nothing else happens with
// those while a network of 100 MB is loaded and unloaded every second, by the
// same server and by another process: what the latter costs is the machine's.
func isolation(b *bench) error {
	folder, err := filepath.Abs(b.cache)
	if err != nil {
		return err
	}
	large, err := networks.ResNet50.Make(folder, networks.Options{})
	if err != nil {
		return err
	}
	small, err := filepath.Abs(iris)
	if err != nil {
		return err
	}
	roots := folder + ":" + filepath.Dir(small)
	s, err := b.many(roots)
	if err != nil {
		return err
	}
	defer s.stop()
	other, err := b.many(roots)
	if err != nil {
		return err
	}
	defer other.stop()
	if _, err := s.load("small", small); err != nil {
		return err
	}
	body, err := b.file("row.csv", []byte("5.1,3.5,1.4,0.2\n"))
	if err != nil {
		return err
	}
	requests := []load.Request{invoke("small", body)}
	var tops []load.Result
	if err := interleave(b.rounds, s.collect(&tops, "peak", load.Spec{Connections: 64, Seconds: 0.4, Warm: 0.1, Requests: requests})); err != nil {
		return err
	}
	for _, part := range []float64{0.5, 0.8} {
		spec := load.Spec{Connections: 64, Seconds: 1.2, Warm: 0.3, Rate: part * over(tops, perSecond), Requests: requests}
		if part > 0.5 {
			// A generator that woke for each request would leave the server less
			// than it had at the peak, where many answers come at a time.
			spec.Tick = 200e-6
		}
		var quiet, loading, elsewhere []load.Result
		var here, there loads
		what := fmt.Sprintf("%.0f%% of the peak", part*100)
		busy, beside := s.collect(&loading, what+", loading", spec), s.collect(&elsewhere, what+", loading elsewhere", spec)
		if err := interleave(b.rounds, s.collect(&quiet, what, spec), func() error { return here.during(s, large, busy) },
			func() error {
				if len(elsewhere) == b.few() { // nothing is promised of it
					return nil
				}
				return there.during(other, large, beside)
			}); err != nil {
			return err
		}
		b.isolated(part, what, quiet, loading, elsewhere, &here)
	}
	return nil
}

// isolated reports what was measured at one part of the peak.
func (b *bench) isolated(part float64, what string, quiet, loading, elsewhere []load.Result, here *loads) {
	b.report(row{What: what + ", 100 MB loaded every second: p99", Value: latencies(loading), Against: latencies(quiet) + ": nothing loaded",
		Ratio: ratios(loading, quiet, func(l, q load.Result) float64 { return p99(l) / p99(q) }), Limit: map[float64]float64{0.5: 1.5}[part]})
	b.report(row{What: what + ", the same loads by another process: p99", Value: latencies(elsewhere), Against: latencies(quiet) + ": nothing loaded",
		Ratio: ratios(elsewhere, quiet, func(l, q load.Result) float64 { return p99(l) / p99(q) })})
	b.report(row{What: what + ", 100 MB loaded every second: goodput", Value: fmt.Sprintf("%.0f/s", over(loading, perSecond)),
		Against: fmt.Sprintf("%.0f/s: nothing loaded", over(quiet, perSecond)),
		Ratio:   ratios(loading, quiet, func(l, q load.Result) float64 { return perSecond(l) / perSecond(q) }), Limit: map[float64]float64{0.8: 0.95}[part], Least: true})
	b.report(row{What: what + ", the same loads by another process: goodput", Value: fmt.Sprintf("%.0f/s", over(elsewhere, perSecond)),
		Against: fmt.Sprintf("%.0f/s: nothing loaded", over(quiet, perSecond)),
		Ratio:   ratios(elsewhere, quiet, func(l, q load.Result) float64 { return perSecond(l) / perSecond(q) })})
	b.report(row{What: what + ": the slowest /ping and GET /models meanwhile", Value: milli(here.slowest.Seconds()), Against: fmt.Sprintf("50 ms; %d loads, median %s", len(here.took), milli(median(here.took))),
		Ratio: here.slowest.Seconds() / 50e-3, Limit: 1})
}

// loads are those of a large model beside something else.
type loads struct {
	took    []float64     // seconds each
	slowest time.Duration // of what was asked meanwhile
}

// during loads and unloads a model every second, and asks /ping and GET
// /models all the time, while do runs.
func (l *loads) during(s *server, model string, do func() error) error {
	stop, loaded, asked := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() { loaded <- l.load(s, model, stop) }()
	go func() { asked <- l.ask(s, stop) }()
	err := do()
	close(stop)
	for _, c := range []chan error{loaded, asked} {
		if e := <-c; err == nil {
			err = e
		}
	}
	return err
}

func (l *loads) load(s *server, model string, stop <-chan struct{}) error {
	for next := time.NewTicker(time.Second); ; {
		took, err := s.load("large", model)
		if err != nil {
			return err
		}
		l.took = append(l.took, took.Seconds())
		if _, err := s.unload("large"); err != nil {
			return err
		}
		select {
		case <-stop:
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}

func (l *loads) ask(s *server, stop <-chan struct{}) error {
	for next := time.NewTicker(20 * time.Millisecond); ; {
		for _, path := range []string{"/ping", "/models"} {
			took, err := s.timed("GET", path, nil)
			if err != nil {
				return err
			}
			l.slowest = max(l.slowest, took)
		}
		select {
		case <-stop:
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}
