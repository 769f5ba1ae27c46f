package clary

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestAdmissionServesInOrderAndRefusesWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 2)
		if a.full() {
			t.Error("an empty admission is full")
		}
		if _, err := a.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		order := make(chan int, 2)
		for i := range 2 {
			go func() {
				if _, err := a.acquire(t.Context()); err != nil {
					t.Error(err)
				}
				order <- i
			}()
			synctest.Wait() // so that they queue one after the other
		}
		if !a.full() {
			t.Error("one at work, two waiting, and not full")
		}
		if _, err := a.acquire(t.Context()); !errors.Is(err, errBusy) {
			t.Errorf("one more than the queue holds: %v", err)
		}
		for want := range 2 {
			a.release()
			if got := <-order; got != want {
				t.Errorf("waiter %d came before %d", got, want)
			}
		}
		a.release()
		if len(a.slots) != 0 || a.waiting.Load() != 0 {
			t.Errorf("left: %d at work, %d waiting", len(a.slots), a.waiting.Load())
		}
	})
}

func TestAWaiterWhoseRequestEndsLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, 1)
		if _, err := a.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		waited := make(chan error)
		go func() { _, err := a.acquire(ctx); waited <- err }()
		synctest.Wait()
		cancel(errDeadline)
		if err := <-waited; !errors.Is(err, errDeadline) {
			t.Errorf("the waiter got %v", err)
		}
		if a.full() {
			t.Error("the waiter's place is still taken")
		}
		a.release()
		if _, err := a.acquire(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAShutGateLetsTheLastOneOut(t *testing.T) {
	var g gate
	for range 2 {
		if !g.enter() {
			t.Fatal("an open gate refused")
		}
	}
	empty := g.close()
	if g.enter() {
		t.Error("a shut gate let one in")
	}
	g.leave()
	select {
	case <-empty:
		t.Error("empty with one inside")
	default:
	}
	g.leave()
	<-empty
	if g.inside() != 0 {
		t.Errorf("%d inside", g.inside())
	}
	var idle gate
	<-idle.close()
}
