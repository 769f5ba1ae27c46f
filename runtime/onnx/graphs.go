package onnx

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strconv"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// graphs are a session's CUDA graphs, one for each number of rows that was
// asked for. ONNX Runtime records and replays a graph on the thread that it
// belongs to and for one caller: one goroutine, locked to its thread, runs all
// that the session runs, one after another.
type graphs struct {
	session *Session
	rows    []int

	turn  chan struct{} // held by who runs; guards calls
	calls map[int]*call // by rows

	work  chan *call
	done  chan error
	ended chan struct{}
}

// graphable reports why a model cannot be run as graphs.
func graphable(inputs []runtime.Info) error {
	for _, in := range inputs {
		if in.Unranked || len(in.Shape) > 0 && slices.Contains(in.Shape[1:], -1) {
			return fmt.Errorf("input %q has open dimensions beside its first: CUDA graphs want fixed shapes", in.Name)
		}
	}
	return nil
}

func newGraphs(s *Session, rows []int) *graphs {
	g := &graphs{session: s, rows: rows, turn: make(chan struct{}, 1), calls: map[int]*call{},
		work: make(chan *call), done: make(chan error), ended: make(chan struct{})}
	go func() {
		defer close(g.ended)
		goruntime.LockOSThread()
		for c := range g.work {
			g.done <- s.executeHere(c)
		}
		// Not unlocked: the thread ends, and what CUDA keeps for it too.
	}()
	return g
}

func (g *graphs) close() {
	close(g.work)
	<-g.ended
	for _, c := range g.calls {
		c.free()
	}
}

// run runs what has a graph by it, else with c.
func (g *graphs) run(ctx context.Context, c *call, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("onnx: run: %w", context.Cause(ctx))
	}
	defer func() { <-g.turn }()
	if rows := g.rowsOf(in); slices.Contains(g.rows, rows) {
		return g.replay(ctx, rows, in, out)
	}
	return g.session.run(ctx, c, in, out)
}

// replay runs the graph for so many rows. The first time it runs twice: once to
// learn the outputs' shapes, and once for ONNX Runtime to record it.
func (g *graphs) replay(ctx context.Context, rows int, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	c := g.calls[rows]
	if c == nil {
		var err error
		if c, err = newCall(g.session); err != nil {
			return nil, err
		}
		c.fixed = true
		g.calls[rows] = c
	}
	out, err := g.session.run(ctx, c, in, out)
	if err != nil || bool(c.c.graph) {
		return out, err
	}
	for i := range c.outputs {
		if !c.outputs[i].own {
			return out, nil // it has no shape of its own: there is nothing to record
		}
	}
	if err := c.graph(rows); err != nil {
		return nil, fmt.Errorf("onnx: run: %w", err)
	}
	c.c.graph = true
	return g.session.run(ctx, c, in, out)
}

// graph names the graph that the call's runs are; 0 is none.
func (c *call) graph(rows int) error {
	id := C.CString("-1")
	if rows > 0 {
		C.free(unsafe.Pointer(id))
		id = C.CString(strconv.Itoa(rows))
	}
	defer C.free(unsafe.Pointer(id))
	return take(C.clary_graph(c.c, id))
}

// execute runs c on the graphs' thread.
func (g *graphs) execute(c *call) error {
	g.work <- c
	return <-g.done
}

// rowsOf is the first dimension of all inputs where it is open, 1 where it is
// open of none, and 0 where they do not agree.
func (g *graphs) rowsOf(in []runtime.Tensor) int {
	rows, open := 1, false
	for i := range in {
		at := i
		if in[i].Name != "" {
			at = index(g.session.inputs, in[i].Name)
		}
		if at < 0 || at >= len(g.session.inputs) {
			return 0 // Run says what is wrong
		}
		want := g.session.inputs[at].Shape
		switch {
		case len(want) == 0 || want[0] >= 0:
		case len(in[i].Shape) == 0 || open && in[i].Shape[0] != rows:
			return 0
		default:
			rows, open = in[i].Shape[0], true
		}
	}
	return rows
}
