package clary

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
	"go.uber.org/zap"
)

// defaultRows is how many rows a batch may have where nobody says.
const defaultRows = 64

// batched wraps a session that was opened from path: its runs take permits of
// the server's pool, and its rows are merged with those of other requests
// where they are independent.
func (o *opener) batched(ctx context.Context, path string, s runtime.Session) (*batch.Session, error) {
	c := o.artifact.Config.Batching
	options := batch.Options{Runs: o.workers, Target: cmp.Or(c.Target, o.cfg.LatencyTarget)}
	if c.Fill {
		options.Fill = slices.Sorted(slices.Values(o.artifact.Config.Batches))
	}
	var err error
	if options.Pad, err = padding(c.Pad, s.Inputs()); err != nil {
		return nil, err
	}
	mode, rows := cmp.Or(o.cfg.Batching, c.Mode, "auto"), cmp.Or(c.Rows, o.cfg.BatchRows, defaultRows)
	switch mode {
	case "on":
		options.Rows = rows
	case "auto":
		if err := batch.Independent(ctx, s, o.options.IntraOp == 1); err == nil {
			options.Rows = rows
		} else {
			o.log.Info("its requests are not batched", zap.String("path", path), zap.Error(err))
		}
	}
	if !o.cfg.ElasticOff && o.spare && o.options.IntraOp < cores() {
		wide := o.options
		wide.IntraOp, wide.Spin = cores(), true
		wide.Config = map[string]string{"session.force_spinning_stop": "1"}
		for k, v := range o.options.Config {
			wide.Config[k] = v
		}
		options.Wide = func(ctx context.Context) (runtime.Session, error) { return o.openWide(ctx, path, wide) }
	}
	return o.pool.Wrap(s, options)
}

// sessionStats adds up what the sessions of a model have done, of several
// openings one after the other too.
type sessionStats struct {
	mu    sync.Mutex // guards what follows
	lives map[*live]bool
	past  batch.Stats // of those that are closed
}

func (t *sessionStats) join(m *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lives == nil {
		t.lives = map[*live]bool{}
	}
	t.lives[m] = true
}

func (t *sessionStats) leave(m *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lives[m] {
		delete(t.lives, m)
		t.past = m.addStats(t.past)
		t.past.Waiting = 0
	}
}

func (t *sessionStats) sum() batch.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.past
	for m := range t.lives {
		sum = m.addStats(sum)
	}
	return sum
}

func (m *live) addStats(sum batch.Stats) batch.Stats {
	for _, s := range m.sessions {
		st := s.Stats()
		sum.Runs += st.Runs
		sum.Rows += st.Rows
		sum.Wide += st.Wide
		sum.Merged += st.Merged
		sum.Late += st.Late
		sum.Alone += st.Alone
		sum.Waiting += st.Waiting
	}
	return sum
}

// A waiting is a context that is told how long a run waited for its permit.
type waiting struct {
	context.Context
	took time.Duration
}

// Value finds the place for the time before what the context holds.
func (w *waiting) Value(key any) any {
	if key == batch.WaitKey {
		return &w.took
	}
	return w.Context.Value(key)
}
