// Package batch merges the rows of concurrent runs of a model into one, and
// bounds how many runs there are.
//
// A [Pool] gives out the permits to run, fairly between models. A [Session]
// wraps a runtime.Session: a caller that finds a permit free runs at once and
// alone, so an idle server adds nothing; those that come while all are taken
// wait, and the first of them to get a permit takes the rows of the others
// along. There is no delay that waits for company, and no goroutine of its
// own: the callers run the batches.
package batch

import (
	goruntime "runtime"
	"slices"
	"sync"
)

// A Pool is the permits to run, and memory that runs of any session use. mu
// guards the first three fields, and what sessions keep about their waiting
// callers: nothing long is done under it.
type Pool struct {
	mu    sync.Mutex
	total int
	free  int
	turns []*Session // those with callers that wait and may run, in the order of their turns

	calls   sync.Pool // of *call, none of which has anything in wake
	buffers sync.Pool // of *buffer
}

// NewPool returns a pool that lets so many runs go on at the same time.
func NewPool(runs int) *Pool { return &Pool{total: runs, free: runs} }

// idle reports whether nobody runs and nobody waits.
func (p *Pool) idle() bool { return p.free == p.total && len(p.turns) == 0 }

// release gives back n permits of s, and hands them to who waits: one model
// after the other.
func (p *Pool) release(s *Session, n int) {
	p.mu.Lock()
	woken := false
	p.free += n
	s.running--
	s.list()
	for p.free > 0 && len(p.turns) > 0 {
		next := p.turns[0]
		p.turns = p.turns[1:]
		next.listed = false
		first := next.waiting[0]
		next.waiting = next.waiting[1:]
		next.rows -= first.rows
		p.free--
		next.running++
		first.state = leads
		first.wake <- struct{}{}
		woken = true
		next.list()
	}
	p.mu.Unlock()
	if woken {
		// The cores are for the model first: what is left to do for the calls
		// that have their answer can wait until the next run has begun.
		goruntime.Gosched()
	}
}

// unlist takes s out of the line when nobody of it waits any more.
func (s *Session) unlist() {
	if s.listed && len(s.waiting) == 0 {
		s.listed = false
		s.pool.turns = slices.DeleteFunc(s.pool.turns, func(t *Session) bool { return t == s })
	}
}

// list puts s in line for a permit if it has callers that may run.
func (s *Session) list() {
	if !s.listed && len(s.waiting) > 0 && s.running < s.options.Runs {
		s.listed = true
		s.pool.turns = append(s.pool.turns, s)
	}
}
