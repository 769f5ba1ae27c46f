package clary

import (
	"context"
	"sync/atomic"
	"time"
)

// admission bounds the requests that are worked on at the same time and those
// that wait for it. Waiting ones are served in the order in which they came.
type admission struct {
	slots   chan struct{} // holds one token per request being worked on
	queue   int64         // how many may wait
	waiting atomic.Int64
}

func newAdmission(workers, queue int) *admission {
	return &admission{slots: make(chan struct{}, workers), queue: int64(queue)}
}

// open returns an admission that lets in all whom a could hold, for models
// whose sessions bound the runs themselves.
func (a *admission) open() *admission {
	if a.queue == 0 {
		return a
	}
	return newAdmission(cap(a.slots)+int(a.queue), 0)
}

// full reports whether a request that asked now would be refused; a cheap
// answer before a large body is read.
func (a *admission) full() bool {
	return len(a.slots) == cap(a.slots) && a.waiting.Load() >= a.queue
}

// acquire waits for a worker and returns how long that took. It fails at once
// with errBusy when the queue is full, and with ctx's cause when that ends
// first. After nil the caller must release.
func (a *admission) acquire(ctx context.Context) (time.Duration, error) {
	select {
	case a.slots <- struct{}{}:
		return 0, nil
	default:
	}
	if a.waiting.Add(1) > a.queue {
		a.waiting.Add(-1)
		return 0, errBusy
	}
	defer a.waiting.Add(-1)
	began := time.Now()
	select {
	case a.slots <- struct{}{}:
		return time.Since(began), nil
	case <-ctx.Done():
		return time.Since(began), context.Cause(ctx)
	}
}

func (a *admission) release() { <-a.slots }
