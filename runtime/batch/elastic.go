package batch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/runtime"
)

// When a second session, with all cores for each run, is worth its memory.
const (
	long     = time.Millisecond // a run of fewer gains nothing from more threads
	alikes   = 3                // runs of a lone caller, one after the other
	unused   = time.Minute      // after which it is closed
	retrying = time.Minute      // after an opening that failed
)

// An elastic is the wide session of a Session: opened when a lone caller has
// been seen, closed when there was none for a while.
type elastic struct {
	open  func(context.Context) (runtime.Session, error)
	count atomic.Int32 // runs of a lone caller so far; set under mu

	mu      sync.Mutex // guards what follows
	used    bool       // by a run
	session runtime.Session
	since   time.Time
	opening bool
	failed  time.Time
	closed  bool
	timer   *time.Timer
	cancel  context.CancelFunc
	ended   sync.WaitGroup
}

func (e *elastic) init(open func(context.Context) (runtime.Session, error)) { e.open = open }

// take returns the wide session for one run, nil where there is none.
func (e *elastic) take() runtime.Session {
	if e.open == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil || e.closed {
		return nil
	}
	e.used = true
	return e.session
}

func (e *elastic) give() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.used = false
	e.since = time.Now()
}

// lone counts a run of a caller that was alone, and opens the wide session
// when there were enough.
func (e *elastic) lone(took time.Duration) {
	if e.open == nil || took < long {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.count.Add(1) < alikes || e.session != nil || e.opening || e.closed || time.Since(e.failed) < retrying {
		return
	}
	e.opening = true
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.ended.Go(func() {
		defer cancel()
		session, err := e.open(ctx)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.opening = false
		switch {
		case err != nil:
			e.failed = time.Now() // the narrow one serves
		case e.closed:
			_ = session.Close() // it was never used
		default:
			e.session, e.since = session, time.Now()
			e.timer = time.AfterFunc(unused, e.expire)
		}
	})
}

// busy says that a caller was not alone.
func (e *elastic) busy() {
	if e.count.Load() == 0 {
		return
	}
	e.mu.Lock()
	e.count.Store(0)
	e.mu.Unlock()
}

// expire closes the wide session when it was not used for a while.
func (e *elastic) expire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil || e.closed {
		return
	}
	if left := unused - time.Since(e.since); e.used || left > 0 {
		e.timer.Reset(max(left, time.Second))
		return
	}
	session := e.session
	e.session = nil
	e.count.Store(0)
	e.ended.Go(func() { _ = session.Close() }) // without the lock; what it could say, nobody asked
}

// close ends the opening and closes the session.
func (e *elastic) close() error {
	e.mu.Lock()
	e.closed = true
	if e.cancel != nil {
		e.cancel()
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	session := e.session
	e.session = nil
	e.mu.Unlock()
	e.ended.Wait()
	if session != nil {
		return session.Close()
	}
	return nil
}
