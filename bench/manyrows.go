package main

import (
	"fmt"
	"path/filepath"
	goruntime "runtime"

	"github.com/claryhq/clary/bench/load"
)

// manyRows measures requests whose cost is parsing, running and formatting.
func manyRows(b *bench) error {
	clary, err := b.clary(iris, nil)
	if err != nil {
		return err
	}
	defer clary.stop()
	naive, err := b.naive(iris)
	if err != nil {
		return err
	}
	defer naive.stop()
	if err := b.hundred(clary, naive); err != nil {
		return err
	}

	const rows = 10_000
	body, err := b.file("rows.csv", rowsCSV(rows))
	if err != nil {
		return err
	}
	model := filepath.Join(b.dir, "iris.onnx")
	if err := withoutZipMap(filepath.Join(iris, "model.onnx"), model); err != nil {
		return err
	}
	loop, err := b.raw(model, 1)
	if err != nil {
		return err
	}
	defer loop.stop()
	loop.rows = rows // as many as a request has
	best, err := loop.best([]int{1, goruntime.NumCPU()}, []int{16, 64, 128, 1024, rows}, 0.15)
	if err != nil {
		return err
	}
	requests := post(body, "text/csv", "text/csv")
	const what = "10,000 rows CSV"
	var ours, alone, theirs []load.Result
	var raw []rawResult
	var codec []codecResult
	parts := func() error {
		r, err := codecAlone("iris", rows, 0.2)
		codec = append(codec, r)
		return err
	}
	err = interleave(b.rounds, clary.collect(&ours, what, load.Spec{Connections: 8, Seconds: 0.8, Warm: 0.2, Requests: requests}),
		loop.collect(&raw, best.Threads, best.Batch, 0.3), parts)
	if err != nil {
		return err
	}
	one := load.Spec{Connections: 1, Seconds: 0.5, Warm: 0.1, Requests: requests}
	if err := interleave(b.few(), clary.collect(&alone, what, one), naive.collect(&theirs, what, one)); err != nil {
		return err
	}
	var all []float64
	for i, r := range ours {
		all = append(all, r.PerSecond*rows*(1/raw[i].rowsPerSecond()+1/codec[i].Parse+1/codec[i].Format))
	}
	b.report(row{What: what + ", 8 connections: million rows/s", Value: fmt.Sprintf("%.2f", rows*over(ours, perSecond)/1e6),
		Against: fmt.Sprintf("1/(1/%.2f (raw, %d threads, batch %d) + 1/%.2f (parse) + 1/%.2f (format))", over(raw, rawResult.rowsPerSecond)/1e6, best.Threads, best.Batch,
			over(codec, func(c codecResult) float64 { return c.Parse })/1e6, over(codec, func(c codecResult) float64 { return c.Format })/1e6),
		Ratio: median(all), Limit: 0.85, Least: true})
	b.report(row{What: what + ", 1 connection: million rows/s", Value: fmt.Sprintf("%.2f", rows*over(alone, perSecond)/1e6),
		Against: fmt.Sprintf("%.2f: naive server", rows*over(theirs, perSecond)/1e6),
		Ratio:   ratios(alone, theirs, func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) })})
	return nil
}

// hundred reports 100 rows in a request.
func (b *bench) hundred(clary, naive *server) error {
	body, err := b.file("hundred.csv", rowsCSV(100))
	if err != nil {
		return err
	}
	spec := load.Spec{Connections: 64, Seconds: 0.6, Warm: 0.2, Requests: post(body, "text/csv", "")}
	const what = "100 rows CSV, 64 connections"
	var ours, theirs []load.Result
	if err := interleave(b.few(), clary.collect(&ours, what, spec), naive.collect(&theirs, what, spec)); err != nil {
		return err
	}
	b.report(row{What: what + ": rows/s", Value: fmt.Sprintf("%.0f", 100*over(ours, perSecond)), Against: fmt.Sprintf("%.0f: naive server", 100*over(theirs, perSecond)),
		Ratio: ratios(ours, theirs, func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) })})
	return nil
}
