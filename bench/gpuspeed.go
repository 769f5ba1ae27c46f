package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// gpuSpeed measures the networks in every precision: in this process beside the
// raw loop with the same settings, and through HTTP.
func gpuSpeed(b *bench, g *gpuSettings) error {
	precisions := []precision{{name: "float32"}, {name: "TF32", tf32: true}, {name: "float16", float16: true}, {name: "float32, CUDA graphs", graphs: true},
		{name: "float32, without bindings", unbound: true}, {name: "TensorRT float16", tensorRT: true}}
	var failed []error
	for _, n := range g.networks {
		for _, p := range precisions {
			if !g.cuda && (p.tf32 || p.graphs || p.unbound || p.tensorRT) {
				b.skipped(n.Name + " " + p.name)
				continue
			}
			if err := b.gpuNetwork(g, n, p); errors.Is(err, onnx.ErrProvider) && p.tensorRT {
				b.report(row{What: n.Name + " " + p.name, Value: "its libraries are not there: " + err.Error()})
			} else if err != nil {
				failed = append(failed, fmt.Errorf("%s %s: %w", n.Name, p.name, err))
			}
		}
	}
	return errors.Join(failed...)
}

// A gpuCase is one network in one precision.
type gpuCase struct {
	b    *bench
	g    *gpuSettings
	n    networks.Network
	p    precision
	dir  string
	what string
	loop *rawLoop
}

func (b *bench) gpuNetwork(g *gpuSettings, n networks.Network, p precision) error {
	dir, err := n.Make(b.cache, networks.Options{Float16: p.float16})
	if err != nil {
		return err
	}
	c := &gpuCase{b: b, g: g, n: n, p: p, dir: dir, what: n.Name + " " + p.name}
	s, err := onnx.Open(context.Background(), filepath.Join(dir, "model.onnx"), g.options(p, g.batches...))
	if err != nil {
		return err
	}
	defer s.Close()
	if c.loop, err = b.raw(filepath.Join(dir, "model.onnx"), 1, g.raw(p)...); err != nil {
		return err
	}
	defer c.loop.stop()
	best := map[int]float64{}
	for _, batch := range g.batches {
		if best[batch], err = c.inProcess(s, batch); err != nil {
			return err
		}
	}
	if p.graphs || p.unbound {
		return nil // in process is enough to see the difference
	}
	if err := c.overlap(s); err != nil {
		return err
	}
	return c.throughHTTP(best)
}

// inProcess reports latency at batch 1 and throughput, beside the raw loop's on
// as many threads as give it the most, and returns what that is.
func (c *gpuCase) inProcess(s *onnx.Session, batch int) (best float64, err error) {
	seconds := c.g.seconds
	raw, err := c.loop.best([]int{1, 2, 4}, []int{batch}, seconds/4)
	if err != nil {
		return 0, err
	}
	measure := func(into *[]rawResult, threads int) func() error {
		return func() error {
			r, err := c.runs(s, threads, batch, seconds)
			*into = append(*into, r)
			return err
		}
	}
	if batch == 1 {
		var ours, loop []rawResult
		if err := interleave(c.b.rounds, measure(&ours, 1), c.loop.collect(&loop, 1, 1, seconds)); err != nil {
			return 0, err
		}
		p50, p99 := func(r rawResult) float64 { return r.P50 }, func(r rawResult) float64 { return r.P99 }
		c.b.report(row{What: c.what + " in process, batch 1: p50, p99", Value: milli(over(ours, p50)) + ", " + milli(over(ours, p99)),
			Against: milli(over(loop, p50)) + ", " + milli(over(loop, p99)) + ": raw", Ratio: ratios(ours, loop, func(a, b rawResult) float64 { return a.P50 / b.P50 })})
	}
	var ours, loop []rawResult
	if err := interleave(c.b.rounds, measure(&ours, raw.Threads), c.loop.collect(&loop, raw.Threads, batch, seconds)); err != nil {
		return 0, err
	}
	r := row{What: fmt.Sprintf("%s in process, batch %d: images/s", c.what, batch), Value: fmt.Sprintf("%.0f", over(ours, rawResult.rowsPerSecond)),
		Against: fmt.Sprintf("%.0f: raw, %d threads", over(loop, rawResult.rowsPerSecond), raw.Threads),
		Ratio:   ratios(ours, loop, func(a, b rawResult) float64 { return a.rowsPerSecond() / b.rowsPerSecond() }), Least: true}
	if !c.p.unbound {
		r.Limit = c.g.limit(0.95)
	}
	if c.g.cuda && !c.p.unbound && !s.Bound() {
		r.Against += "; NOT BOUND"
	}
	c.b.report(r)
	return over(loop, rawResult.rowsPerSecond), nil
}

// input makes a batch of images.
func (c *gpuCase) input(batch int) ([]runtime.Tensor, error) {
	shape := append([]int{batch}, shapeOf(c.n)...)
	n, err := runtime.Elements(shape)
	if err != nil {
		return nil, err
	}
	t := runtime.Tensor{Shape: shape, Data: any(unit(n))}
	if c.p.float16 {
		half := make([]runtime.F16, n)
		for i, v := range t.Data.([]float32) {
			half[i] = runtime.ToF16(float64(v))
		}
		t.Data = half
	}
	return []runtime.Tensor{t}, nil
}

