package mme_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/mme"
)

// A model answers with its own name and version.
type model struct {
	source *source
	answer string
	bytes  int64
	closed atomic.Bool
}

func (m *model) Close() error {
	if m.closed.Swap(true) {
		panic(m.answer + " was closed twice")
	}
	if m.source.closing != nil {
		m.source.closing(m.answer)
	}
	m.source.open.Add(-1)
	m.source.bytes.Add(-m.bytes)
	return nil
}

// A source opens models of 10 bytes, 15 while opening, but for those whose
// names say otherwise.
type source struct {
	mu       sync.Mutex
	versions map[string]string // of those that can be found
	broken   map[string]error  // what opening fails with
	gates    map[string]chan struct{}

	finds, opens, prepared atomic.Int64
	open, bytes            atomic.Int64 // models now
	opening                atomic.Int64
	closing                func(answer string)
}

func (s *source) Find(_ context.Context, name string) (mme.Spec, error) {
	s.finds.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.versions[name]
	if !ok {
		return mme.Spec{}, fmt.Errorf("%w: %s", mme.ErrUnknown, name)
	}
	return mme.Spec{URL: "store/" + name, Version: v}, nil
}

func (s *source) set(name, version string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		s.versions, s.broken = map[string]string{}, map[string]error{}
	}
	s.versions[name], s.broken[name] = version, err
	if version == "" {
		delete(s.versions, name)
	}
}

// gate holds the openings of a model until the channel is closed.
func (s *source) gate(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gates == nil {
		s.gates = map[string]chan struct{}{}
	}
	s.gates[name] = make(chan struct{})
	return s.gates[name]
}

func (s *source) Prepare(_ context.Context, name string, spec mme.Spec, progress func(done, total int64)) (mme.Prepared[*model], error) {
	if strings.HasPrefix(name, "missing") {
		return nil, fs.ErrNotExist
	}
	progress(50, 100)
	s.prepared.Add(1)
	return &prepared{source: s, name: name, spec: spec}, nil
}

type prepared struct {
	source *source
	name   string
	spec   mme.Spec
}

func (p *prepared) Estimate() mme.Bytes {
	if strings.HasPrefix(p.name, "huge") {
		return mme.Bytes{"host": 1000}
	}
	return mme.Bytes{"host": 15}
}

func (p *prepared) Discard() { p.source.prepared.Add(-1) }

func (p *prepared) Open(ctx context.Context) (*model, mme.Bytes, error) {
	s := p.source
	if s.opening.Add(1) > 1 {
		panic("two models are being opened at the same time")
	}
	defer s.opening.Add(-1)
	s.prepared.Add(-1)
	s.opens.Add(1)
	s.mu.Lock()
	gate, err := s.gates[p.name], s.broken[p.name]
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	m := &model{source: s, answer: p.name + p.spec.Version, bytes: 10}
	if strings.HasPrefix(p.name, "greedy") {
		m.bytes = 35
	}
	s.open.Add(1)
	s.bytes.Add(m.bytes)
	return m, mme.Bytes{"host": m.bytes}, nil
}

func newCache(t *testing.T, s *source, o mme.Options) *mme.Cache[*model] {
	t.Helper()
	c := mme.New(s, o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		stats := c.Stats()
		if s.open.Load() != 0 || s.prepared.Load() != 0 || stats.Used["host"] != 0 || stats.Ready != 0 {
			t.Errorf("after Close %d models are open, %d prepared, %+v", s.open.Load(), s.prepared.Load(), stats)
		}
	})
	return c
}

func load(t *testing.T, c *mme.Cache[*model], names ...string) {
	t.Helper()
	for _, name := range names {
		if err := c.Load(t.Context(), name, "/models/"+name); err != nil {
			t.Fatalf("Load %s: %v", name, err)
		}
	}
}

func ask(t *testing.T, c *mme.Cache[*model], name string) string {
	t.Helper()
	lease, err := c.Acquire(t.Context(), name)
	if err != nil {
		t.Fatalf("Acquire %s: %v", name, err)
	}
	defer lease.Release()
	if lease.Model().closed.Load() {
		t.Errorf("%s is closed while leased", name)
	}
	return lease.Model().answer
}

func states(c *mme.Cache[*model]) string {
	var b strings.Builder
	for _, i := range c.List() {
		fmt.Fprintf(&b, "%s:%s ", i.Name, i.State)
	}
	return strings.TrimSpace(b.String())
}

