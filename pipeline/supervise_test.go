package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fake is a child of a test: it ends when told to.
type fake struct {
	done    chan struct{}
	err     error
	stopped bool
}

func (f *fake) exited() <-chan struct{} { return f.done }
func (f *fake) how() error              { return f.err }
func (f *fake) id() int                 { return 42 }
func (f *fake) stop(time.Duration)      { f.stopped = true; close(f.done) }

func (f *fake) die() { close(f.done) }

func TestACommandIsStartedAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(t.Context())
		v := &supervisor{step: newStep("s", "command", "", 0), ping: func(context.Context, string) error { return errors.New("refused") },
			pick: func() (int, PortRange, error) { return 1, PortRange{1, 1}, nil },
			start: func(int, PortRange) (child, error) {
				f := &fake{done: make(chan struct{}), err: errors.New("exit status 1")}
				time.AfterFunc(10*time.Millisecond, f.die)
				return f, nil
			},
			tell: func(e Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Kind == EventExited {
					waits = append(waits, e.Again)
				}
			}}
		done := make(chan struct{})
		go func() { defer close(done); v.run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		<-done
		mu.Lock()
		defer mu.Unlock()
		want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
			1600 * time.Millisecond, 3200 * time.Millisecond, 6400 * time.Millisecond, 10 * time.Second, 10 * time.Second}
		if len(waits) < len(want) || !slices.Equal(waits[:len(want)], want) {
			t.Errorf("waited %v", waits)
		}
		if s := v.step.Status(); s.State != Stopped || s.Restarts < len(want)-1 {
			t.Errorf("in the end %+v", s)
		}
	})
}

func TestACommandThatRanForLongIsStartedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Time
		ctx, cancel := context.WithCancel(t.Context())
		v := &supervisor{step: newStep("s", "command", "", 0), ping: func(context.Context, string) error { return nil },
			pick: func() (int, PortRange, error) { return 1, PortRange{1, 1}, nil },
			start: func(int, PortRange) (child, error) {
				f := &fake{done: make(chan struct{})}
				starts = append(starts, time.Now())
				time.AfterFunc(time.Hour, f.die)
				return f, nil
			},
			tell: func(Event) {}}
		done := make(chan struct{})
		go func() { defer close(done); v.run(ctx) }()
		time.Sleep(10*time.Hour + time.Minute)
		cancel()
		<-done
		for i := 1; i < len(starts); i++ {
			if gap := starts[i].Sub(starts[i-1]); gap != time.Hour+backoffFirst {
				t.Errorf("start %d came after %v", i, gap)
			}
		}
		if len(starts) != 11 {
			t.Errorf("%d starts", len(starts))
		}
	})
}

func TestACommandThatCannotBeStartedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		v := &supervisor{step: newStep("s", "command", "", 0), ping: func(context.Context, string) error { return nil },
			pick:  func() (int, PortRange, error) { return 0, PortRange{}, errors.New("no port") },
			start: func(int, PortRange) (child, error) { return nil, errors.New("unreachable") },
			tell:  func(Event) {}}
		done := make(chan struct{})
		go func() { defer close(done); v.run(ctx) }()
		time.Sleep(time.Second)
		_, err := v.step.ready()
		cancel()
		<-done
		if err == nil || !strings.Contains(err.Error(), "no port") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPingsAreFrequentOnlyWhereTheyMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var answer error = errors.New("not yet")
		pings := 0
		ping := func(context.Context, string) error {
			mu.Lock()
			defer mu.Unlock()
			pings++
			return answer
		}
		count := func(d time.Duration) int {
			mu.Lock()
			pings = 0
			mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return pings
		}
		say := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			answer = err
		}
		var events []EventKind
		s := newStep("s", "url", "", 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.watch(ctx, ping, func(e Event) { mu.Lock(); events = append(events, e.Kind); mu.Unlock() })
		}()
		if n := count(time.Second); n < 5 || n > 6 {
			t.Errorf("%d pings in a second of starting", n)
		}
		say(nil)
		if err := s.wait(ctx); err != nil {
			t.Fatal(err)
		}
		if n := count(20 * time.Second); n != 4 {
			t.Errorf("%d pings in 20 seconds of health", n)
		}
		s.suspect()
		if n := count(100 * time.Millisecond); n != 1 {
			t.Errorf("%d pings once it is suspected", n)
		}
		say(context.DeadlineExceeded) // busy: one late answer is none too few
		s.suspect()
		time.Sleep(pingGap)
		synctest.Wait()
		if !s.is(Ready) {
			t.Error("one late answer to a ping and it counts as down")
		}
		time.Sleep(pingReady)
		synctest.Wait()
		if s.is(Ready) {
			t.Error("two late answers to pings and it counts as ready")
		}
		cancel()
		<-done
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(events, []EventKind{EventReady, EventLost}) {
			t.Errorf("told %v", events)
		}
	})
}

func TestTheFastestRequestIsForgotten(t *testing.T) {
	var s stats
	now := time.Now()
	s.ok(now, 3*time.Second)
	s.ok(now, time.Second)
	s.ok(now, 2*time.Second)
	for after, want := range map[time.Duration]time.Duration{0: time.Second, 59 * time.Second: time.Second} {
		if got := s.least(now.Add(after)); got != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	if got := s.least(now.Add(90 * time.Second)); got != time.Second {
		t.Errorf("after a minute and a half: %v", got)
	}
	if got := s.least(now.Add(3 * time.Minute)); got != 0 {
		t.Errorf("after three minutes: %v", got)
	}
	_, _, l := s.read()
	if l.Count != 3 || l.Seconds != 6 || l.P50 != 2*time.Second || l.P99 != 3*time.Second {
		t.Errorf("%+v", l)
	}
}