// runs runs the session on threads at once for so long.
func (c *gpuCase) runs(s *onnx.Session, threads, batch int, seconds float64) (rawResult, error) {
	in, err := c.input(batch)
	if err != nil {
		return rawResult{}, err
	}
	took, errs := make([][]float64, threads), make([]error, threads)
	var warm, all sync.WaitGroup
	warm.Add(threads)
	var begin time.Time
	started := make(chan struct{})
	for i := range threads {
		all.Go(func() {
			out, err := s.Run(context.Background(), in, nil)
			warm.Done()
			<-started
			for last := begin; err == nil && last.Sub(begin).Seconds() < seconds; {
				out, err = s.Run(context.Background(), in, out)
				now := time.Now()
				took[i], last = append(took[i], now.Sub(last).Seconds()), now
			}
			errs[i] = err
		})
	}
	warm.Wait()
	begin = time.Now()
	close(started)
	all.Wait()
	r := rawResult{Seconds: time.Since(begin).Seconds(), Threads: threads, Batch: batch}
	each := slices.Sorted(slices.Values(slices.Concat(took...)))
	if r.Runs = len(each); r.Runs > 0 {
		r.P50, r.P99 = each[len(each)/2], each[len(each)*99/100]
	}
	return r, errors.Join(errs...)
}

// overlap reports whether concurrent runs of one session overlap on the device,
// and whether two sessions, each with streams of its own, do so more.
func (c *gpuCase) overlap(s *onnx.Session) error {
	second, err := onnx.Open(context.Background(), filepath.Join(c.dir, "model.onnx"), c.g.options(c.p))
	if err != nil {
		return err
	}
	defer second.Close()
	one, err := c.runs(s, 1, 1, c.g.seconds)
	if err != nil {
		return err
	}
	four, err := c.runs(s, 4, 1, c.g.seconds)
	if err != nil {
		return err
	}
	var other rawResult
	failed := make(chan error, 1)
	go func() {
		var err error
		other, err = c.runs(second, 2, 1, c.g.seconds)
		failed <- err
	}()
	half, err := c.runs(s, 2, 1, c.g.seconds)
	if err = errors.Join(err, <-failed); err != nil {
		return err
	}
	alone := one.rowsPerSecond()
	for _, r := range []struct {
		what string
		rows float64
	}{{"four runs at once", four.rowsPerSecond()}, {"four runs at once, of two sessions (streams: 2)", half.rowsPerSecond() + other.rowsPerSecond()}} {
		c.b.report(row{What: c.what + " in process, batch 1, " + r.what + ": images/s", Value: fmt.Sprintf("%.0f", r.rows),
			Against: fmt.Sprintf("%.0f: one at a time", alone), Ratio: r.rows / alone})
	}
	return nil
}

// throughHTTP sends batches as NPY and as JSON, each at the concurrency that
// gives the most.
func (c *gpuCase) throughHTTP(best map[int]float64) error {
	clary, err := c.b.clary(c.dir, c.g.env(c.p))
	if err != nil {
		return err
	}
	defer clary.stop()
	for _, batch := range c.g.batches {
		in, err := c.input(batch)
		if err != nil {
			return err
		}
		values := unit(runtime.Len(in[0].Data))
		name := fmt.Sprintf("%s-%d", c.n.Name, batch)
		binary, err := c.b.file(name+".npy", npyOf(in[0]))
		if err != nil {
			return err
		}
		text, err := c.b.file(name+".json", instances(in[0].Shape, values))
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%s through HTTP, batch %d", c.what, batch)
		if err := c.sent(clary, what+", NPY", batch, best[batch], c.g.limit(0.90), c.g.clients, post(binary, "application/x-npy", "application/x-npy")); err != nil {
			return err
		}
		connections := c.g.clients
		if batch > 8 {
			connections = connections[:2] // a hundred megabytes a body
		}
		if err := c.sent(clary, what+", JSON", batch, best[batch], 0, connections, post(text, "application/json", "")); err != nil {
			return err
		}
	}
	return nil
}

func (c *gpuCase) sent(clary *server, what string, batch int, raw, limit float64, connections []int, requests []load.Request) error {
	if batch > 8 {
		connections = connections[:min(3, len(connections))] // of bodies of tens of megabytes
	}
	var alone, best load.Result
	at, most := 0, 0.0
	for _, n := range connections {
		r, err := clary.burst(fmt.Sprintf("%s, %d connections", what, n), load.Spec{Connections: n, Seconds: c.g.seconds, Warm: c.g.seconds / 4, Requests: requests})
		if err != nil {
			return err
		}
		if n == 1 {
			alone = r
		}
		if r.PerSecond*float64(batch) >= most {
			best, at, most = r, n, r.PerSecond*float64(batch)
		}
	}
	c.b.report(row{What: what + ": images/s", Value: fmt.Sprintf("%.0f, %d connections; p50 %s, p99 %s", most, at, milli(best.Latency.P50), milli(best.Latency.P99)),
		Against: fmt.Sprintf("%.0f: raw; alone p50 %s, p99 %s", raw, milli(alone.Latency.P50), milli(alone.Latency.P99)), Ratio: most / raw, Limit: limit, Least: limit > 0})
	return nil
}

// npyOf is a tensor of float32 or float16 as NPY.
func npyOf(t runtime.Tensor) []byte {
	values, ok := t.Data.([]float32)
	if ok {
		return npy(t.Shape, values)
	}
	head := npy(t.Shape, nil)
	return append([]byte(strings.Replace(string(head), "<f4", "<f2", 1)), runtime.Bytes(t.Data)...)
}
