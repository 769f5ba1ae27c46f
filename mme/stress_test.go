package mme_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/claryhq/clary/mme"
)

// 64 clients load, ask and unload 200 models, half of them found and half
// registered, in a budget for 20; some fail to open. Whoever gets an answer
// gets the right one, and in the end nothing is left.
func TestStress(t *testing.T) {
	span := 3 * time.Second
	if os.Getenv("CLARY_SOAK") != "" {
		span = time.Minute
	}
	s := &source{}
	for i := range 100 {
		var err error
		if i%10 == 9 {
			err = fmt.Errorf("%w: now and then", mme.ErrPassing)
		}
		s.set(fmt.Sprintf("found%d", i), "v1", err)
	}
	for i := range 100 {
		if i%10 == 9 {
			s.set(fmt.Sprintf("model%d", i), "", errors.New("never opens"))
		}
	}
	c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 205}, Patience: 100 * time.Millisecond, Idle: 50 * time.Millisecond})
	end := time.Now().Add(span)
	var clients sync.WaitGroup
	for id := range 64 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(id), 1))
			for time.Now().Before(end) {
				name := fmt.Sprintf("model%d", r.IntN(100))
				switch n := r.IntN(20); {
				case n == 0:
					expect(t, "Unload", c.Unload(t.Context(), name), mme.ErrUnknown)
				case n < 4:
					if err := c.Load(t.Context(), name, ""); err == nil || err.Error() != "never opens" {
						expect(t, "Load", err, mme.ErrLoaded, mme.ErrMemory)
					}
				default:
					want := name
					if n < 14 {
						name = fmt.Sprintf("found%d", r.IntN(100))
						want = name + "v1"
					}
					lease, err := c.Acquire(t.Context(), name)
					if err != nil {
						if err.Error() != "never opens" {
							expect(t, "Acquire", err, mme.ErrUnknown, mme.ErrMemory, mme.ErrPassing)
						}
						continue
					}
					if m := lease.Model(); m.answer != want || m.closed.Load() {
						t.Errorf("%s answered %s, closed: %v", name, m.answer, m.closed.Load())
					}
					lease.Release()
				}
				if held := s.bytes.Load(); held > 205 {
					t.Errorf("%d bytes are open, 205 is the budget", held)
				}
			}
		})
	}
	clients.Wait()
	stats := c.Stats()
	t.Logf("%+v", stats)
	if stats.Loads < 100 || stats.EvictedForMemory < 50 || stats.Unloads < 10 || stats.Hits < 10 {
		t.Errorf("too little happened: %+v", stats)
	}
}

// expect allows no error, and those.
func expect(t *testing.T, what string, err error, allowed ...error) {
	t.Helper()
	for _, a := range allowed {
		if err == nil || errors.Is(err, a) {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}
