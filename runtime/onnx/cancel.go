package onnx

import "context"

// A canceller calls stop when a context is cancelled, for one context after
// another. Whoever watches also joins, so that stop never runs on what has
// been freed or serves another request by then.
type canceller struct {
	call  func()
	fired chan struct{}
}

func newCanceller(stop func()) canceller {
	fired := make(chan struct{}, 1)
	return canceller{call: func() { stop(); fired <- struct{}{} }, fired: fired}
}

// watch begins to watch ctx; what it returns goes to join. A context that
// cannot be cancelled costs nothing.
func (c *canceller) watch(ctx context.Context) (unwatch func() bool) {
	if ctx.Done() == nil {
		return nil
	}
	return context.AfterFunc(ctx, c.call)
}

// join ends the watch, waiting for a stop that has begun, and reports whether
// there was one.
func (c *canceller) join(unwatch func() bool) (stopped bool) {
	if unwatch == nil || unwatch() {
		return false
	}
	<-c.fired
	return true
}
