package mme_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/mme"
)

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

func TestAModelThatTakesMoreThanExpectedEvictsOthers(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 50}})
	load(t, c, "a", "b", "greedy") // 20 + 35
	if got := states(c); got != "a:evicted b:ready greedy:ready" {
		t.Errorf("%s", got)
	}
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

// TestABoundThatOthersLeave: a pool of which others take some, more or less of
// it as time goes.
func TestABoundThatOthersLeave(t *testing.T) {
	s := &source{}
	others := int64(20)
	c := newCache(t, s, mme.Options{Room: func(pool string) (free, all int64, bound bool) {
		return 60 - others - s.bytes.Load(), 60 - others, pool == "host"
	}})
	load(t, c, "a", "b", "c") // 15 more than 20 of 40
	if s := c.Stats(); s.Budget["host"] != 40 || s.Used["host"] != 30 {
		t.Errorf("%+v", s)
	}
	load(t, c, "d")
	if got := states(c); got != "a:evicted b:ready c:ready d:ready" {
		t.Errorf("the fourth: %s", got)
	}
	others = 10
	load(t, c, "e")
	if got := states(c); got != "a:evicted b:ready c:ready d:ready e:ready" {
		t.Errorf("there is more: %s", got)
	}
	others = 50
	if err := c.Load(t.Context(), "f", ""); !errors.Is(err, mme.ErrMemory) || !strings.Contains(err.Error(), "10 bytes is all there is") {
		t.Errorf("there is next to nothing: %v", err)
	}
	if got := ask(t, c, "b"); got != "b" || states(c) != "a:evicted b:ready c:ready d:ready e:ready" {
		t.Errorf("%s, and %s", got, states(c))
	}
}

// room is a GPU of so many bytes that nobody else uses.
func (s *source) room(all int64) func(pool string) (free, of int64, bound bool) {
	return func(pool string) (free, of int64, bound bool) { return all - s.there.Load(), all, pool == "cuda:0" }
}

// TestRoomIsMadeWhereItIsLacking: on a GPU by the models there, in the host's
// memory by whichever was used the least recently.
func TestRoomIsMadeWhereItIsLacking(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Budget: mme.Bytes{"host": 55}, Room: s.room(25)})
	load(t, c, "a", "gpu1", "gpu2")
	load(t, c, "gpu3")
	if got := states(c); got != "a:ready gpu1:evicted gpu2:ready gpu3:ready" {
		t.Errorf("the GPU is full: %s", got)
	}
	load(t, c, "b")
	ask(t, c, "a")
	load(t, c, "c") // 15 more than 40 of the host's
	if got := states(c); got != "a:ready b:ready c:ready gpu1:evicted gpu2:ready gpu3:ready" {
		t.Errorf("it fits: %s", got)
	}
	load(t, c, "d")
	if got := states(c); got != "a:ready b:ready c:ready d:ready gpu1:evicted gpu2:evicted gpu3:ready" {
		t.Errorf("the host is full: %s", got)
	}
}

// TestWhatModelsGrowToIsTheirs: it is charged, and what gives way gives it back.
func TestWhatModelsGrowToIsTheirs(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Room: s.room(45)})
	load(t, c, "gpu1", "gpu2")
	grow := func(name string, n int64) {
		lease, err := c.Acquire(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Release()
		s.there.Add(n - lease.Model().grown.Swap(n))
	}
	grow("gpu1", 20)
	if i, err := c.Get("gpu1"); err != nil || i.Bytes["cuda:0"] != 30 || c.Stats().Used["cuda:0"] != 40 || c.Spare()["cuda:0"] != 40 {
		t.Errorf("%+v, %+v, %v", i, c.Stats(), err)
	}
	ask(t, c, "gpu2")
	load(t, c, "gpu3") // 10, and 5 are free
	if got := states(c); got != "gpu1:evicted gpu2:ready gpu3:ready" || c.Stats().Used["cuda:0"] != 20 {
		t.Errorf("%s, %+v", got, c.Stats())
	}
	grow("gpu2", 25)
	lease, err := c.Acquire(t.Context(), "gpu3")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	load(t, c, "gpu4") // all that gpu2 has
	if got := states(c); got != "gpu1:evicted gpu2:evicted gpu3:ready gpu4:ready" {
		t.Errorf("%s", got)
	}
}

// TestWhatTookMoreThanExpected: where there was no memory for it when it was
// opened, idle models give way as they would have, had it been known.
func TestWhatTookMoreThanExpected(t *testing.T) {
	s := &source{}
	c := newCache(t, s, mme.Options{Room: s.room(45)})
	load(t, c, "gpu1", "gpu2", "gpu3")
	load(t, c, "gpularge")
	if got := states(c); got != "gpu1:evicted gpu2:evicted gpu3:ready gpularge:ready" {
		t.Errorf("%s", got)
	}
	lease, err := c.Acquire(t.Context(), "gpularge")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if err := c.Load(t.Context(), "gpularge2", ""); !errors.Is(err, mme.ErrMemory) || errors.Is(err, mme.ErrRoom) {
		t.Errorf("beside what is in use: %v", err)
	}
	if got := states(c); got != "gpu1:evicted gpu2:evicted gpu3:ready gpularge:ready" {
		t.Errorf("%s", got)
	}
}
