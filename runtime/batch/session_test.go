package batch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

// A model doubles its rows of two floats; a negative first element fails the
// whole run. What it does can be watched and held up.
type model struct {
	delay time.Duration
	hold  chan struct{} // nil, or what each run receives from
	mixes bool          // each row's answer depends on the first's
	sums  bool          // the answer is one number

	mu      sync.Mutex // guards what follows
	sizes   []int      // rows of each run
	now     int        // runs going on
	most    int
	closed  bool
	cancels int
}

var errNegative = errors.New("negative")

func (m *model) Inputs() []runtime.Info {
	return []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 2}}}
}

func (m *model) Outputs() []runtime.Info {
	return []runtime.Info{{Name: "y", DType: runtime.Float32, Shape: []int{-1, 2}}, {Name: "text", DType: runtime.String, Shape: []int{-1}}}
}

func (m *model) Close() error { m.closed = true; return nil }

func (m *model) Run(ctx context.Context, in, _ []runtime.Tensor) ([]runtime.Tensor, error) {
	x := in[0].Data.([]float32)
	m.mu.Lock()
	m.sizes = append(m.sizes, len(x)/2)
	m.now++
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.now--; m.mu.Unlock() }()
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			m.mu.Lock()
			m.cancels++
			m.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
	if m.delay > 0 {
		time.Sleep(m.delay)
	}
	if m.sums {
		return []runtime.Tensor{{Name: "y", Shape: []int{1}, Data: x[:1]}}, nil
	}
	y, text := make([]float32, len(x)), make([]string, len(x)/2)
	for i, v := range x {
		if v < 0 {
			return nil, errNegative
		}
		if y[i] = 2 * v; m.mixes {
			y[i] += x[0]
		}
		text[i/2] = fmt.Sprint(y[i])
	}
	return []runtime.Tensor{{Name: "y", Shape: []int{len(x) / 2, 2}, Data: y}, {Name: "text", Shape: []int{len(x) / 2}, Data: text}}, nil
}

// rows is an input of n rows that begin at v.
func rows(v float32, n int) []runtime.Tensor {
	data := make([]float32, 2*n)
	for i := range data {
		data[i] = v + float32(i)
	}
	return []runtime.Tensor{{Name: "x", Shape: []int{n, 2}, Data: data}}
}

// answered checks the answer to rows(v, n).
func answered(t *testing.T, out []runtime.Tensor, v float32, n int) {
	t.Helper()
	if len(out) != 2 || len(out[0].Shape) != 2 || out[0].Shape[0] != n || out[1].Shape[0] != n {
		t.Errorf("%v, %d rows: got %v", v, n, out)
		return
	}
	for i, got := range out[0].Data.([]float32) {
		if want := 2 * (v + float32(i)); got != want {
			t.Errorf("%v, %d rows: element %d is %v, want %v", v, n, i, got, want)
		}
	}
	for i, got := range out[1].Data.([]string) {
		if want := fmt.Sprint(2 * (v + float32(2*i+1))); got != want {
			t.Errorf("%v, %d rows: text %d is %q, want %q", v, n, i, got, want)
		}
	}
}

// occupied returns a session of one permit whose model is in a run that ends
// when something is received from hold; another 64 runs know what it takes.
func occupied(t *testing.T, m *model, o batch.Options) (s *batch.Session, first chan error) {
	s = batch.NewPool(1).Wrap(m, o)
	for range 8 {
		if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
			t.Fatal(err)
		}
	}
	m.hold, m.sizes = make(chan struct{}), nil
	first = make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), rows(0, 1), nil)
		first <- err
	}()
	synctest.Wait()
	return s, first
}

