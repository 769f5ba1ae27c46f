package onnx

import (
	"context"
	"sync"
	"time"
)

// glance is how often runs are looked at: one that is met twice has its
// context watched. Most are over by then, and watching costs as much as a
// small run, as would a timer for each.
const glance = 20 * time.Millisecond

// running are the runs of all sessions that go on, as there is one environment
// for all.
var running struct {
	mu    sync.Mutex // guards what follows, and what is in the cancellers
	runs  []*canceller
	timer *time.Timer // of glances; nil before the first run
	set   bool        // the timer is
}

// A canceller calls stop when a context is cancelled, for one context after
// another. Whoever watches also joins, so that stop never runs on what has
// been freed or serves another request by then.
type canceller struct {
	call  func()
	fired chan struct{}

	ctx     context.Context
	at      int         // where it is in running
	met     bool        // at a glance
	unwatch func() bool // nil until the watch has begun
}

func newCanceller(stop func()) *canceller {
	c := &canceller{fired: make(chan struct{}, 1)}
	c.call = func() { stop(); c.fired <- struct{}{} }
	return c
}

// watch watches ctx until join, if that takes long.
func (c *canceller) watch(ctx context.Context) {
	r := &running
	r.mu.Lock()
	defer r.mu.Unlock()
	c.ctx, c.at, c.met = ctx, len(r.runs), false
	r.runs = append(r.runs, c)
	if r.set {
		return
	}
	r.set = true
	if r.timer == nil {
		r.timer = time.AfterFunc(glance, lookAtRuns)
	} else {
		r.timer.Reset(glance)
	}
}

// lookAtRuns begins the watch of what was there at the last glance, and comes
// back while there are runs.
func lookAtRuns() {
	r := &running
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.runs {
		if c.met && c.unwatch == nil {
			c.unwatch = context.AfterFunc(c.ctx, c.call)
		}
		c.met = true
	}
	if r.set = len(r.runs) > 0; r.set {
		r.timer.Reset(glance)
	}
}

// join ends the watch, waiting for a stop that has begun, and reports whether
// there was one.
func (c *canceller) join() (stopped bool) {
	r := &running
	r.mu.Lock()
	last := len(r.runs) - 1
	r.runs[c.at] = r.runs[last]
	r.runs[c.at].at = c.at
	r.runs[last] = nil
	r.runs = r.runs[:last]
	unwatch := c.unwatch
	c.ctx, c.unwatch = nil, nil
	r.mu.Unlock()
	if unwatch == nil || unwatch() {
		return false
	}
	<-c.fired
	return true
}
