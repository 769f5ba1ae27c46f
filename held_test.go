package clary

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// No more is held than there is, and everyone comes in.
func TestAHoldBoundsWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hold{most: 100}
		var held, most, in atomic.Int64
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%7*1000)*time.Millisecond)
				defer cancel()
				n, err := h.take(ctx, int64(1+rand.IntN(150)))
				if err != nil {
					return
				}
				in.Add(1)
				now := held.Add(n)
				for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				}
				time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
				held.Add(-n)
				h.give(n)
			})
		}
		group.Wait()
		if most.Load() > 100 || in.Load() < 50 || h.held != 0 || len(h.waiting) != 0 {
			t.Errorf("at most %d held of 100, %d came in; %d held and %d waiting in the end", most.Load(), in.Load(), h.held, len(h.waiting))
		}
	})
}

// Who came first is first, also when a smaller one would fit; one larger than
// all there is gets all; one that goes away keeps nobody waiting.
func TestAHoldServesInTheOrderOfComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hold{most: 100}
		if n, err := h.take(t.Context(), 60); n != 60 || err != nil {
			t.Fatal(n, err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var mu sync.Mutex // guards order
		var order []string
		var group sync.WaitGroup
		ask := func(who string, ctx context.Context, n, want int64) {
			group.Go(func() {
				got, err := h.take(ctx, n)
				mu.Lock()
				defer mu.Unlock()
				if order = append(order, who); got != want || (err == nil) != (want > 0) || err != nil && !errors.Is(err, gone) {
					t.Errorf("%s has %d, %v", who, got, err)
				}
			})
			synctest.Wait()
		}
		ask("whole", ctx, 1000, 0)
		ask("small", t.Context(), 30, 30)
		ask("next", t.Context(), 80, 80)
		if len(order) != 0 {
			t.Fatalf("%v went past the first", order)
		}
		cancel(gone)
		synctest.Wait()
		if len(order) != 2 || h.held != 90 {
			t.Fatalf("%v, %d held", order, h.held)
		}
		h.give(60)
		h.give(30)
		group.Wait()
		if h.give(80); order[2] != "next" || h.held != 0 {
			t.Errorf("%v, %d held", order, h.held)
		}
		if n, err := h.take(t.Context(), 1000); n != 100 || err != nil {
			t.Errorf("all there is: %d, %v", n, err)
		}
	})
}
