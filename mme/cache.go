package mme

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Cache holds registered models, as many of them resident as its budget
// has room for. Its methods may be called concurrently.
type Cache[M io.Closer] struct {
	source  Source[M]
	options Options
	policy  Policy

	base     context.Context // of everything that outlives its caller; ends with Close
	cancel   context.CancelFunc
	prepares chan struct{} // a token for each model being prepared
	opening  chan struct{} // a token while one is being opened

	mu       sync.Mutex // guards all below and all residencies; nothing slow runs under it
	regs     map[string]*registration[M]
	resident map[*residency[M]]struct{} // those that are charged to the budget
	charged  Bytes
	changed  chan struct{} // closed and made anew when there may be more room, or nothing runs any more
	waiting  int           // for changed
	working  int           // what runs beside the callers
	sweep    *time.Timer   // evicts what has been idle for too long; nil while nothing is
	failures failures
	stats    Stats
	closed   bool
}

// A registration is a name and where its model is.
type registration[M io.Closer] struct {
	res      *residency[M] // nil when evicted
	found    bool          // by the Source
	checking bool
	opened   bool      // at least once
	checked  time.Time // when the Source last told the version
	name     string
	spec     Spec
	last     *residency[M] // for what is told of an evicted one
}

// New returns an empty cache.
func New[M io.Closer](source Source[M], o Options) *Cache[M] {
	c := &Cache[M]{source: source, options: o, policy: o.Policy, regs: map[string]*registration[M]{},
		resident: map[*residency[M]]struct{}{}, charged: Bytes{}, changed: make(chan struct{}),
		prepares: make(chan struct{}, max(o.Prepares, 4)), opening: make(chan struct{}, 1)}
	if o.Prepares > 0 {
		c.prepares = make(chan struct{}, o.Prepares)
	}
	if c.policy == nil {
		c.policy = &LRU{}
	}
	c.base, c.cancel = context.WithCancel(context.Background())
	return c
}

// Load registers a model and opens it. A name that is registered is ErrLoaded;
// while it is being opened for the first time, Load waits for that, and tries
// itself if it fails. A failed load leaves no trace. With ctx only the waiting
// ends.
func (c *Cache[M]) Load(ctx context.Context, name, url string) error {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return ErrClosed
		}
		reg, there := c.regs[name]
		if there && (reg.opened || reg.found) {
			c.mu.Unlock()
			return fmt.Errorf("%w: %s", ErrLoaded, name)
		}
		if !there {
			reg = &registration[M]{name: name, spec: Spec{URL: url}}
			c.regs[name] = reg
			c.start(reg)
		}
		res := reg.res
		c.mu.Unlock()
		if err := wait(ctx, res.ready); err != nil {
			return err
		}
		switch {
		case !there:
			return res.err
		case res.err == nil:
			return fmt.Errorf("%w: %s", ErrLoaded, name)
		}
	}
}

// Acquire leases a model, opening it first where it is not resident. A name
// that nobody registered is looked for by the Source.
func (c *Cache[M]) Acquire(ctx context.Context, name string) (*Lease[M], error) {
	for {
		lease, res, err := c.lease(name)
		if err != nil {
			return nil, err
		}
		if lease != nil {
			return lease, nil
		}
		if res == nil {
			if err := c.find(ctx, name); err != nil {
				return nil, err
			}
			continue
		}
		return c.await(ctx, res)
	}
}

// lease leases what is ready. Otherwise it counts the caller among those who
// wait for the residency that it returns, or returns nil for a name that is
// not registered.
func (c *Cache[M]) lease(name string) (*Lease[M], *residency[M], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	reg, ok := c.regs[name]
	if !ok {
		return nil, nil, nil
	}
	if res := reg.res; res != nil && res.state == Ready {
		res.leases++
		c.stats.Hits++
		c.useLocked(res)
		c.recheckLater(reg, res.used)
		return &Lease[M]{cache: c, res: res}, nil, nil
	}
	if reg.res == nil {
		if reg.found && time.Since(reg.checked) >= c.options.Recheck { // it may be another by now
			delete(c.regs, name)
			return nil, nil, nil
		}
		c.start(reg)
	}
	reg.res.leases++ // nobody evicts it before it was used
	c.stats.Misses++
	return nil, reg.res, nil
}

