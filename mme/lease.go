package mme

import (
	"io"
	"time"
)

// A residency is one opening of a model and the life that follows. All its
// fields but the channels are guarded by the cache's lock. What each use looks
// at stands together: of a thousand models most are cold.
type residency[M io.Closer] struct {
	state    State
	model    M
	leases   int // callers that use it or wait for it
	used     time.Time
	count    int64
	size     int64 // of bytes, in all pools
	took     time.Duration
	priority float64
	retired  bool // closes with its last lease
	closing  bool

	reg   *registration[M]
	ready chan struct{} // closed when it is open or err says why not
	gone  chan struct{} // closed when its memory is back, or it never had any

	err      error
	done     int64 // bytes fetched, of total
	total    int64
	estimate Bytes
	bytes    Bytes // charged to the budget
	opened   Bytes // what it took when it was opened
	began    time.Time
	loaded   time.Time
}

// idle reports whether it may be evicted, were it not pinned.
func (r *residency[M]) idle() bool { return r.state == Ready && r.leases == 0 && !r.closing }

// A Lease keeps a model open until Release.
type Lease[M io.Closer] struct {
	cache    *Cache[M]
	res      *residency[M]
	released bool // guarded by the cache's lock
}

// Model is the leased model.
func (l *Lease[M]) Model() M { return l.res.model }

// Release ends the lease. A second one is a bug in the caller, and panics.
func (l *Lease[M]) Release() {
	c := l.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.released {
		panic("mme: the lease of " + l.res.reg.name + " was released twice")
	}
	l.released = true
	c.releaseLocked(l.res)
}

// releaseLocked takes one lease back.
func (c *Cache[M]) releaseLocked(r *residency[M]) {
	if r.leases--; r.leases > 0 {
		return
	}
	switch {
	case r.retired && r.state == Ready && !r.closing:
		c.closeLater(r)
	case r.state == Ready:
		c.sweepLater()
		c.changedLocked()
	}
}

// useLocked counts a use of what is ready.
func (c *Cache[M]) useLocked(r *residency[M]) {
	r.used = time.Now()
	r.count++
	r.priority = c.policy.Used(Use{Count: r.count, Bytes: r.size, Reload: r.took})
}
