package batch_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

func TestOneHotModelDoesNotStarveAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := batch.NewPool(1)
		hot, cold := &model{delay: time.Second}, &model{delay: time.Second}
		a, b := wrap(t, pool, hot, batch.Options{}), wrap(t, pool, cold, batch.Options{})
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { _, _ = a.Run(t.Context(), rows(1, 1), nil) })
		}
		synctest.Wait()
		begin := time.Now()
		if _, err := b.Run(t.Context(), rows(1, 1), nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it waited %v behind another model's queue", took)
		}
		group.Wait()
	})
}

// A model with many callers gets no more of the permits than one with few that
// always have something to run, merged or not.
func TestModelsTakeTurns(t *testing.T) {
	for _, merged := range []int{0, 4} {
		synctest.Test(t, func(t *testing.T) {
			pool := batch.NewPool(2)
			ctx, cancel := context.WithCancel(t.Context()) // with a deadline, the last calls would be refused at once and for ever
			time.AfterFunc(time.Minute, cancel)
			var group sync.WaitGroup
			callers := []int{60, 12, 12} // enough to have some that wait while others run
			models := make([]*model, len(callers))
			for i, n := range callers {
				models[i] = &model{delay: 10 * time.Millisecond}
				s := wrap(t, pool, models[i], batch.Options{Rows: merged})
				for range n {
					group.Go(func() {
						for ctx.Err() == nil {
							if _, err := s.Run(ctx, rows(1, 1), nil); err != nil && ctx.Err() == nil {
								t.Error(err)
							}
						}
					})
				}
			}
			group.Wait()
			all := 0
			for _, m := range models {
				all += len(m.sizes)
			}
			if all < 10000 {
				t.Errorf("%d runs of 10 ms in a minute on two permits", all)
			}
			for i, m := range models {
				if share := float64(len(m.sizes)) / float64(all); share < 0.28 || share > 0.40 {
					t.Errorf("merging up to %d: model %d of %d callers has %.2f of the runs", merged, i, callers[i], share)
				}
			}
		})
	}
}

// No more runs go on than there are permits, whichever models they are of,
// and no more of one model than it may have.
func TestRunsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := batch.NewPool(3)
		var all bounded
		models := []*model{{delay: time.Millisecond}, {delay: 3 * time.Millisecond}, {delay: 2 * time.Millisecond}}
		var group sync.WaitGroup
		for i, m := range models {
			s := wrap(t, pool, all.within(m), batch.Options{Rows: 8 * i, Runs: 2})
			for j := range 20 {
				group.Go(func() {
					for k := range 10 {
						v := float32(100*j + k)
						out, err := s.Run(t.Context(), rows(v, 1), nil)
						if err != nil {
							t.Error(err)
							return
						}
						answered(t, out, v, 1)
					}
				})
			}
		}
		group.Wait()
		if got := all.most.Load(); got != 3 {
			t.Errorf("%d runs of all models at the same time, want 3 at most", got)
		}
		for i, m := range models {
			if m.most != 2 {
				t.Errorf("model %d: %d runs at the same time, want 2 at most", i, m.most)
			}
		}
	})
}

// bounded counts the runs of several models that go on at the same time.
type bounded struct{ now, most atomic.Int64 }

func (b *bounded) within(m *model) runtime.Session { return &counted{m, b} }

type counted struct {
	*model
	all *bounded
}

func (c *counted) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	n := c.all.now.Add(1)
	for most := c.all.most.Load(); n > most && !c.all.most.CompareAndSwap(most, n); most = c.all.most.Load() {
	}
	defer c.all.now.Add(-1)
	return c.model.Run(ctx, in, out)
}