// await waits for a residency that the caller is counted in already.
func (c *Cache[M]) await(ctx context.Context, res *residency[M]) (*Lease[M], error) {
	begin := time.Now()
	err := wait(ctx, res.ready)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.WaitTime += time.Since(begin)
	if err == nil {
		err = res.err
	}
	if err != nil {
		c.releaseLocked(res)
		return nil, err
	}
	c.useLocked(res)
	return &Lease[M]{cache: c, res: res}, nil
}

// find registers what the Source finds under a name.
func (c *Cache[M]) find(ctx context.Context, name string) error {
	spec, err := c.source.Find(ctx, name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if _, there := c.regs[name]; there { // someone was faster
		return nil
	}
	if err := c.failures.of(name, spec.Version); err != nil {
		return err
	}
	reg := &registration[M]{name: name, spec: spec, found: true, checked: time.Now()}
	c.regs[name] = reg
	c.start(reg)
	return nil
}

// Unload forgets a name at once, and returns when its memory is back: when the
// requests that use the model have ended and it is closed. With ctx only the
// waiting ends.
func (c *Cache[M]) Unload(ctx context.Context, name string) error {
	c.mu.Lock()
	reg, ok := c.regs[name]
	if !ok || !reg.opened && !reg.found {
		c.mu.Unlock()
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	delete(c.regs, name)
	c.stats.Unloads++
	res := reg.res
	if res != nil {
		c.retireLocked(res)
	}
	c.mu.Unlock()
	if res == nil {
		return nil
	}
	return wait(ctx, res.gone)
}

// retireLocked closes a residency as soon as nobody uses it.
func (c *Cache[M]) retireLocked(res *residency[M]) {
	res.retired = true
	if res.idle() {
		c.closeLater(res)
	}
}

// Close refuses further calls, gives up what is being prepared, waits for
// every lease to end and for every model to be closed.
func (c *Cache[M]) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.sweep != nil {
		c.sweep.Stop()
		c.sweep = nil
	}
	for name, reg := range c.regs {
		if reg.res != nil {
			c.retireLocked(reg.res)
		}
		delete(c.regs, name)
	}
	c.cancel()
	for c.working > 0 || len(c.resident) > 0 {
		changed := c.changed
		c.waiting++
		c.mu.Unlock()
		<-changed
		c.mu.Lock()
		c.waiting--
	}
	c.mu.Unlock()
	return nil
}

// goLocked runs f beside the caller; Close waits for it.
func (c *Cache[M]) goLocked(f func()) {
	c.working++
	go func() {
		f()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.working--; c.working == 0 {
			c.changedLocked()
		}
	}()
}

// List returns the registered models that have been open, by name.
func (c *Cache[M]) List() []Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]Info, 0, len(c.regs))
	for _, reg := range c.regs {
		if reg.opened {
			list = append(list, reg.info())
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Get describes one model; one that is on its way, too, and one of the
// Source's that failed to open. ErrUnknown for any other.
func (c *Cache[M]) Get(name string) (Info, error) {
	c.weigh()
	c.mu.Lock()
	defer c.mu.Unlock()
	if reg, ok := c.regs[name]; ok {
		return reg.info(), nil
	}
	if f, ok := c.failures.all[name]; ok {
		return Info{Name: name, Version: f.version, State: Failed, Reason: f.err.Error(), Found: true, Retry: f.until}, nil
	}
	return Info{}, fmt.Errorf("%w: %s", ErrUnknown, name)
}

func (reg *registration[M]) info() Info {
	i := Info{Name: reg.name, URL: reg.spec.URL, Version: reg.spec.Version, State: Evicted, Found: reg.found}
	res := reg.res
	if res == nil {
		res = reg.last
	}
	if res == nil {
		return i
	}
	i.Done, i.Total, i.Estimate, i.Loaded, i.Used, i.Took = res.done, res.total, maps.Clone(res.estimate), res.loaded, res.used, res.took
	if reg.res != nil {
		i.State, i.Leases = res.state, res.leases
		if res.state == Ready {
			i.Bytes = maps.Clone(res.bytes)
		}
	}
	return i
}

// Stats returns what has happened so far.
func (c *Cache[M]) Stats() Stats {
	c.weigh()
	c.mu.Lock()
	used := maps.Clone(c.charged)
	c.mu.Unlock()
	rooms := c.rooms(used)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Registered = len(c.regs)
	for res := range c.resident {
		if res.state == Ready && !res.closing {
			s.Ready++
		}
	}
	s.Used, s.Budget = maps.Clone(c.charged), maps.Clone(c.budget(rooms))
	return s
}

// wait waits for done, or for the end of ctx.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
