package mme_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/mme"
)

func TestASecondReleasePanicsWithASentence(t *testing.T) {
	c := newCache(t, &source{}, mme.Options{})
	load(t, c, "a")
	lease, err := c.Acquire(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	lease.Release()
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "the lease of a was released twice") {
			t.Errorf("%v", p)
		}
	}()
	lease.Release()
}

func TestADuplicateLoadWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := newCache(t, s, mme.Options{})
		gate := s.gate("a")
		results := make(chan error, 3)
		for range 3 {
			go func() { results <- c.Load(t.Context(), "a", "") }()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Fatal("a load ended before the model was open")
		}
		if got := states(c); got != "" {
			t.Errorf("listed while it is being opened: %s", got)
		}
		if i, err := c.Get("a"); err != nil || i.State != mme.Loading || i.Done != 50 || i.Total != 100 {
			t.Errorf("%+v, %v", i, err)
		}
		if err := c.Unload(t.Context(), "a"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("Unload of what was never open: %v", err)
		}
		close(gate)
		won, lost := 0, 0
		for range 3 {
			switch err := <-results; {
			case err == nil:
				won++
			case errors.Is(err, mme.ErrLoaded):
				lost++
			default:
				t.Error(err)
			}
		}
		if won != 1 || lost != 2 || s.opens.Load() != 1 {
			t.Errorf("%d won, %d lost, %d openings", won, lost, s.opens.Load())
		}
	})
}

func TestALoadThatFailsLeavesNoTraceAndItsDuplicateTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := newCache(t, s, mme.Options{})
		bad := errors.New("no model at all")
		s.set("a", "", bad)
		gate := s.gate("a")
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- c.Load(t.Context(), "a", "") }()
		}
		synctest.Wait()
		close(gate)
		for range 2 {
			if err := <-results; !errors.Is(err, bad) {
				t.Errorf("%v, want what the opening failed with", err)
			}
		}
		if n := s.opens.Load(); n != 2 {
			t.Errorf("%d openings, want one each: the duplicate tries itself", n)
		}
		s.set("a", "", nil)
		load(t, c, "a") // at once: a load is never remembered
		if err := c.Load(t.Context(), "missing", ""); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	})
}

func TestALoadOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := newCache(t, s, mme.Options{})
		gate := s.gate("a")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too late"))
		defer cancel()
		if err := c.Load(ctx, "a", ""); err == nil || err.Error() != "too late" {
			t.Errorf("%v", err)
		}
		if _, err := c.Acquire(ctx, "a"); err == nil || err.Error() != "too late" {
			t.Errorf("%v", err)
		}
		close(gate)
		if got := ask(t, c, "a"); got != "a" {
			t.Error(got)
		}
	})
}

func TestUnloadWaitsForRequestsAndRefusesNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := newCache(t, s, mme.Options{})
		load(t, c, "a")
		lease, err := c.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Unload(t.Context(), "a") }()
		synctest.Wait()
		if _, err := c.Acquire(t.Context(), "a"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("Acquire meanwhile: %v", err)
		}
		if err := c.Unload(t.Context(), "a"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("a second Unload: %v", err)
		}
		load(t, c, "a") // a new one may come before the old one has gone
		if len(done) > 0 || lease.Model().closed.Load() || s.open.Load() != 2 {
			t.Errorf("Unload did not wait: %d open", s.open.Load())
		}
		lease.Release()
		if err := <-done; err != nil || s.open.Load() != 1 {
			t.Errorf("%v, %d open", err, s.open.Load())
		}
		if err := c.Unload(t.Context(), "never"); !errors.Is(err, mme.ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
}

func TestUnloadReturnsWhenTheMemoryIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{closing: func(string) { time.Sleep(time.Minute) }}
		c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 15}})
		load(t, c, "a")
		begin := time.Now()
		go func() {
			if err := c.Unload(t.Context(), "a"); err != nil || time.Since(begin) != time.Minute {
				t.Errorf("after %v: %v", time.Since(begin), err)
			}
		}()
		synctest.Wait()
		// What is being closed is as good as free, for who can wait.
		if err := c.Load(t.Context(), "b", ""); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestCloseWaitsForLeasesAndOpenings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := mme.New(s, mme.Options{})
		load(t, c, "a", "b")
		lease, err := c.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		s.gate("slow")
		late := make(chan error, 1)
		go func() { late <- c.Load(t.Context(), "slow", "") }()
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			close(closed)
		}()
		if err := <-late; err == nil {
			t.Error("a load ended well after Close")
		}
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the lease")
		default:
		}
		for _, err := range []error{c.Load(t.Context(), "x", ""), func() error { _, err := c.Acquire(t.Context(), "a"); return err }()} {
			if !errors.Is(err, mme.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		lease.Release()
		<-closed
		if s.open.Load() != 0 {
			t.Errorf("%d open", s.open.Load())
		}
	})
}
