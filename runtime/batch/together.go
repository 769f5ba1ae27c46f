package batch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/runtime"
)

// A batch is calls that are run together. Its run is cancelled when all of
// them are.
type batch struct {
	members atomic.Int64
	cancel  atomic.Pointer[context.CancelFunc]
}

// leave takes one member out.
func (b *batch) leave() {
	if b.members.Add(-1) == 0 {
		if cancel := b.cancel.Load(); cancel != nil {
			(*cancel)()
		}
	}
}

// stopped reports whether all members have left.
func (b *batch) stopped() bool { return b.members.Load() <= 0 }

// A buffer holds a batch's inputs and outputs, for one batch after another.
type buffer struct {
	in, out []runtime.Tensor
	slabs   []slab // of in
}

// together runs the calls as one. Where that fails each is run alone: one
// call's fault is not its neighbours'.
func (s *Session) together(b *batch, calls []*call, rows int) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(calls[0].ctx))
	defer cancel()
	b.cancel.Store(&cancel)
	b.members.Add(int64(len(calls)))
	if b.stopped() {
		cancel()
	}
	defer context.AfterFunc(calls[0].ctx, b.leave)()

	buf, _ := s.buffers.Get().(*buffer)
	if buf == nil {
		buf = &buffer{in: make([]runtime.Tensor, len(s.inputs)), slabs: make([]slab, len(s.inputs))}
	}
	defer s.buffers.Put(buf)
	for i := range s.inputs {
		s.join(&buf.in[i], &buf.slabs[i], calls, i, s.filled(rows))
		buf.in[i].Name = s.inputs[i].Name
	}
	began := time.Now()
	out, err := try(ctx, s.Session, buf.in, buf.out)
	if err == nil {
		buf.out = out
		err = s.split(out, calls, buf.in)
	}
	s.ran(rows, time.Since(began), err == nil)
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		s.pool.mu.Lock()
		s.stats.Alone++
		s.pool.mu.Unlock()
	}
	for _, c := range calls {
		c.out, c.err = try(c.ctx, s.Session, c.in, c.out)
		s.ran(c.rows, 0, false)
	}
}
