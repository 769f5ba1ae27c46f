package mme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// start begins to open a registered model, beside the caller.
func (c *Cache[M]) start(reg *registration[M]) {
	res := &residency[M]{reg: reg, state: Fetching, ready: make(chan struct{}), gone: make(chan struct{}), began: time.Now()}
	reg.res, reg.last = res, res
	spec := reg.spec
	c.goLocked(func() {
		err := c.open(res, spec)
		for again := mostAgain; errors.Is(err, ErrRoom) && again > 0; again-- {
			err = c.open(res, spec)
		}
		c.opened(res, spec, err)
	})
}

// mostAgain is how often a model is opened again in more room.
const mostAgain = 8

// open prepares a model and opens it.
func (c *Cache[M]) open(res *residency[M], spec Spec) error {
	name := res.reg.name
	prepared, err := c.prepare(res, name, spec)
	if err != nil {
		return err
	}
	if err := take(c.base, c.opening); err != nil {
		prepared.Discard()
		return err
	}
	defer func() { <-c.opening }()
	estimate := prepared.Estimate()
	c.mu.Lock()
	res.state, res.estimate = Loading, estimate
	c.mu.Unlock()
	if err := c.makeRoom(res, estimate); err != nil {
		prepared.Discard()
		return fmt.Errorf("%s: %w", name, err)
	}
	model, bytes, err := prepared.Open(c.base)
	if err != nil {
		c.refund(res)
		return err
	}
	c.mu.Lock()
	res.model, res.opened = model, bytes
	c.charge(res, bytes)
	c.mu.Unlock()
	return nil
}

func (c *Cache[M]) prepare(res *residency[M], name string, spec Spec) (Prepared[M], error) {
	if err := take(c.base, c.prepares); err != nil {
		return nil, err
	}
	defer func() { <-c.prepares }()
	return c.source.Prepare(c.base, name, spec, func(done, total int64) {
		c.mu.Lock()
		res.done, res.total = done, total
		c.mu.Unlock()
	})
}

// opened records how an opening ended, and lets those who wait go on.
func (c *Cache[M]) opened(res *residency[M], spec Spec, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reg := res.reg
	res.err, res.took = err, time.Since(res.began)
	if err == nil {
		res.state, res.loaded = Ready, time.Now()
		res.used = res.loaded
		reg.opened = true
		c.stats.Loads++
		c.stats.LoadTime += res.took
		c.failures.forget(reg.name)
		close(res.ready)
		res.leases++ // as if used once: it has a priority, and its idle time begins
		c.useLocked(res)
		c.evictOver(c.options.Budget, Bytes{})
		c.releaseLocked(res)
		return
	}
	res.state = Failed
	c.stats.Failures++
	if errors.Is(err, ErrMemory) {
		c.stats.NoMemory++
	}
	if reg.res == res {
		reg.res = nil
	}
	// What was open before is only evicted now; the next request tries again.
	if c.regs[reg.name] == reg && (reg.found || !reg.opened) {
		delete(c.regs, reg.name)
	}
	if reg.found && !errors.Is(err, ErrMemory) && !errors.Is(err, ErrPassing) && c.base.Err() == nil {
		c.failures.remember(reg.name, spec.Version, err)
	}
	close(res.ready)
	close(res.gone)
	c.changedLocked()
}

// makeRoom charges need to the budget, evicting what it must, and waiting for
// models in use as long as the Options' patience lasts. What exceeds the budget
// by itself is refused before anything is evicted.
func (c *Cache[M]) makeRoom(res *residency[M], need Bytes) error {
	c.weigh()
	rooms := c.rooms(need)
	c.mu.Lock()
	budget := c.budget(rooms)
	c.mu.Unlock()
	for pool, n := range need {
		if most, bound := budget[pool]; bound && n > most {
			return fmt.Errorf("%w: it takes %s of %s and %s is all there is", ErrMemory, amount(n), pool, amount(most))
		}
	}
	late := time.Now().Add(c.options.Patience)
	for c.base.Err() == nil {
		c.weigh()
		rooms = c.rooms(need)
		c.mu.Lock()
		budget = c.budget(rooms)
		lacking := over(budget, c.charged, need)
		if len(lacking) == 0 {
			c.charge(res, need)
			c.mu.Unlock()
			return nil
		}
		coming := c.evictOver(budget, need)
		left := time.Until(late)
		if !coming && left <= 0 {
			err := c.noRoom(budget, lacking[0], need)
			c.mu.Unlock()
			return err
		}
		changed := c.changed
		c.waiting++
		c.mu.Unlock()
		if left <= 0 { // what is being closed has as long as it takes
			left = math.MaxInt64
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-c.base.Done():
		}
		timer.Stop()
		c.mu.Lock()
		c.waiting--
		c.mu.Unlock()
	}
	return ErrClosed
}

