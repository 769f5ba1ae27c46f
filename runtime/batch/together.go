package batch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/claryhq/clary/runtime"
)

// A batch is calls that are run together. It is the context of its run, with
// the values of the leader's, and is cancelled when all of its calls are. Most
// runs are over before anybody asks for that.
type batch struct {
	context.Context
	rows  int
	spree bool // the calls are run one after the other: see Session.spree

	mu      sync.Mutex // guards what follows
	members int        // without those that left
	done    chan struct{}
	unwatch func() bool // of the leader's context
}

// Deadline is none: a call's deadline is its own.
func (b *batch) Deadline() (at time.Time, ok bool) { return at, false }

// Done is closed when all calls are cancelled.
func (b *batch) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done == nil {
		b.done = make(chan struct{})
		if b.members == 0 {
			close(b.done)
		} else {
			b.unwatch = context.AfterFunc(b.Context, b.leave)
		}
	}
	return b.done
}

// Err says whether all calls are cancelled.
func (b *batch) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.members == 0 {
		return context.Canceled
	}
	return nil
}

// leave takes one call out.
func (b *batch) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.members--; b.members == 0 && b.done != nil {
		close(b.done)
	}
}

// end ends the watch over the leader's context.
func (b *batch) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unwatch != nil {
		b.unwatch()
	}
}

// A buffer holds a batch's calls, inputs and outputs, for one batch after
// another.
type buffer struct {
	calls   []*call
	in, out []runtime.Tensor
	slabs   []slab // of in
}

func (s *Session) buffer() *buffer {
	buf, ok := s.pool.buffers.Get().(*buffer)
	if !ok {
		buf = new(buffer)
	}
	n := len(s.inputs)
	buf.in = slices.Grow(buf.in[:0], n)[:n]
	buf.slabs = slices.Grow(buf.slabs[:0], n)[:n]
	return buf
}

// give takes a buffer back.
func (s *Session) give(buf *buffer) {
	clear(buf.calls)
	buf.calls = buf.calls[:0]
	s.pool.buffers.Put(buf)
}

// together runs the buffer's calls as one. Where that fails each is run alone:
// one call's fault is not its neighbours'.
func (s *Session) together(b *batch, buf *buffer) {
	defer b.end()
	for i := range s.inputs {
		s.join(&buf.in[i], &buf.slabs[i], buf.calls, i, s.filled(b.rows))
		buf.in[i].Name = s.inputs[i].Name
	}
	began := time.Now()
	out, err := try(b, s.Session, buf.in, buf.out)
	if err == nil {
		buf.out = out
		err = s.split(out, buf.calls, buf.in)
	}
	s.ran(b.rows, time.Since(began), err == nil)
	if err == nil {
		return
	}
	if b.Err() == nil {
		s.pool.mu.Lock()
		s.stats.Alone++
		s.pool.mu.Unlock()
	}
	for _, c := range buf.calls {
		c.out, c.err = try(c.ctx, s.Session, c.in, c.out)
		s.ran(c.rows, 0, false)
	}
}

// inTurn runs the buffer's calls one after the other.
func (s *Session) inTurn(buf *buffer) {
	for _, c := range buf.calls {
		began := time.Now()
		c.out, c.err = try(c.ctx, s.Session, c.in, c.out)
		s.ran(c.rows, time.Since(began), c.err == nil)
	}
}
