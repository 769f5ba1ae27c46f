package batch

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"time"

	"github.com/claryhq/clary/runtime"
)

// ErrLate is a run that could not end before its deadline: it was not begun.
var ErrLate = errors.New("the deadline cannot be met")

// Options say how a session is run.
type Options struct {
	// Rows is how many rows a batch may have; 0 or 1 runs each call alone. Only
	// a session whose rows are independent of each other may have more: see
	// Independent.
	Rows int
	// Fill are numbers of rows, in order: a batch of more than one row is filled
	// up to the next of them with rows that nobody sees, for what runs such
	// numbers best.
	Fill []int
	// Pad lets rows be merged that differ in the open dimensions of these inputs:
	// shorter ones are padded at their ends with the element, a slice of one, and
	// of outputs the dimensions of the same names are cut to each caller's again.
	Pad map[string]any
	// Runs is how many runs of this session may go on at the same time; 0 is as
	// many as the pool has permits.
	Runs int
	// Target is how long a run may take, waiting included, where its context
	// has no earlier deadline; 0 is no limit.
	Target time.Duration
	// Wide opens the same model with all cores for each run. It is used for a
	// lone caller of a model that takes long, and closed when there is none for
	// a while. nil never does.
	Wide func(context.Context) (runtime.Session, error)
}

// A Session is a runtime.Session around another, which it owns. What each run
// looks at stands together: of a thousand models most are cold.
type Session struct {
	runtime.Session
	pool    *Pool
	inputs  []runtime.Info
	padding []any // of each input's rows; nil: none is padded
	options Options

	// The pool's mu guards these.
	waiting []*call
	rows    int // of those that wait
	running int
	listed  bool // in the pool's turns
	lonely  int  // gatherings one after the other to which nobody came
	stats   Stats

	wide elastic

	// And these.
	times table

	outputs []runtime.Info
	cuts    [][]cut // of each output
}

var _ runtime.Session = (*Session)(nil)

// Stats count what a session has done. Waiting is now, all else since it was
// opened.
type Stats struct {
	Runs    int64 // of the model
	Rows    int64 // in them; of a call that is not merged, 1
	Waiting int
	Merged  int64 // calls that were run together with others
	Late    int64 // refused with ErrLate
	Alone   int64 // batches that failed and were run again call by call
	Wide    int64 // runs with all cores
}

// Wrap returns s run within the pool. It fails where rows cannot be padded as
// the options say.
func (p *Pool) Wrap(s runtime.Session, o Options) (*Session, error) {
	if o.Runs == 0 {
		o.Runs = p.total
	}
	b := &Session{Session: s, pool: p, options: o, inputs: s.Inputs(), outputs: s.Outputs()}
	b.wide.init(o.Wide)
	return b, b.pads(o.Pad)
}

// Stats returns what the session has done so far.
func (s *Session) Stats() Stats {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	st := s.stats
	st.Waiting = len(s.waiting)
	return st
}

// Batches reports whether calls are merged.
func (s *Session) Batches() bool { return s.options.Rows > 1 }

// Close closes the session when its runs have ended.
func (s *Session) Close() error { return errors.Join(s.wide.close(), s.Session.Close()) }

// A call is one Run that waits or is being run.
type call struct {
	ctx     context.Context
	due     time.Time // when it must have ended; zero is never
	in, out []runtime.Tensor
	rows    int  // 1 where it is not merged
	merges  bool // with others of the same shapes
	state   state
	wake    chan struct{} // told of each change of state but the first
	batch   *batch        // when taken
	err     error
}

type state uint8

const (
	waits state = iota
	leads       // has a permit, and runs itself and whom it takes along
	taken       // is in another call's batch
)

// Run runs the model on in, alone or in a batch; see runtime.Session. A call
// that is cancelled while it waits returns at once, one that is in a batch
// with others when that has ended.
func (s *Session) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	c := call{ctx: ctx, due: s.due(ctx), in: in, out: out}
	c.rows, c.merges = s.mergeable(in)
	s.pool.mu.Lock()
	if err := s.late(&c); err != nil {
		s.stats.Late++
		s.pool.mu.Unlock()
		return nil, err
	}
	if len(s.pool.turns) == 0 && len(s.waiting) == 0 && s.pool.free > 0 && s.running < s.options.Runs {
		permits := 1
		var session runtime.Session = s.Session
		if s.pool.idle() {
			if wide := s.wide.take(); wide != nil {
				session, permits = wide, s.pool.total
				s.stats.Wide++
			}
		}
		s.pool.free -= permits
		s.running++
		lone := s.running == 1 && s.pool.free == s.pool.total-permits
		gathers := c.merges && permits == 1 && (s.gathers() || s.filled(c.rows) > c.rows)
		s.pool.mu.Unlock()
		if !gathers {
			return s.alone(&c, session, permits, lone)
		}
		w := s.keep(&c)
		defer s.drop(w)
		goruntime.Gosched()
		return s.lead(w, lone)
	}
	w := s.keep(&c)
	defer s.drop(w)
	s.waiting = append(s.waiting, w)
	s.rows += w.rows
	s.list()
	s.pool.mu.Unlock()
	return s.wait(w)
}

