package main

import (
	"fmt"

	"github.com/claryhq/clary/bench/load"
)

// large reports a body of 20 MB that nothing is computed from.
func large(b *bench) error {
	clary, err := b.clary("testdata/models/identity-float32", nil)
	if err != nil {
		return err
	}
	defer clary.stop()
	echo, err := b.echo()
	if err != nil {
		return err
	}
	defer echo.stop()
	const rows = 20 << 20 / 12
	body, err := b.file("large.npy", npy([]int{rows, 3}, numbers(3*rows)))
	if err != nil {
		return err
	}
	spec := load.Spec{Connections: 2, Seconds: 1, Warm: 0.3, Requests: post(body, "application/x-npy", "application/x-npy")}
	const what = "20 MB of NPY through an identity, 2 connections"
	var ours, floor []load.Result
	if err := interleave(b.few(), clary.collect(&ours, what, spec), echo.collect(&floor, what, spec)); err != nil {
		return err
	}
	b.report(row{What: what + ": MB/s", Value: fmt.Sprintf("%.0f", 20*over(ours, perSecond)), Against: fmt.Sprintf("%.0f: chi echo", 20*over(floor, perSecond)),
		Ratio: ratios(ours, floor, func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) })})
	return nil
}
