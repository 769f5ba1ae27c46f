package main

import (
	"fmt"
	"path/filepath"
	goruntime "runtime"

	"github.com/claryhq/clary/bench/load"
)

// digits measures a small convolutional network, one image a request: batches
// are what makes it fast.
func digits(b *bench) error {
	const model = "testdata/models/digits"
	clary, err := b.clary(model, nil)
	if err != nil {
		return err
	}
	defer clary.stop()
	echo, err := b.echo()
	if err != nil {
		return err
	}
	defer echo.stop()
	loop, err := b.raw(filepath.Join(model, "model.onnx"), 1)
	if err != nil {
		return err
	}
	defer loop.stop()
	body, err := b.file("digit.npy", npy([]int{1, 1, 8, 8}, numbers(64)))
	if err != nil {
		return err
	}
	best, err := loop.best([]int{1, goruntime.NumCPU()}, []int{1, 4, 8, 16, 32, 64, 128}, 0.15)
	if err != nil {
		return err
	}
	spec := load.Spec{Connections: 64, Seconds: 0.6, Warm: 0.2, Requests: post(body, "application/x-npy", "application/x-npy")}
	const what = "digits, one image a request, 64 connections"
	var ours, floor []load.Result
	var spans []span
	var raw []rawResult
	if err := interleave(b.rounds, clary.watched(&spans, clary.collect(&ours, what, spec)), echo.collect(&floor, what, spec),
		loop.collect(&raw, best.Threads, best.Batch, 0.3)); err != nil {
		return err
	}
	var all []float64
	for i, r := range ours {
		all = append(all, r.PerSecond*(1/floor[i].PerSecond+1/raw[i].rowsPerSecond()))
	}
	b.report(row{What: what + ": rows/s", Value: fmt.Sprintf("%.0f, %.1f in a batch", over(ours, perSecond), over(spans, span.batch)),
		Against: fmt.Sprintf("1/(1/%.0f (echo) + 1/%.0f (raw, %d threads, batch %d))", over(floor, perSecond), over(raw, rawResult.rowsPerSecond), best.Threads, best.Batch),
		Ratio:   median(all), Limit: 0.8, Least: true})
	b.report(row{What: what + ": p50, p99, p99.9", Value: latencies(ours), Against: latencies(floor) + ": chi echo"})
	return nil
}
