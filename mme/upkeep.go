package mme

import (
	"errors"
	"time"
)

// sweepLater lets what becomes idle now be evicted when its time is up.
func (c *Cache[M]) sweepLater() {
	if c.options.Idle <= 0 || c.sweep != nil || c.closed {
		return
	}
	c.sweep = time.AfterFunc(c.options.Idle, c.sweepIdle)
}

// sweepIdle evicts what has been idle for too long, and comes back for the
// next.
func (c *Cache[M]) sweepIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.sweep = nil
	now, next := time.Now(), time.Duration(-1)
	for res := range c.resident {
		if !c.evictable(res) {
			continue
		}
		left := c.options.Idle - now.Sub(res.used)
		if left <= 0 {
			c.stats.EvictedIdle++
			c.evict(res)
		} else if next < 0 || left < next {
			next = left
		}
	}
	if next > 0 {
		c.sweep = time.AfterFunc(next, c.sweepIdle)
	}
}

// recheckLater asks the Source whether a found model has changed, beside the
// callers and only when it has not been asked for a while.
func (c *Cache[M]) recheckLater(reg *registration[M], now time.Time) {
	if !reg.found || reg.checking || now.Sub(reg.checked) < c.options.Recheck {
		return
	}
	reg.checking = true
	c.goLocked(func() {
		spec, err := c.source.Find(c.base, reg.name)
		c.mu.Lock()
		defer c.mu.Unlock()
		reg.checking, reg.checked = false, time.Now()
		if c.regs[reg.name] != reg || err != nil && !errors.Is(err, ErrUnknown) || err == nil && spec.Version == reg.spec.Version {
			return
		}
		// The old one serves until its leases end; the next request opens the
		// new one, if there is any.
		if res := reg.res; res != nil && res.state == Ready {
			c.stats.EvictedChanged++
			c.retireLocked(res)
		}
		delete(c.regs, reg.name)
	})
}
