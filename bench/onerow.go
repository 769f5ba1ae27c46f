package main

import (
	"fmt"
	"math"
	"path/filepath"
	goruntime "runtime"

	"github.com/claryhq/clary/bench/load"
)

// iris is the model of one row: a random forest of four features.
const iris = "testdata/models/iris"

// A trio is the servers that one row is sent to.
type trio struct {
	b                  *bench
	clary, echo, naive *server
	raw                *rawLoop
}

// oneRow measures requests that cost next to nothing but HTTP.
func oneRow(b *bench) (err error) {
	t := trio{b: b}
	if t.clary, err = b.clary(iris, nil); err != nil {
		return err
	}
	defer t.clary.stop()
	if t.echo, err = b.echo(); err != nil {
		return err
	}
	defer t.echo.stop()
	if t.naive, err = b.naive(iris); err != nil {
		return err
	}
	defer t.naive.stop()
	model := filepath.Join(b.dir, "iris.onnx")
	if err := withoutZipMap(filepath.Join(iris, "model.onnx"), model); err != nil {
		return err
	}
	if t.raw, err = b.raw(model, 1); err != nil {
		return err
	}
	defer t.raw.stop()

	csv, err := b.file("row.csv", []byte("5.1,3.5,1.4,0.2\n"))
	if err != nil {
		return err
	}
	json, err := b.file("row.json", []byte(`{"instances":[[5.1,3.5,1.4,0.2]]}`))
	if err != nil {
		return err
	}
	if err := t.saturate("one row CSV", post(csv, "text/csv", ""), b.rounds, true); err != nil {
		return err
	}
	if err := t.saturate("one row JSON", post(json, "application/json", ""), b.few(), false); err != nil {
		return err
	}
	if err := t.alone(post(csv, "text/csv", "")); err != nil {
		return err
	}
	for _, n := range []int{8, 256} {
		if err := t.connections(n, post(csv, "text/csv", "")); err != nil {
			return err
		}
	}
	return t.limited(post(csv, "text/csv", ""))
}

// saturate sends as much as 64 connections do.
func (t *trio) saturate(what string, requests []load.Request, rounds int, promised bool) error {
	spec := load.Spec{Connections: 64, Seconds: 0.6, Warm: 0.15, Requests: requests}
	var clary, echo, naive []load.Result
	var spans []span
	var raw []rawResult
	ours := t.clary.watched(&spans, t.clary.collect(&clary, what, spec))
	run := func() error { // one row, at the batch that the round before reached
		batch := 1
		if n := len(spans); n > 0 {
			batch = int(math.Round(spans[n-1].batch()))
		}
		return t.raw.collect(&raw, goruntime.NumCPU(), max(batch, 1), 0.15)()
	}
	if err := interleave(rounds, ours, run, t.echo.collect(&echo, what, spec), t.naive.collect(&naive, what, spec)); err != nil {
		return err
	}
	limit := func(l float64) float64 {
		if promised {
			return l
		}
		return 0
	}
	divide := func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) }
	t.b.report(row{What: what + ", 64 connections: requests/s", Value: fmt.Sprintf("%.0f", over(clary, perSecond)),
		Against: fmt.Sprintf("%.0f: chi echo", over(echo, perSecond)), Ratio: ratios(clary, echo, divide), Limit: limit(0.75), Least: true})
	t.b.report(row{What: what + ", 64 connections: requests/s", Value: fmt.Sprintf("%.0f", over(clary, perSecond)),
		Against: fmt.Sprintf("%.0f: naive server", over(naive, perSecond)), Ratio: ratios(clary, naive, divide), Limit: limit(2.7), Least: true})
	each := over(raw, rawResult.cpuEach)
	t.b.report(row{What: what + ", 64 connections: processor time", Value: micro(over(clary, cpuEach)),
		Against: fmt.Sprintf("1.35 x %s (echo) + %s (raw, batch %.1f)", micro(over(echo, cpuEach)), micro(each), over(spans, span.batch)),
		Ratio:   ratios(clary, echo, func(a, b load.Result) float64 { return cpuEach(a) / (1.35*cpuEach(b) + each) }), Limit: limit(1)})
	t.b.report(row{What: what + ": allocations", Value: fmt.Sprintf("%.1f", over(spans, span.allocations)),
		Against: "25", Ratio: over(spans, span.allocations) / 25, Limit: limit(1)})
	t.b.report(row{What: what + ", 64 connections: p50, p99, p99.9", Value: latencies(clary), Against: latencies(echo) + ": chi echo"})
	return nil
}

