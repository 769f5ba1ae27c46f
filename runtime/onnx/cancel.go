package onnx

import (
	"context"
	"sync"
	"time"
)

// patience is how often a run is looked at: one that is met twice has its
// context watched. Most are over by then, and watching costs as much as a
// small run, as would a timer for each.
const patience = 4 * time.Millisecond

// A canceller calls stop when a context is cancelled, for one context after
// another. Whoever watches also joins, so that stop never runs on what has
// been freed or serves another request by then.
type canceller struct {
	call  func()
	fired chan struct{}
	timer *time.Timer // of looks

	mu      sync.Mutex      // guards what follows
	ctx     context.Context // nil while nothing is to be watched
	unwatch func() bool     // nil until the watch has begun
	looking bool            // the timer is set
	count   int             // contexts so far
	met     int             // the count at the last look
}

func newCanceller(stop func()) *canceller {
	c := &canceller{fired: make(chan struct{}, 1)}
	c.call = func() { stop(); c.fired <- struct{}{} }
	c.timer = time.AfterFunc(time.Hour, c.look)
	c.timer.Stop()
	return c
}

// watch watches ctx until join, if that takes long.
func (c *canceller) watch(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = ctx
	c.count++
	if !c.looking {
		c.looking = true
		c.timer.Reset(patience)
	}
}

// look begins the watch of a context that was there at the last look, and
// looks again while there are new ones.
func (c *canceller) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.met == c.count
	c.met = c.count
	switch {
	case !known:
		c.timer.Reset(patience)
		return
	case c.ctx != nil && c.unwatch == nil:
		c.unwatch = context.AfterFunc(c.ctx, c.call)
	}
	c.looking = false
}

// join ends the watch, waiting for a stop that has begun, and reports whether
// there was one.
func (c *canceller) join() (stopped bool) {
	c.mu.Lock()
	unwatch := c.unwatch
	c.ctx, c.unwatch = nil, nil
	c.mu.Unlock()
	if unwatch == nil || unwatch() {
		return false
	}
	<-c.fired
	return true
}
