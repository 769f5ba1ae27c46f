package onnx_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claryhq/clary/runtime/onnx"
	"golang.org/x/sys/unix"
)

// used is the processor time of the calling thread, and how often it has let
// the processor go by itself.
func used(t *testing.T) (cpu time.Duration, slept int64) {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Nvcsw
}

// sleeps runs 100 ms of work in the background and returns how often it slept.
func sleeps(t *testing.T, pauses bool) (n int64) {
	onnx.Background(pauses, func() {
		if nice, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err != nil || nice != 20-19 { // as the system call has it
			t.Errorf("it has priority %d: %v", nice, err)
		}
		cpu, before := used(t)
		for now := cpu; now < cpu+100*time.Millisecond; now, n = used(t) {
		}
		n -= before
	})
	return n
}

// 100 ms of work have more than a hundred pauses; what else makes a thread
// sleep, such as a collection of garbage, does so a few times.
func TestWorkInTheBackgroundPausesWhereOthersAreBusy(t *testing.T) {
	alone := sleeps(t, true)
	var over atomic.Bool
	var busy sync.WaitGroup
	busy.Go(func() { // as one that answers requests is
		for !over.Load() {
			for begin := time.Now(); time.Since(begin) < 50*time.Microsecond; {
			}
			time.Sleep(20 * time.Microsecond)
		}
	})
	defer busy.Wait()
	defer over.Store(true)
	beside, without := sleeps(t, true), sleeps(t, false)
	if beside < 50 || beside < 2*alone || without > 20 {
		t.Errorf("it slept %d times alone, %d beside another, and %d without pauses", alone, beside, without)
	}
}

// A model that is opened with pauses answers as any other.
func TestAModelIsOpenedWithPauses(t *testing.T) {
	var over atomic.Bool
	var busy sync.WaitGroup
	busy.Go(func() {
		for !over.Load() {
		}
	})
	defer busy.Wait()
	defer over.Store(true)
	for range 20 {
		var s *onnx.Session
		var err error
		onnx.Background(true, func() { s, err = onnx.Open(t.Context(), "../../testdata/models/digits/model.onnx", onnx.Options{}) })
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Inputs()) != 1 {
			t.Errorf("it has inputs %v", s.Inputs())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
