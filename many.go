package clary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/mme"
	"github.com/claryhq/clary/runtime"
	"go.uber.org/zap"
)

// many is what a server with many models has in place of its one.
type many struct {
	server    *Server
	source    *source
	cache     *mme.Cache[*live]
	admission *admission    // of all models
	metrics   *modelMetrics // of all models that have none of their own
	byName    namedMetrics  // of those that have
	preloads  sync.WaitGroup
}

// startCost is what ONNX Runtime takes once for the process, which the budget
// is made before.
const startCost = 16 << 20

// newMany returns the machinery of many models; nothing runs yet.
func newMany(s *Server) (*many, error) {
	cfg := &s.cfg
	m := &many{server: s, admission: newAdmission(cmp.Or(cfg.Workers, cores()), cfg.Queue)}
	if s.plain {
		m.admission = m.admission.open() // the sessions bound the runs
	}
	m.source = &source{server: s, roots: cfg.ModelRoots, started: make(chan struct{})}
	limit, from, err := memoryLimit("/")
	if err != nil && cfg.ModelMemory.bytes == 0 {
		return nil, fmt.Errorf("the memory for models: %w; CLARY_MODEL_MEMORY=2GiB or so sets it", err)
	}
	if cfg.ModelStore != "" {
		if m.source.store, err = store.Open(context.Background(), cfg.ModelStore); err != nil {
			return nil, fmt.Errorf("CLARY_MODEL_STORE: %w", err)
		}
		if m.source.disk, err = store.NewDisk(cfg.DiskCache, cmp.Or(cfg.DiskCacheSize.of(freeSpace(cfg.DiskCache)), freeSpace(cfg.DiskCache)/2)); err != nil {
			return nil, err
		}
	}
	resident, _ := residentBytes()
	budget := memoryBudget(cfg.ModelMemory, limit, resident+startCost)
	s.log.Info("memory for models", zap.Int64("bytes", budget), zap.Int64("limit", limit), zap.String("limit_from", from))
	var policy mme.Policy = &mme.LRU{}
	if cfg.Eviction == "gdsf" {
		policy = &mme.GDSF{}
	}
	m.cache = mme.New(m.source, mme.Options{
		Budget: mme.Bytes{hostPool: budget}, Room: m.source.room, Policy: policy, Patience: cfg.ModelPatience, Idle: cfg.ModelIdle, Recheck: cfg.StoreRecheck,
		Pinned: func(name string) bool { return slices.Contains(cfg.ModelPinned, name) },
	})
	m.metrics = s.newMetrics("", m.admission)
	s.registry.MustRegister(&cacheMetrics{cache: m.cache, byModel: cfg.ModelMetrics})
	return m, nil
}

// start lets models be opened, and opens those that are wanted at once.
func (m *many) start(ctx context.Context) {
	close(m.source.started)
	m.server.log.Info("ready for many models", zap.String("store", m.server.cfg.ModelStore))
	_ = m.server.log.Sync() // whoever waits for this line should not wait for the buffer
	for _, name := range m.server.cfg.ModelPreload {
		m.preloads.Go(func() {
			lease, err := m.cache.Acquire(ctx, name)
			if err != nil {
				m.server.log.Warn("a model could not be preloaded", zap.String("model", name), zap.Error(err))
				return
			}
			lease.Release()
		})
	}
}

// close ends every model; nobody may be inside any more.
func (m *many) close() error {
	err := m.cache.Close()
	m.preloads.Wait()
	if m.source.disk != nil {
		err = errors.Join(err, m.source.disk.Close())
	}
	return err
}

// named is the finder of a model by its name.
func (m *many) named(name string) finder {
	return func(ctx context.Context, _ *handler.Request) (*live, func(), error) {
		if timeout := m.server.cfg.Timeout; timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, timeout, errDeadline)
			defer cancel()
		}
		lease, err := m.cache.Acquire(ctx, name)
		if err != nil {
			return nil, nil, m.acquireError(name, err)
		}
		m.source.runs.Add(1)
		return lease.Model(), lease.Release, nil
	}
}

// acquireError says what it means for a request that its model cannot be
// opened: that it is unknown, that there is no memory, or that what it was
// found in is no model, of which the request is innocent.
func (m *many) acquireError(name string, err error) error {
	switch {
	case errors.Is(err, mme.ErrUnknown):
		return unknownModel(name)
	case errors.Is(err, mme.ErrMemory), errors.Is(err, mme.ErrPassing), errors.Is(err, errMissing):
		return err
	case errors.Is(err, runtime.ErrModel), errors.Is(err, store.ErrSpace):
		return &handler.StatusError{Status: http.StatusFailedDependency, Message: fmt.Sprintf("model %q cannot be opened: %v", name, err), Err: err}
	}
	return err
}

// target is the finder of POST /invocations: by X-Amzn-SageMaker-Target-Model
// or the query's model_name.
func (m *many) target(r *http.Request) finder {
	name := cmp.Or(r.Header.Get(headerTargetModel), r.URL.Query().Get("model_name"))
	if name == "" {
		return func(context.Context, *handler.Request) (*live, func(), error) {
			return nil, nil, fmt.Errorf("%w: which model? Give its name as X-Amzn-SageMaker-Target-Model or as model_name in the query", errHeader)
		}
	}
	return m.named(name)
}

// pathName returns the model's name in a path: opaque, it may hold anything
// that was escaped.
func pathName(r *http.Request, param string) (string, error) {
	if r.URL.RawPath == "" {
		return param, nil // unescaped already
	}
	return url.PathUnescape(param)
}
