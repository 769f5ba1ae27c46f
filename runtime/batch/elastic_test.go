package batch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

func TestALoneCallerGetsAllCoresAndOthersTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		narrow, wide := &model{delay: 8 * time.Millisecond}, &model{delay: 4 * time.Millisecond}
		opened := 0
		s := wrap(t, batch.NewPool(2), narrow, batch.Options{Wide: func(context.Context) (runtime.Session, error) { opened++; return wide, nil }})
		for range 10 {
			if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if opened != 1 || len(wide.sizes) == 0 {
			t.Errorf("opened %d times, used by %d runs", opened, len(wide.sizes))
		}
		before := len(wide.sizes)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 10 {
					if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if n := len(wide.sizes) - before; n > 4 {
			t.Errorf("%d of 80 runs of 8 callers were wide", n)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if !wide.closed.Load() {
			t.Error("the wide session is open after minutes without a caller")
		}
		if err := s.Close(); err != nil || !narrow.closed.Load() {
			t.Errorf("Close: %v, closed %v", err, narrow.closed.Load())
		}
	})
}

// An opening is what a Session's Wide does, and how often.
type opening struct {
	wide  *model
	err   error
	hold  chan struct{} // nil, or what opening receives from
	count int
}

func (o *opening) open(ctx context.Context) (runtime.Session, error) {
	o.count++
	if o.hold != nil {
		select {
		case <-o.hold:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if o.err != nil {
		return nil, o.err
	}
	return o.wide, nil
}

// alone runs a session so many times, one run after the other.
func alone(t *testing.T, s *batch.Session, times int) {
	t.Helper()
	for range times {
		if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
}

func TestASmallModelNeverGetsAWideSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opening{wide: &model{}}
		s := wrap(t, batch.NewPool(2), &model{delay: 900 * time.Microsecond}, batch.Options{Wide: o.open})
		alone(t, s, 100)
		if o.count != 0 {
			t.Errorf("opened %d times for runs of 0.9 ms", o.count)
		}
	})
}

func TestAWideSessionIsClosedAfterAMinuteWithoutUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opening{wide: &model{delay: time.Millisecond}}
		s := wrap(t, batch.NewPool(2), &model{delay: 8 * time.Millisecond}, batch.Options{Wide: o.open})
		alone(t, s, 4)
		for range 5 {
			time.Sleep(59 * time.Second)
			alone(t, s, 1)
			if o.wide.closed.Load() {
				t.Fatal("closed while it was used every 59 s")
			}
		}
		if got := s.Stats().Wide; got != 6 {
			t.Errorf("%d wide runs, want 6", got)
		}
		time.Sleep(62 * time.Second)
		synctest.Wait()
		if !o.wide.closed.Load() {
			t.Error("open after a minute without use")
		}
		o.wide = &model{delay: time.Millisecond}
		alone(t, s, 4)
		if o.count != 2 || len(o.wide.sizes) != 1 {
			t.Errorf("a lone caller again: opened %d times in all, %d wide runs", o.count, len(o.wide.sizes))
		}
	})
}

func TestWhereNoWideSessionCanBeHadTheNarrowOneServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opening{err: errors.New("no memory")}
		s := wrap(t, batch.NewPool(2), &model{delay: 8 * time.Millisecond}, batch.Options{Wide: o.open})
		alone(t, s, 100)
		if o.count != 1 {
			t.Errorf("tried %d times within a second", o.count)
		}
		time.Sleep(time.Minute)
		alone(t, s, 4)
		if o.count != 2 {
			t.Errorf("tried %d times within a minute, want once more after it", o.count)
		}
	})
}

// While a wide session opens the narrow one serves, and closing does not wait
// for what can be ended.
func TestOpeningAWideSessionHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opening{wide: &model{}, hold: make(chan struct{})}
		narrow := &model{delay: 8 * time.Millisecond}
		s := wrap(t, batch.NewPool(2), narrow, batch.Options{Wide: o.open})
		alone(t, s, 10)
		if o.count != 1 || len(narrow.sizes) != 10 {
			t.Errorf("opening %d times, %d narrow runs", o.count, len(narrow.sizes))
		}
		if err := s.Close(); err != nil || !narrow.closed.Load() {
			t.Errorf("Close: %v, closed %v", err, narrow.closed.Load())
		}
	})
}

// A wide run takes every permit: nobody else's threads are beside its own.
func TestAWideRunIsTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opening{wide: &model{}}
		pool := batch.NewPool(4)
		other := &model{}
		s, beside := wrap(t, pool, &model{delay: 8 * time.Millisecond}, batch.Options{Wide: o.open}), wrap(t, pool, other, batch.Options{})
		alone(t, s, 3)
		o.wide.hold = make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { _, _ = s.Run(t.Context(), rows(1, 1), nil) })
		synctest.Wait()
		for range 3 {
			group.Go(func() { _, _ = beside.Run(t.Context(), rows(1, 1), nil) })
		}
		synctest.Wait()
		if o.wide.now != 1 || len(other.sizes) != 0 {
			t.Errorf("%d wide runs go on, with %d of another model beside", o.wide.now, len(other.sizes))
		}
		close(o.wide.hold)
		group.Wait()
		if len(other.sizes) != 3 {
			t.Errorf("%d runs of the other model after it, want 3", len(other.sizes))
		}
	})
}
