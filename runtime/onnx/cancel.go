package onnx

import (
	"context"
	"sync"
	"time"
)

// patience is how long a run goes before its context is watched: most are over
// by then, and watching costs as much as a small run.
const patience = time.Millisecond

// A canceller calls stop when a context is cancelled, for one context after
// another. Whoever watches also joins, so that stop never runs on what has
// been freed or serves another request by then.
type canceller struct {
	call  func()
	fired chan struct{}
	timer *time.Timer // begins the watch

	mu      sync.Mutex      // guards what follows
	ctx     context.Context // nil while nothing is to be watched
	unwatch func() bool     // nil until the watch has begun
}

func newCanceller(stop func()) *canceller {
	c := &canceller{fired: make(chan struct{}, 1)}
	c.call = func() { stop(); c.fired <- struct{}{} }
	c.timer = time.AfterFunc(time.Hour, c.begin)
	c.timer.Stop()
	return c
}

// watch watches ctx from patience on, until join.
func (c *canceller) watch(ctx context.Context) {
	c.mu.Lock()
	c.ctx = ctx
	c.mu.Unlock()
	c.timer.Reset(patience)
}

// begin may come late, for the context after the one that it was meant for:
// then that one's watch begins early.
func (c *canceller) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil && c.unwatch == nil {
		c.unwatch = context.AfterFunc(c.ctx, c.call)
	}
}

// join ends the watch, waiting for a stop that has begun, and reports whether
// there was one.
func (c *canceller) join() (stopped bool) {
	c.mu.Lock()
	unwatch := c.unwatch
	c.ctx, c.unwatch = nil, nil
	c.mu.Unlock()
	c.timer.Stop()
	if unwatch == nil || unwatch() {
		return false
	}
	<-c.fired
	return true
}