// A room is a pool's whose bound is what others leave.
type room struct {
	pool      string
	free, all int64
}

// rooms asks for those of these pools.
func (c *Cache[M]) rooms(pools Bytes) (rooms []room) {
	for pool := range pools {
		if _, fixed := c.options.Budget[pool]; fixed || c.options.Room == nil {
			continue
		}
		if free, all, bound := c.options.Room(pool); bound {
			rooms = append(rooms, room{pool, free, all})
		}
	}
	return rooms
}

// budget is what models may take of each pool that has a bound; of those whose
// bound others leave, what they have and what is free.
func (c *Cache[M]) budget(rooms []room) Bytes {
	if len(rooms) == 0 {
		return c.options.Budget
	}
	budget := Bytes{}
	maps.Copy(budget, c.options.Budget)
	for _, r := range rooms {
		budget[r.pool] = min(c.charged[r.pool]+r.free, r.all)
	}
	return budget
}

// evictOver evicts idle models until need fits once they are closed, and
// reports whether it does; where it would not with every idle one gone, it
// evicts none. A need of nothing is for when a model took more than was
// expected of it.
func (c *Cache[M]) evictOver(budget, need Bytes) bool {
	left := maps.Clone(c.charged) // of what is not being closed
	least := maps.Clone(c.charged)
	for res := range c.resident {
		if res.closing {
			subtract(left, res.bytes)
		}
		if res.closing || c.evictable(res) {
			subtract(least, res.bytes)
		}
	}
	if len(need) > 0 && len(over(budget, least, need)) > 0 {
		return false
	}
	for {
		lacking := over(budget, left, need)
		if len(lacking) == 0 {
			return true
		}
		victim := c.victim(lacking)
		if victim == nil {
			return false
		}
		c.stats.EvictedForMemory++
		c.policy.Evicted(victim.priority)
		subtract(left, victim.bytes)
		c.evict(victim)
	}
}

// over lists the pools that need does not fit in beside what is taken; all
// that hold too much where it is nothing.
func over(budget, taken, need Bytes) (pools []string) {
	for pool, most := range budget {
		if taken[pool]+need[pool] > most && (need[pool] > 0 || len(need) == 0) {
			pools = append(pools, pool)
		}
	}
	return pools
}

// evictable reports whether nobody uses res or has pinned it.
func (c *Cache[M]) evictable(res *residency[M]) bool {
	return res.idle() && (c.options.Pinned == nil || !c.options.Pinned(res.reg.name))
}

func subtract(from, bytes Bytes) {
	for pool, n := range bytes {
		from[pool] -= n
	}
}

func (c *Cache[M]) noRoom(budget Bytes, pool string, need Bytes) error {
	return fmt.Errorf("%w: it takes %s of %s, %s are free of %s, and the rest is in use",
		ErrMemory, amount(need[pool]), pool, amount(max(0, budget[pool]-c.charged[pool])), amount(budget[pool]))
}

// victim returns the idle model to evict: of those that hold memory in one of
// the pools, the one of the lowest priority.
func (c *Cache[M]) victim(pools []string) (lowest *residency[M]) {
	for res := range c.resident {
		if lowest != nil && res.priority >= lowest.priority || !c.evictable(res) {
			continue
		}
		if slices.ContainsFunc(pools, func(pool string) bool { return res.bytes[pool] > 0 }) {
			lowest = res
		}
	}
	return lowest
}

// charge sets what a residency takes of the budget.
func (c *Cache[M]) charge(res *residency[M], bytes Bytes) {
	for pool, n := range res.bytes {
		c.charged[pool] -= n
	}
	res.size = 0
	for pool, n := range bytes {
		c.charged[pool] += n
		res.size += n
	}
	res.bytes = bytes
	c.resident[res] = struct{}{}
}

func (c *Cache[M]) refund(res *residency[M]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var none M
	res.model = none
	c.charge(res, nil)
	delete(c.resident, res)
	c.changedLocked()
}

// changedLocked wakes who waits for changed.
func (c *Cache[M]) changedLocked() {
	if c.waiting == 0 {
		return
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// evict ends an idle residency; its registration stays.
func (c *Cache[M]) evict(res *residency[M]) {
	if res.reg.res == res {
		res.reg.res = nil
	}
	c.closeLater(res)
}

// closeLater closes a model that nobody uses, beside the caller: the bytes
// come back when it is closed.
func (c *Cache[M]) closeLater(res *residency[M]) {
	res.closing = true
	c.goLocked(func() {
		_ = res.model.Close() // whoever made it says what is wrong with it: there is nobody here to tell
		c.refund(res)
		close(res.gone)
	})
}

// take puts a token into a channel, or returns why not.
func take(ctx context.Context, tokens chan struct{}) error {
	select {
	case tokens <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrClosed
	}
}

// amount writes bytes for people.
func amount(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.size)), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

var _ io.Closer = (*Cache[io.Closer])(nil)
