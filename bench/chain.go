package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// chainModels are the steps of examples/pipeline.
var chainModels = []string{"chain-scale", "chain-classify", "chain-best"}

// chain measures what a pipeline's step in this process costs beside its
// session's Run, and what the whole chain costs over HTTP.
func chain(b *bench) (err error) {
	if err := onnx.Start(b.library); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, onnx.Stop()) }()
	p := artifact.Pipeline{Mode: artifact.Serial}
	members := map[string]pipeline.Member{}
	var sessions []runtime.Session
	for _, name := range chainModels {
		s, err := onnx.Open(context.Background(), filepath.Join("testdata/models", name, "model.onnx"), onnx.Options{IntraOp: 1, InterOp: 1})
		if err != nil {
			return err
		}
		defer s.Close()
		sessions = append(sessions, s)
		p.Steps = append(p.Steps, artifact.PipelineStep{Name: name, Model: name})
		members[name] = pipeline.Member{Model: s, Inputs: s.Inputs(), Outputs: s.Outputs()}
	}
	c, err := pipeline.New(p, pipeline.Options{Handler: handler.Default{}, Models: members})
	if err != nil {
		return err
	}
	linked := c.Linked()
	ctx := handler.WithRequest(context.Background(), &handler.Request{})
	in := []runtime.Tensor{{Name: "measured", Shape: []int{1, 4}, Data: []float32{5.1, 3.5, 1.4, 0.2}}}
	var bare, chained []time.Duration
	const times = 20000
	if err := interleave(b.rounds, timed(&bare, times, func() error { return runAll(ctx, sessions, in) }),
		timed(&chained, times, func() error { _, err := linked.PredictFn(ctx, in, nil); return err })); err != nil {
		return err
	}
	each := ratios(chained, bare, func(a, b time.Duration) float64 { return (a - b).Seconds() * 1e6 / float64(len(sessions)) })
	micro := func(d time.Duration) float64 { return d.Seconds() * 1e6 }
	b.report(row{What: "three models in one process: µs for all, and a step more than its Run", Value: fmt.Sprintf("%.2f", over(chained, micro)),
		Against: fmt.Sprintf("%.2f: the sum of the Runs", over(bare, micro)), Ratio: each, Limit: 2})
	return b.chainOverHTTP()
}

// runAll is the chain by hand.
func runAll(ctx context.Context, sessions []runtime.Session, in []runtime.Tensor) error {
	for _, s := range sessions {
		in[0].Name = s.Inputs()[0].Name
		out, err := s.Run(ctx, in, nil)
		if err != nil {
			return err
		}
		in = out[:1:1]
	}
	return nil
}

// timed appends what one of n calls took.
func timed(to *[]time.Duration, n int, f func() error) func() error {
	return func() error {
		begin := time.Now()
		for range n {
			if err := f(); err != nil {
				return err
			}
		}
		*to = append(*to, time.Since(begin)/time.Duration(n))
		return nil
	}
}

// chainOverHTTP compares a chain with one model: both are one request.
func (b *bench) chainOverHTTP() error {
	whole, err := b.clary("examples/pipeline", nil)
	if err != nil {
		return err
	}
	defer whole.stop()
	one, err := b.clary("testdata/models/chain-classify", nil)
	if err != nil {
		return err
	}
	defer one.stop()
	body, err := b.file("flower.csv", []byte("5.1,3.5,1.4,0.2\n"))
	if err != nil {
		return err
	}
	spec := load.Spec{Connections: 1, Seconds: 0.6, Warm: 0.2, Requests: post(body, "text/csv", "text/csv")}
	var chained, single []load.Result
	const what = "a row through three models over HTTP, 1 connection"
	if err := interleave(b.few(), whole.collect(&chained, what, spec), one.collect(&single, what, spec)); err != nil {
		return err
	}
	b.report(row{What: what + ": requests/s", Value: fmt.Sprintf("%.0f", over(chained, perSecond)), Against: fmt.Sprintf("%.0f: one of them by itself", over(single, perSecond)),
		Ratio: ratios(chained, single, func(a, b load.Result) float64 { return perSecond(a) / perSecond(b) })})
	return nil
}
