package batch_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

func TestACallThatCannotMeetItsDeadlineIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: 10 * time.Millisecond}
		s := wrap(t, batch.NewPool(1), m, batch.Options{Target: 35 * time.Millisecond})
		for range 8 {
			if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
				t.Fatal(err)
			}
		}
		var group sync.WaitGroup
		var served, late atomic.Int64
		for range 10 {
			group.Go(func() {
				begin := time.Now()
				_, err := s.Run(t.Context(), rows(1, 1), nil)
				switch {
				case errors.Is(err, batch.ErrLate):
					late.Add(1)
					if time.Since(begin) > 0 {
						t.Errorf("refused after %v", time.Since(begin))
					}
				case err != nil:
					t.Error(err)
				default:
					served.Add(1)
					if took := time.Since(begin); took > 40*time.Millisecond {
						t.Errorf("served after %v", took)
					}
				}
			})
			synctest.Wait()
		}
		group.Wait()
		if served.Load() < 3 || late.Load() < 5 {
			t.Errorf("%d served, %d refused", served.Load(), late.Load())
		}
		if got := s.Stats().Late; got != late.Load() {
			t.Errorf("%d counted as late, %d were", got, late.Load())
		}
	})
}

func TestLongRunsAreMergedOnlyWhereThatIsFaster(t *testing.T) {
	for name, c := range map[string]struct {
		callers     int
		second      time.Duration // what each row after the first takes
		least, most int           // runs of two rows
	}{
		"a few callers":                {4, 30 * time.Millisecond, 0, 8},
		"a crowd":                      {8, 30 * time.Millisecond, 60, 80},
		"a crowd, and two rows slower": {8, 40 * time.Millisecond, 0, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &linear{first: 30 * time.Millisecond, second: c.second}
				s := wrap(t, batch.NewPool(1), slow, batch.Options{Rows: 64})
				var group sync.WaitGroup
				for range c.callers {
					group.Go(func() {
						for range 20 {
							if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
								t.Error(err)
							}
						}
					})
				}
				group.Wait()
				merged := 0
				for _, n := range slow.sizes {
					if n > 2 {
						t.Errorf("a run of %d rows, which cost as much as alone", n)
					}
					if n == 2 {
						merged++
					}
				}
				if merged < c.least || merged > c.most {
					t.Errorf("%d runs of two rows, want %d to %d", merged, c.least, c.most)
				}
			})
		})
	}
}

// In a crowd of runs of some milliseconds whoever has the permit runs four of
// them, one after the other, and their callers are answered together; unless
// another model waits, or somebody's time is limited.
func TestACrowdIsRunInSprees(t *testing.T) {
	for name, c := range map[string]struct {
		callers  int
		deadline time.Duration
		other    bool // a call of another model waits too
		together int  // answers at the same time, at the most
	}{
		"a few callers":   {4, 0, false, 1},
		"a crowd":         {9, 0, false, 4},
		"with deadlines":  {9, time.Second, false, 1},
		"beside a second": {9, 0, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := batch.NewPool(1)
				s := wrap(t, pool, &linear{first: 7 * time.Millisecond, second: 9 * time.Millisecond}, batch.Options{Rows: 64})
				other := wrap(t, pool, &model{delay: time.Millisecond}, batch.Options{})
				for range 40 { // what its runs take is known then, of two rows too
					var group sync.WaitGroup
					for range 3 { // of whom two wait for the first
						group.Go(func() { s.Run(t.Context(), rows(1, 1), nil) })
					}
					group.Wait()
				}
				var mu sync.Mutex
				answers := map[time.Time]int{}
				var group sync.WaitGroup
				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				done := make(chan struct{})
				if c.other {
					for range 2 {
						group.Go(func() {
							for {
								select {
								case <-done:
									return
								default:
									other.Run(t.Context(), rows(1, 1), nil)
								}
							}
						})
					}
				}
				var callers sync.WaitGroup
				for i := range c.callers {
					callers.Go(func() {
						out, err := s.Run(ctx, rows(float32(i), 1), nil)
						if err != nil {
							t.Error(err)
							return
						}
						answered(t, out, float32(i), 1)
						mu.Lock()
						answers[time.Now()]++
						mu.Unlock()
					})
				}
				callers.Wait()
				close(done)
				group.Wait()
				most := 0
				for _, n := range answers {
					most = max(most, n)
				}
				if most != c.together {
					t.Errorf("%d answers at once, want %d: %v", most, c.together, answers)
				}
			})
		})
	}
}

// linear is a model whose rows hardly gain from company.
type linear struct {
	model
	first, second time.Duration // what the first row takes, and each other
}

func (l *linear) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	time.Sleep(l.first + l.second*time.Duration(in[0].Shape[0]-1))
	return l.model.Run(ctx, in, out)
}

// The context's deadline counts as the target does, the earlier of them.
func TestADeadlineCountsAsATargetDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wrap(t, batch.NewPool(1), &model{delay: 10 * time.Millisecond}, batch.Options{})
		for range 8 {
			if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
				t.Fatal(err)
			}
		}
		for left, late := range map[time.Duration]bool{5 * time.Millisecond: true, 15 * time.Millisecond: false} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			if _, err := s.Run(ctx, rows(1, 1), nil); errors.Is(err, batch.ErrLate) != late {
				t.Errorf("%v left: %v", left, err)
			}
			cancel()
		}
	})
}

// What a model took when it was cold, or in a slow spell, does not shut it off:
// where nothing else runs, a call is tried now and then.
func TestASlowSpellIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: time.Second}
		s := wrap(t, batch.NewPool(1), m, batch.Options{Target: 50 * time.Millisecond})
		served := func(calls int) (n int) {
			for range calls {
				if _, err := s.Run(t.Context(), rows(1, 1), nil); err == nil {
					n++
				} else if !errors.Is(err, batch.ErrLate) {
					t.Fatal(err)
				}
			}
			return n
		}
		if served(1) != 1 {
			t.Fatal("the first call was refused")
		}
		if n := served(200); n > 20 {
			t.Errorf("%d of 200 calls were run that could not be in time", n)
		}
		m.delay = 10 * time.Millisecond
		if n := served(200); n < 100 {
			t.Errorf("%d of 200 calls were run once they took a fifth of the target", n)
		}
	})
}

// Time spent waiting is part of the target: a batch is made as small as what
// is left of it wants.
func TestABatchIsAsSmallAsItsTargetWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 1 ms and 100 us a row: 64 rows take 7.4 ms.
		m := &affine{base: time.Millisecond, each: 100 * time.Microsecond}
		s := wrap(t, batch.NewPool(1), m, batch.Options{Rows: 64, Target: 20 * time.Millisecond})
		for n := 1; n <= 32; n *= 2 { // it learns what they take
			for range 8 {
				if _, err := s.Run(t.Context(), rows(1, n), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		m.hold, m.sizes = make(chan struct{}), nil
		go func() { _, _ = s.Run(t.Context(), rows(1, 1), nil) }()
		synctest.Wait()
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() {
				if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		time.Sleep(16 * time.Millisecond) // 4 ms are left; 32 rows take 4.2
		close(m.hold)
		group.Wait()
		if len(m.sizes) < 2 || m.sizes[1] > 16 {
			t.Errorf("runs of %v rows: the second had 4 ms", m.sizes)
		}
	})
}

// affine is a model whose runs cost something, and each row more.
type affine struct {
	model
	base, each time.Duration
}

func (a *affine) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	time.Sleep(a.base + a.each*time.Duration(in[0].Shape[0]))
	return a.model.Run(ctx, in, out)
}