func TestTheLeastRecentlyUsedGoesFirstAndComesBack(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 35}})
	load(t, c, "a", "b")
	ask(t, c, "a")
	load(t, c, "c") // 15 more than 20
	if got := states(c); got != "a:ready b:ready c:ready" {
		t.Errorf("three fit: %s", got)
	}
	load(t, c, "d")
	if got := states(c); got != "a:ready b:evicted c:ready d:ready" {
		t.Errorf("the fourth: %s", got)
	}
	if got := ask(t, c, "b"); got != "b" {
		t.Errorf("b is %s", got)
	}
	if got := states(c); got != "a:evicted b:ready c:ready d:ready" {
		t.Errorf("b is back: %s", got)
	}
	if s := c.Stats(); s.Loads != 5 || s.EvictedForMemory != 2 || s.Misses != 1 || s.Hits != 1 || s.Used["host"] != 30 || s.Registered != 4 || s.Ready != 3 {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsInUseOrPinnedIsNotEvicted(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 35}, Pinned: func(name string) bool { return name == "pinned" }})
	load(t, c, "pinned", "a", "b")
	lease, err := c.Acquire(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	load(t, c, "c")
	if got := states(c); got != "a:ready b:evicted c:ready pinned:ready" {
		t.Errorf("%s", got)
	}
	second, err := c.Acquire(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Load(t.Context(), "d", ""); !errors.Is(err, mme.ErrMemory) || !strings.Contains(err.Error(), "15 bytes") {
		t.Errorf("Load with everything in use: %v, want ErrMemory", err)
	}
	if _, err := c.Get("d"); !errors.Is(err, mme.ErrUnknown) {
		t.Errorf("a failed load left a trace: %v", err)
	}
	if err := c.Load(t.Context(), "huge", ""); !errors.Is(err, mme.ErrMemory) || states(c) != "a:ready b:evicted c:ready pinned:ready" {
		t.Errorf("what never fits: %v, and others are %s", err, states(c))
	}
	if got := states(c); got != "a:ready b:evicted c:ready pinned:ready" {
		t.Errorf("others were evicted for nothing: %s", got)
	}
	lease.Release()
	load(t, c, "d")
	second.Release()
	if n := c.Stats().NoMemory; n != 2 {
		t.Errorf("%d times no memory", n)
	}
}

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

func TestAnOpeningWaitsForModelsInUseAsLongAsItsPatienceLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &source{}, mme.Options{Budget: mme.Bytes{"host": 15}, Patience: 5 * time.Second})
		load(t, c, "a")
		lease, err := c.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := c.Load(t.Context(), "b", ""); !errors.Is(err, mme.ErrMemory) || time.Since(begin) != 5*time.Second {
			t.Errorf("after %v: %v, want ErrMemory after 5 s", time.Since(begin), err)
		}
		go func() {
			time.Sleep(3 * time.Second)
			lease.Release()
		}()
		begin = time.Now()
		if err := c.Load(t.Context(), "b", ""); err != nil || time.Since(begin) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
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

func TestAModelThatTakesMoreThanExpectedEvictsOthers(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 50}})
	load(t, c, "a", "b", "greedy") // 20 + 35
	if got := states(c); got != "a:evicted b:ready greedy:ready" {
		t.Errorf("%s", got)
	}
}

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

func TestIdleModelsGoAfterTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &source{}, mme.Options{Idle: time.Minute, Pinned: func(name string) bool { return name == "pinned" }})
		load(t, c, "a", "b", "pinned")
		time.Sleep(40 * time.Second)
		lease, err := c.Acquire(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		ask(t, c, "a")
		time.Sleep(59 * time.Second)
		if got := states(c); got != "a:ready b:ready pinned:ready" {
			t.Errorf("too early: %s", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := states(c); got != "a:evicted b:ready pinned:ready" {
			t.Errorf("too late: %s", got)
		}
		lease.Release()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := states(c); got != "a:evicted b:evicted pinned:ready" {
			t.Errorf("%s", got)
		}
		if n := c.Stats().EvictedIdle; n != 2 {
			t.Errorf("%d evicted", n)
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

func TestGDSFKeepsWhatIsSmallSlowAndUsed(t *testing.T) {
	p := &mme.GDSF{}
	small := p.Used(mme.Use{Count: 1, Bytes: 1 << 20, Reload: time.Second})
	large := p.Used(mme.Use{Count: 1, Bytes: 100 << 20, Reload: time.Second})
	quick := p.Used(mme.Use{Count: 1, Bytes: 1 << 20, Reload: time.Millisecond})
	often := p.Used(mme.Use{Count: 9, Bytes: 1 << 20, Reload: time.Second})
	if !(large < small && quick < small && small < often) {
		t.Errorf("small %v, large %v, quick %v, often %v", small, large, quick, often)
	}
	p.Evicted(often)
	if now := p.Used(mme.Use{Count: 1, Bytes: 100 << 20, Reload: time.Second}); now <= often {
		t.Errorf("after the eviction of %v a new one has %v: old uses do not fade", often, now)
	}
}