func TestCallersThatWaitAreRunTogetherAndGetTheirOwnRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, first := occupied(t, m, batch.Options{Rows: 64})
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				v, n := float32(10*i), i%3+1
				out, err := s.Run(t.Context(), rows(v, n), nil)
				if err != nil {
					t.Error(err)
					return
				}
				answered(t, out, v, n)
			})
		}
		synctest.Wait()
		if got := s.Stats().Waiting; got != 10 {
			t.Errorf("%d wait, want 10", got)
		}
		close(m.hold)
		group.Wait()
		if err := <-first; err != nil {
			t.Error(err)
		}
		if len(m.sizes) != 2 || m.sizes[1] != 19 {
			t.Errorf("runs of %v rows, want 1 and then 19", m.sizes)
		}
		if st := s.Stats(); st.Waiting != 0 || st.Alone != 0 {
			t.Errorf("left behind: %+v", st)
		}
	})
}

func TestABatchHasNoMoreRowsThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, _ := occupied(t, m, batch.Options{Rows: 4})
		var group sync.WaitGroup
		for i := range 9 {
			group.Go(func() {
				n := []int{1, 3, 7}[i%3] // 7 are more than a batch: alone
				out, err := s.Run(t.Context(), rows(float32(i), n), nil)
				if err != nil {
					t.Error(err)
				}
				answered(t, out, float32(i), n)
			})
		}
		synctest.Wait()
		close(m.hold)
		group.Wait()
		for _, n := range m.sizes {
			if n > 4 && n != 7 {
				t.Errorf("a run of %d rows: %v", n, m.sizes)
			}
		}
	})
}

func TestABadCallHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, _ := occupied(t, m, batch.Options{Rows: 64})
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				v := float32(i)
				if i == 3 {
					v = -9
				}
				out, err := s.Run(t.Context(), rows(v, 1), nil)
				if i == 3 {
					if !errors.Is(err, errNegative) {
						t.Errorf("the bad one got %v", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				answered(t, out, v, 1)
			})
		}
		synctest.Wait()
		close(m.hold)
		group.Wait()
		if st := s.Stats(); st.Alone != 1 {
			t.Errorf("%d batches failed, want 1", st.Alone)
		}
	})
}

func TestACallOfAnotherShapeIsItsOwnRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, _ := occupied(t, m, batch.Options{Rows: 64})
		odd := []runtime.Tensor{{Name: "x", Shape: []int{2}, Data: []float32{1, 2}}}
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.Run(t.Context(), odd, nil); err != nil {
				t.Error(err)
			}
		})
		for i := range 3 {
			group.Go(func() {
				if _, err := s.Run(t.Context(), rows(float32(i), 1), nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(m.hold)
		group.Wait()
		if len(m.sizes) != 3 {
			t.Errorf("runs of %v rows, want one that holds, one odd, one of three", m.sizes)
		}
	})
}

func TestACancelledCallLeavesTheQueueAndNeverEndsAnothersBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, first := occupied(t, m, batch.Options{Rows: 64})
		cause := errors.New("gone")
		waiting, cancelWaiting := context.WithCancelCause(t.Context())
		inside, cancelInside := context.WithCancelCause(t.Context())
		results := make([]chan error, 4)
		for i, ctx := range []context.Context{waiting, inside, t.Context(), inside} {
			results[i] = make(chan error, 1)
			go func() {
				out, err := s.Run(ctx, rows(float32(i), 1), nil)
				if err == nil {
					answered(t, out, float32(i), 1)
				}
				results[i] <- err
			}()
			synctest.Wait()
		}
		cancelWaiting(cause)
		if err := <-results[0]; !errors.Is(err, cause) {
			t.Errorf("cancelled while waiting: %v", err)
		}
		m.hold <- struct{}{} // the first ends, the others are run together
		<-first
		synctest.Wait()
		cancelInside(cause)
		synctest.Wait()
		if m.cancels != 0 {
			t.Error("a batch was cancelled with a member that was not")
		}
		m.hold <- struct{}{}
		if err := <-results[2]; err != nil {
			t.Errorf("the one that was not cancelled got %v", err)
		}
		<-results[1]
		<-results[3]
		if len(m.sizes) != 2 || m.sizes[1] != 3 {
			t.Errorf("runs of %v rows, want 1 and 3", m.sizes)
		}
	})
}

func TestABatchWhoseMembersAreAllCancelledIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, first := occupied(t, m, batch.Options{Rows: 64})
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("gone")
		results := make(chan error, 3)
		for i := range 3 {
			go func() {
				_, err := s.Run(ctx, rows(float32(i), 1), nil)
				results <- err
			}()
		}
		synctest.Wait()
		m.hold <- struct{}{}
		<-first
		synctest.Wait()
		cancel(cause)
		for range 3 {
			if err := <-results; !errors.Is(err, cause) {
				t.Errorf("got %v, want the cause", err)
			}
		}
		if m.cancels == 0 {
			t.Error("the batch's run was not cancelled")
		}
	})
}

func TestOneHotModelDoesNotStarveAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := batch.NewPool(1)
		hot, cold := &model{delay: time.Second}, &model{delay: time.Second}
		a, b := pool.Wrap(hot, batch.Options{}), pool.Wrap(cold, batch.Options{})
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

func TestRunsAreBounded(t *testing.T) {
	pool := batch.NewPool(3)
	models := []*model{{delay: time.Millisecond}, {delay: time.Millisecond}}
	var now, most atomic.Int64
	var group sync.WaitGroup
	for i, m := range models {
		s := pool.Wrap(m, batch.Options{Rows: 8 * i, Runs: 2})
		for j := range 20 {
			group.Go(func() {
				for k := range 10 {
					n := now.Add(1)
					most.Store(max(most.Load(), n))
					v := float32(100*j + k)
					out, err := s.Run(t.Context(), rows(v, 1), nil)
					now.Add(-1)
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
	for i, m := range models {
		if m.most > 2 {
			t.Errorf("model %d: %d runs at the same time, want 2 at most", i, m.most)
		}
	}
}

func TestACallThatCannotMeetItsDeadlineIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{delay: 10 * time.Millisecond}
		s := batch.NewPool(1).Wrap(m, batch.Options{Target: 35 * time.Millisecond})
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
	synctest.Test(t, func(t *testing.T) {
		slow := &linear{each: 5 * time.Millisecond}
		s := batch.NewPool(1).Wrap(slow, batch.Options{Rows: 64})
		var group sync.WaitGroup
		for range 8 {
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
		if merged > 8 {
			t.Errorf("%d runs of two rows: a few show that they gain nothing", merged)
		}
	})
}

// linear is a model whose rows cost the same in any company.
type linear struct {
	model
	each time.Duration
}

func (l *linear) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	time.Sleep(l.each * time.Duration(in[0].Shape[0]))
	return l.model.Run(ctx, in, out)
}

func TestALoneCallerGetsAllCoresAndOthersTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		narrow, wide := &model{delay: 8 * time.Millisecond}, &model{delay: 4 * time.Millisecond}
		opened := 0
		s := batch.NewPool(2).Wrap(narrow, batch.Options{Wide: func(context.Context) (runtime.Session, error) { opened++; return wide, nil }})
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
		if !wide.closed {
			t.Error("the wide session is open after minutes without a caller")
		}
		if err := s.Close(); err != nil || !narrow.closed {
			t.Errorf("Close: %v, closed %v", err, narrow.closed)
		}
	})
}

func TestIndependent(t *testing.T) {
	if err := batch.Independent(t.Context(), &model{}, true); err == nil {
		t.Error("a model that refuses negative numbers passed on random ones")
	}
	if err := batch.Independent(t.Context(), &absolute{}, true); err != nil {
		t.Errorf("independent rows: %v", err)
	}
	if err := batch.Independent(t.Context(), &absolute{model{mixes: true}}, true); err == nil {
		t.Error("rows that depend on the first passed")
	}
}

// absolute takes any number.
type absolute struct{ model }

func (a *absolute) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	x := in[0].Data.([]float32)
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = max(v, -v)
	}
	return a.model.Run(ctx, []runtime.Tensor{{Name: "x", Shape: in[0].Shape, Data: y}}, out)
}