// keep puts a call where others may see it.
func (s *Session) keep(c *call) *call {
	w, ok := s.pool.calls.Get().(*call)
	if !ok {
		w = &call{wake: make(chan struct{}, 1)}
	}
	c.wake = w.wake
	*w = *c
	return w
}

// drop takes a call back that nobody else sees any more.
func (s *Session) drop(w *call) {
	*w = call{wake: w.wake}
	s.pool.calls.Put(w)
}

// alone runs one call, which has its permits.
func (s *Session) alone(c *call, session runtime.Session, permits int, lone bool) ([]runtime.Tensor, error) {
	var began time.Time
	if lone {
		began = time.Now()
	}
	out, err := s.run(session, c, permits)
	if permits > 1 {
		s.wide.give()
	}
	if lone && err == nil {
		s.wide.lone(time.Since(began))
	} else {
		s.wide.busy()
	}
	s.pool.release(s, permits)
	return out, err
}

// ran counts a run.
func (s *Session) ran(rows int, took time.Duration, learn bool) {
	s.pool.mu.Lock()
	s.stats.Runs++
	s.stats.Rows += int64(rows)
	if learn {
		s.times.learn(rows, took)
	}
	s.pool.mu.Unlock()
}

// wait waits for a permit, or for whoever takes c along.
func (s *Session) wait(c *call) ([]runtime.Tensor, error) {
	began := time.Now()
	select {
	case <-c.wake:
	case <-c.ctx.Done():
		s.pool.mu.Lock()
		if i := slices.Index(s.waiting, c); c.state == waits && i >= 0 {
			s.leave(i)
			s.pool.mu.Unlock()
			return nil, fmt.Errorf("batch: waiting to run: %w", context.Cause(c.ctx))
		}
		b := c.batch
		s.pool.mu.Unlock()
		if b != nil {
			b.leave()
		}
		<-c.wake
	}
	waited(c.ctx, time.Since(began))
	if c.state == leads {
		return s.lead(c, false)
	}
	return c.out, c.err
}

// leave takes the call at i out of those that wait.
func (s *Session) leave(i int) {
	s.rows -= s.waiting[i].rows
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.unlist()
}

// lead runs c, and with it what waits and fits. It has a permit.
func (s *Session) lead(c *call, lone bool) ([]runtime.Tensor, error) {
	if !c.merges {
		return s.alone(c, s.Session, 1, lone)
	}
	b, buf := s.gather(c)
	if b == nil {
		return s.alone(c, s.Session, 1, lone)
	}
	defer s.give(buf)
	if b.spree {
		s.inTurn(buf)
	} else {
		s.together(b, buf)
	}
	s.pool.release(s, 1)
	s.wide.busy()
	for _, o := range buf.calls[1:] {
		o.wake <- struct{}{}
	}
	return c.out, c.err
}

// gather takes what waits and fits along with c, into a buffer; nil where c can
// as well run by itself.
func (s *Session) gather(c *call) (*batch, *buffer) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if len(s.waiting) == 0 && s.filled(c.rows) == c.rows {
		return nil, nil
	}
	b, most, buf := &batch{Context: c.ctx, rows: c.rows}, s.most(c), s.buffer()
	if n := s.spree(c); n > 1 {
		b.spree, most = true, n*c.rows
	}
	buf.calls = append(buf.calls, c)
	s.waiting = slices.DeleteFunc(s.waiting, func(o *call) bool {
		if b.rows+o.rows > most || !o.merges || !s.sameRows(c.in, o.in) || b.spree && (o.rows != c.rows || !o.due.IsZero()) {
			return false
		}
		b.rows += o.rows
		s.rows -= o.rows
		o.state, o.batch = taken, b
		buf.calls = append(buf.calls, o)
		return true
	})
	s.unlist()
	b.members = len(buf.calls)
	switch {
	case b.spree:
	case b.members > 1:
		s.lonely = 0
		s.stats.Merged += int64(b.members)
	case s.filled(c.rows) == c.rows:
		s.give(buf)
		return nil, nil
	}
	return b, buf
}

// waitKey finds in a context where to note how long a run waited.
type waitKey struct{}

// WaitKey is the key of a *time.Duration in a context, to which the time that
// a run waited for a permit is added.
var WaitKey any = waitKey{}

func waited(ctx context.Context, d time.Duration) {
	if at, ok := ctx.Value(WaitKey).(*time.Duration); ok {
		*at += d
	}
}
