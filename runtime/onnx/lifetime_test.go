package onnx

import (
	"context"
	"errors"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/claryhq/clary/runtime"
)

// slow is a model that multiplies matrices n times, n being its input.
func slow() graphSpec {
	body := graphSpec{
		nodes: messages(
			op("", "MatMul", names("a", "a"), names("b")),
			op("", "Identity", names("go"), names("on")),
		),
		inputs:  messages(info("i", runtime.Int64), info("go", runtime.Bool), info("a", runtime.Float32, 64, 64)),
		outputs: messages(info("on", runtime.Bool), info("b", runtime.Float32, 64, 64)),
	}
	return graphSpec{
		nodes:        messages(op("", "Loop", names("n", "", "zero"), names("y"), graphAttribute("body", body.bytes()))),
		initializers: messages(weights("zero", make([]float32, 64*64), 64, 64)),
		inputs:       messages(info("n", runtime.Int64)),
		outputs:      messages(info("y", runtime.Float32, 64, 64)),
	}
}

// times is slow's input; forever is more than a test can wait for.
func times(n int64) []runtime.Tensor { return []runtime.Tensor{tensor([]int64{n})} }

const forever = 1 << 40

func TestACancelledRunStopsAndReturnsTheCause(t *testing.T) {
	s := opened(t, slow(), Options{})
	cause := errors.New("the client has gone")
	for range 5 {
		run1(t, s, times(3)...) // and again: what is kept must survive a cancelled run
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		if _, err := s.Run(ctx, times(forever), nil); !errors.Is(err, cause) {
			t.Fatalf("got %v, want the cause", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, times(forever), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline", err)
	}
	if _, err := s.Run(ctx, times(1), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("cancelled before: got %v", err)
	}
	run1(t, s, times(3)...)
}

func TestCancellingOneRunLeavesTheOthers(t *testing.T) {
	s := opened(t, slow(), Options{})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%2 == 1 {
				if _, err := s.Run(ctx, times(200), nil); err != nil {
					t.Errorf("run %d: %v", i, err)
				}
				return
			}
			time.AfterFunc(time.Duration(i)*2*time.Millisecond, cancel)
			if _, err := s.Run(ctx, times(forever), nil); !errors.Is(err, context.Canceled) {
				t.Errorf("run %d, cancelled: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestACancelledOpenStops(t *testing.T) {
	path := write(t, file(slow().bytes()))
	cause := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
}

func TestCloseWaitsForRunsAndRefusesNewOnes(t *testing.T) {
	s, err := Open(t.Context(), write(t, file(slow().bytes())), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := make(chan error)
	go func() {
		_, err := s.Run(ctx, times(forever), nil)
		running <- err
	}()
	for busy := false; !busy; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		busy = s.running > 0
		s.mu.Unlock()
	}
	closed := make(chan error, 2)
	for range 2 {
		go func() { closed <- s.Close() }()
	}
	for refused := false; !refused; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		refused = s.closed
		s.mu.Unlock()
	}
	if _, err := s.Run(t.Context(), times(1), nil); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("a run while closing: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v while a run was in flight", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-running; !errors.Is(err, context.Canceled) {
		t.Errorf("the run: %v", err)
	}
	for range 2 {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("a third Close: %v", err)
	}
	if _, err := s.Run(t.Context(), times(1), nil); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("a run after Close: %v", err)
	}
}

// TestStalePointersStayOutOfGosSight: what the values in C's memory pointed to
// in the last run has been collected by the next, and must not meet Go's write
// barrier there.
func TestStalePointersStayOutOfGosSight(t *testing.T) {
	numeric := opened(t, identity(runtime.Float32, "N"), Options{})
	text := opened(t, identity(runtime.String, "N"), Options{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				goruntime.GC()
			}
		}
	}()
	for range 200 {
		run1(t, numeric, tensor(make([]float32, 1<<20), 1<<20))
		run1(t, text, tensor(make([]string, 1<<12), 1<<12))
	}
	close(stop)
	<-stopped
}
