package batch_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

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

// A panic of the model is the error of the call that made it; the permit is
// there again, and its neighbours have their answers.
func TestAPanicOfTheModelIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, first := occupied(t, m, batch.Options{Rows: 64})
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				v := float32(i)
				if i == 2 {
					v = panics
				}
				out, err := s.Run(t.Context(), rows(v, 1), nil)
				if i == 2 {
					if err == nil || !strings.Contains(err.Error(), "session_test.go") && !strings.Contains(err.Error(), "model_test.go") {
						t.Errorf("the one that panics got %v", err)
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
		<-first
		if _, err := s.Run(t.Context(), rows(panics, 1), nil); err == nil {
			t.Error("alone: no error")
		}
		if out, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
			t.Errorf("after it: %v", err)
		} else {
			answered(t, out, 1, 1)
		}
	})
}