// alone sends one request at a time.
func (t *trio) alone(requests []load.Request) error {
	spec := load.Spec{Connections: 1, Seconds: 0.3, Warm: 0.1, Requests: requests}
	var clary, echo []load.Result
	var raw []rawResult
	const what = "one row CSV, 1 connection"
	if err := interleave(t.b.rounds, t.clary.collect(&clary, what, spec), t.echo.collect(&echo, what, spec), t.raw.collect(&raw, 1, 1, 0.1)); err != nil {
		return err
	}
	run := over(raw, func(r rawResult) float64 { return r.P50 })
	const more = 15e-6
	t.b.report(row{What: what + ": p50", Value: micro(over(clary, p50)),
		Against: fmt.Sprintf("%s (echo) + %s (Run) + 15 us", micro(over(echo, p50)), micro(run)),
		Ratio:   ratios(clary, echo, func(a, b load.Result) float64 { return p50(a) / (p50(b) + run + more) }), Limit: 1})
	return nil
}

// connections reports another number of connections.
func (t *trio) connections(n int, requests []load.Request) error {
	spec := load.Spec{Connections: n, Seconds: 0.5, Warm: 0.15, Requests: requests}
	var clary, echo []load.Result
	what := fmt.Sprintf("one row CSV, %d connections", n)
	if err := interleave(t.b.few(), t.clary.collect(&clary, what, spec), t.echo.collect(&echo, what, spec)); err != nil {
		return err
	}
	t.b.report(row{What: what + ": requests/s", Value: fmt.Sprintf("%.0f", over(clary, perSecond)),
		Against: fmt.Sprintf("%.0f: chi echo", over(echo, perSecond)),
		Ratio:   ratios(clary, echo, func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) })})
	t.b.report(row{What: what + ": p50, p99, p99.9", Value: latencies(clary), Against: latencies(echo) + ": chi echo"})
	return nil
}

// limited sends half and four fifths of what 64 connections reached.
func (t *trio) limited(requests []load.Request) error {
	peak := 0.0
	for _, b := range t.b.bursts {
		if b.Server == "clary" && b.What == "one row CSV" {
			peak = max(peak, b.Result.PerSecond)
		}
	}
	for _, part := range []float64{0.5, 0.8} {
		spec := load.Spec{Connections: 64, Seconds: 0.8, Warm: 0.2, Rate: part * peak, Requests: requests}
		var clary, echo []load.Result
		what := fmt.Sprintf("one row CSV, %.0f%% of the peak", part*100)
		if err := interleave(t.b.few(), t.clary.collect(&clary, what, spec), t.echo.collect(&echo, what, spec)); err != nil {
			return err
		}
		t.b.report(row{What: what + ": p50, p99, p99.9", Value: latencies(clary), Against: latencies(echo) + ": chi echo, the same rate"})
	}
	return nil
}

// latencies prints the medians of a latency's parts.
func latencies(rs []load.Result) string {
	return fmt.Sprintf("%.0f, %.0f, %.0f us", 1e6*over(rs, p50), 1e6*over(rs, p99), 1e6*over(rs, func(r load.Result) float64 { return r.Latency.P999 }))
}

func p99(r load.Result) float64 { return r.Latency.P99 }
