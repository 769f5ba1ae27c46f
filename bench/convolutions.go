package main

import (
	"fmt"
	"path/filepath"
	goruntime "runtime"

	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
)

// A network is one of full size and what is promised of it.
type network struct {
	networks.Network
	best    float64 // of the raw loop's runs/s
	seconds float64 // of a burst at saturation
	alone   float64 // seconds of one at one connection
}

// convolutions measures networks that cost milliseconds a run.
func convolutions(b *bench) error {
	for _, n := range []network{{networks.SqueezeNet, 0.95, 1.2, 0.5}, {networks.ResNet50, 0.97, 2.2, 1}} {
		if err := b.convolution(n); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

var image = []int{1, 3, 224, 224}

func (b *bench) convolution(n network) error {
	dir, err := n.Make(b.cache, networks.Options{})
	if err != nil {
		return err
	}
	values := numbers(3 * 224 * 224)
	for i := range values {
		values[i] /= 8
	}
	body, err := b.file("image.npy", npy(image, values))
	if err != nil {
		return err
	}
	clary, err := b.clary(dir, nil)
	if err != nil {
		return err
	}
	defer clary.stop()
	echo, err := b.echo()
	if err != nil {
		return err
	}
	defer echo.stop()
	path := filepath.Join(dir, "model.onnx")
	narrow, err := b.raw(path, 1)
	if err != nil {
		return err
	}
	defer narrow.stop()
	requests := post(body, "application/x-npy", "application/x-npy")
	var text *load.Spec
	if n.Name == networks.SqueezeNet.Name {
		path, err := b.file("image.json", instances(image, values))
		if err != nil {
			return err
		}
		text = &load.Spec{Connections: 64, Seconds: n.seconds, Warm: 0.4, Requests: post(path, "application/json", "")}
	}
	if err := b.saturated(n, clary, echo, narrow, requests, text); err != nil {
		return err
	}
	return b.lone(n, dir, clary, echo, requests)
}

// saturated sends images on 64 connections.
func (b *bench) saturated(n network, clary, echo *server, loop *rawLoop, requests []load.Request, text *load.Spec) error {
	best, err := loop.best([]int{1, goruntime.NumCPU()}, []int{1, 4}, n.seconds/3)
	if err != nil {
		return err
	}
	spec := load.Spec{Connections: 64, Seconds: n.seconds, Warm: n.seconds / 4, Requests: requests}
	var ours, floor, texts []load.Result
	var spans []span
	var raw []rawResult
	what := n.Name + " NPY, 64 connections"
	contestants := []func() error{clary.watched(&spans, clary.collect(&ours, what, spec)), loop.collect(&raw, best.Threads, best.Batch, n.seconds),
		echo.collect(&floor, what, load.Spec{Connections: 64, Seconds: 0.3, Warm: 0.1, Requests: requests})}
	if text != nil {
		contestants = append(contestants, clary.collect(&texts, n.Name+" JSON, 64 connections", *text))
	}
	if err := interleave(b.rounds, contestants...); err != nil {
		return err
	}
	b.report(row{What: what + ": runs/s", Value: fmt.Sprintf("%.1f, %.1f in a batch", over(ours, perSecond), over(spans, span.batch)),
		Against: fmt.Sprintf("%.1f: raw, %d threads, batch %d", over(raw, rawResult.rowsPerSecond), best.Threads, best.Batch),
		Ratio:   ratios(ours, raw, func(a load.Result, b rawResult) float64 { return perSecond(a) / b.rowsPerSecond() }), Limit: n.best, Least: true})
	each := over(floor, cpuEach)
	b.report(row{What: what + ": processor time", Value: milli(over(ours, cpuEach)),
		Against: fmt.Sprintf("1.03 x %s (raw) + %s (echo)", milli(over(raw, rawResult.cpuEach)), milli(each)),
		Ratio:   ratios(ours, raw, func(a load.Result, b rawResult) float64 { return cpuEach(a) / (1.03*b.cpuEach() + each) }), Limit: 1})
	if text != nil {
		b.report(row{What: n.Name + " JSON, 64 connections: requests/s", Value: fmt.Sprintf("%.1f", over(texts, perSecond)),
			Against: fmt.Sprintf("%.1f: its NPY", over(ours, perSecond)),
			Ratio:   ratios(texts, ours, func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) }), Limit: 0.68, Least: true})
	}
	return nil
}

// lone sends one image at a time: a run has all cores. How fast those are differs
// from one process to the next by as much as is promised, for the same program:
// the server that was saturated and two that are fresh have a third of the rounds
// each, and so have three raw loops.
func (b *bench) lone(n network, dir string, clary, echo *server, requests []load.Request) error {
	what := n.Name + " NPY, 1 connection"
	spec := load.Spec{Connections: 1, Seconds: n.alone, Warm: 0.1, Requests: requests}
	var ours, floor []load.Result
	var raw []rawResult
	third := func(clary *server) error {
		loop, err := b.raw(filepath.Join(dir, "model.onnx"), goruntime.NumCPU())
		if err != nil {
			return err
		}
		defer loop.stop()
		// The server may need a moment to see that the caller is alone.
		if _, err := clary.burst(what, load.Spec{Connections: 1, Seconds: 1, Warm: 1, Requests: requests}); err != nil {
			return err
		}
		return interleave(b.rounds/3, clary.collect(&ours, what, spec), loop.collect(&raw, 1, 1, n.alone),
			echo.collect(&floor, what, load.Spec{Connections: 1, Seconds: 0.1, Warm: 0.05, Requests: requests}))
	}
	if err := third(clary); err != nil {
		return err
	}
	for range 2 {
		fresh, err := b.clary(dir, nil)
		if err != nil {
			return err
		}
		err = third(fresh)
		fresh.stop()
		if err != nil {
			return err
		}
	}
	each := over(floor, p50)
	b.report(row{What: what + ": p50", Value: milli(over(ours, p50)),
		Against: fmt.Sprintf("1.05 x %s (raw, %d threads a run) + %s (echo)", milli(over(raw, func(r rawResult) float64 { return r.P50 })), goruntime.NumCPU(), milli(each)),
		Ratio:   ratios(ours, raw, func(a load.Result, b rawResult) float64 { return p50(a) / (1.05*b.P50 + each) }), Limit: 1})
	return nil
}
