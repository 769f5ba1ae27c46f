package mme_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/mme"
)

func TestFoundModelsAreRegisteredByUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		s.set("team/a", "1", nil)
		c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 29}, Recheck: 10 * time.Second, Patience: time.Second})
		for range 3 {
			if got := ask(t, c, "team/a"); got != "team/a1" {
				t.Error(got)
			}
		}
		if s.finds.Load() != 1 || s.opens.Load() != 1 {
			t.Errorf("%d finds, %d openings", s.finds.Load(), s.opens.Load())
		}
		if _, err := c.Acquire(t.Context(), "other"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("%v", err)
		}
		if err := c.Load(t.Context(), "team/a", ""); !errors.Is(err, mme.ErrLoaded) {
			t.Errorf("%v", err)
		}

		old, err := c.Acquire(t.Context(), "team/a")
		if err != nil {
			t.Fatal(err)
		}
		s.set("team/a", "2", nil)
		time.Sleep(11 * time.Second)
		if got := ask(t, c, "team/a"); got != "team/a1" { // and the question is asked
			t.Error(got)
		}
		synctest.Wait()
		if got := ask(t, c, "team/a"); got != "team/a2" {
			t.Error(got)
		}
		if old.Model().closed.Load() || old.Model().answer != "team/a1" {
			t.Error("the old one does not serve its lease")
		}
		old.Release()
		synctest.Wait()
		if s.open.Load() != 1 || c.Stats().EvictedChanged != 1 {
			t.Errorf("%d open, %+v", s.open.Load(), c.Stats())
		}

		load(t, c, "b", "c") // the second evicts it
		s.set("team/a", "3", nil)
		time.Sleep(11 * time.Second)
		if got := ask(t, c, "team/a"); got != "team/a3" {
			t.Error(got)
		}

		s.set("team/a", "", nil)
		time.Sleep(11 * time.Second)
		ask(t, c, "team/a")
		synctest.Wait()
		if _, err := c.Acquire(t.Context(), "team/a"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("gone from the source: %v", err)
		}
	})
}

func TestAFoundModelThatFailsIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		bad := errors.New("not a model")
		s.set("a", "1", bad)
		c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 100}})
		try := func(opens int64) {
			t.Helper()
			if _, err := c.Acquire(t.Context(), "a"); !errors.Is(err, bad) || s.opens.Load() != opens {
				t.Errorf("%v after %d openings, want %d", err, s.opens.Load(), opens)
			}
		}
		try(1)
		if i, err := c.Get("a"); err != nil || i.State != mme.Failed || i.Reason != "not a model" {
			t.Errorf("%+v, %v", i, err)
		}
		opens := int64(1)
		for _, delay := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
			time.Sleep(delay*time.Second - time.Millisecond)
			try(opens)
			time.Sleep(time.Millisecond)
			opens++
			try(opens)
		}
		s.set("a", "2", nil) // another version is another model
		if got := ask(t, c, "a"); got != "a2" {
			t.Error(got)
		}

		s.set("b", "1", fmt.Errorf("%w: the store is down", mme.ErrPassing))
		s.set("huge", "1", nil)
		for range 2 {
			before := s.opens.Load()
			if _, err := c.Acquire(t.Context(), "b"); !errors.Is(err, mme.ErrPassing) || s.opens.Load() != before+1 {
				t.Errorf("what passes is remembered: %v", err)
			}
			if _, err := c.Acquire(t.Context(), "huge"); !errors.Is(err, mme.ErrMemory) {
				t.Errorf("%v", err)
			}
		}
		s.mu.Lock()
		s.broken["huge"] = nil
		s.mu.Unlock()
		if _, err := c.Get("huge"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("no memory is remembered: %v", err)
		}
	})
}
