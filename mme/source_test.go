package mme_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/claryhq/clary/mme"
)

// A model answers with its own name and version.
type model struct {
	source *source
	answer string
	bytes  int64
	there  int64        // of bytes, on a GPU
	grown  atomic.Int64 // there
	closed atomic.Bool
}

func (m *model) Grown() mme.Bytes {
	if m.there == 0 {
		return nil
	}
	return mme.Bytes{"cuda:0": m.grown.Load()}
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
	m.source.there.Add(-m.there - m.grown.Load())
	return nil
}

// A source opens models of 10 bytes, 15 while opening, but for those whose
// names say otherwise; those of "gpu" take 10 there too.
type source struct {
	mu       sync.Mutex
	versions map[string]string // of those that can be found
	broken   map[string]error  // what opening fails with
	gates    map[string]chan struct{}

	finds, opens, prepared atomic.Int64
	open, bytes, there     atomic.Int64 // models now, theirs, and theirs on a GPU
	large                  atomic.Int64 // what has turned out of those that take more there
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
	if strings.HasPrefix(p.name, "gpularge") {
		return mme.Bytes{"host": 15, "cuda:0": 10 + p.source.large.Load()}
	}
	if strings.HasPrefix(p.name, "gpu") {
		return mme.Bytes{"host": 15, "cuda:0": 10}
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
	if strings.HasPrefix(p.name, "gpu") {
		m.there = 10
		if strings.HasPrefix(p.name, "gpularge") { // than expected
			m.there = 30
		}
		if s.there.Add(m.there) > 45 {
			s.there.Add(-m.there)
			s.open.Add(-1)
			s.bytes.Add(-m.bytes)
			s.large.Add(10)
			return nil, nil, fmt.Errorf("%w: there", mme.ErrRoom)
		}
		return m, mme.Bytes{"host": m.bytes, "cuda:0": m.there}, nil
	}
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
