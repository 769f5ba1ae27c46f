package clary

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/mme"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// hostPool is the pool of memory that models on the CPU take.
const hostPool = "host"

// A source is where the models of a server with many come from: paths that
// were registered, and the store's objects.
type source struct {
	server  *Server
	roots   []string      // where registered paths may lead
	started chan struct{} // closed when ONNX Runtime has been started
	store   store.Store   // nil: none
	disk    *store.Disk   // of what the store gave
	learner learner
	gpus    learner      // of what models take on a GPU
	sizes   sizes        // what each has taken there, without a part of its own
	runs    atomic.Int64 // Runs begun so far: those during an opening blur what it took
}

var _ mme.Source[*live] = (*source)(nil)

// Find looks into the store.
func (s *source) Find(ctx context.Context, name string) (mme.Spec, error) {
	if s.store == nil {
		return mme.Spec{}, unknownModel(name)
	}
	o, err := s.store.Stat(ctx, name)
	if err != nil {
		return mme.Spec{}, storeError(name, err)
	}
	return mme.Spec{URL: strings.TrimSuffix(s.store.String(), "/") + "/" + name, Version: o.Version}, nil
}

// storeError says what a store's error means for the request. What says
// nothing of the model itself passes.
func storeError(name string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return unknownModel(name)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrRefused), errors.Is(err, store.ErrChanged):
		return fmt.Errorf("%w: %w", mme.ErrPassing, err)
	case errors.Is(err, store.ErrSpace):
		return fmt.Errorf("%w: %w", mme.ErrMemory, err)
	}
	return err
}

// Prepare opens the artifact: it fetches what is the store's, and unpacks
// archives.
func (s *source) Prepare(ctx context.Context, name string, spec mme.Spec, progress func(done, total int64)) (mme.Prepared[*live], error) {
	p := &prepared{source: s, name: name, spec: spec}
	var path string
	var err error
	if spec.Version == "" {
		path, err = insideRoots(s.roots, spec.URL)
	} else if p.held, err = s.fetch(ctx, name, spec, progress); err == nil {
		path = p.held.Path
	}
	if err != nil {
		return nil, err
	}
	onnx.Background(false, func() { p.artifact, err = artifact.Open(path, artifact.Limits{}) })
	if err != nil {
		p.Discard()
		return nil, badModel{err}
	}
	p.measure()
	select {
	case <-s.started:
		return p, nil
	case <-ctx.Done():
		p.Discard()
		return nil, context.Cause(ctx)
	}
}

// logEvery is how often a long fetch says how far it is.
const logEvery = 10 * time.Second

func (s *source) fetch(ctx context.Context, name string, spec mme.Spec, progress func(done, total int64)) (*store.Held, error) {
	log, said := s.server.log, time.Now()
	tell := func(done, total int64) {
		progress(done, total)
		if time.Since(said) > logEvery {
			said = time.Now()
			log.Info("fetching", zap.String("model", name), zap.Int64("bytes", done), zap.Int64("of", total))
		}
	}
	held, err := s.disk.Fetch(ctx, s.store, store.Object{Name: name, Version: spec.Version}, tell)
	if err != nil {
		if err = storeError(name, err); !errors.Is(err, mme.ErrPassing) && !errors.Is(err, mme.ErrMemory) && !errors.Is(err, mme.ErrUnknown) {
			err = badModel{err}
		}
		return nil, err
	}
	return held, nil
}

// badModel is an artifact that holds no model that can be served.
type badModel struct{ error }

func (b badModel) Is(target error) bool { return target == runtime.ErrModel }
func (b badModel) Unwrap() error        { return b.error }

// A prepared model is one whose artifact is open.
type prepared struct {
	source   *source
	name     string
	spec     mme.Spec
	held     *store.Held // nil: not the store's
	artifact *artifact.Artifact
	peak     int64 // bytes; 0 where the handler alone knows its model
	steady   int64
	gpu      runtime.Device // where it goes, if that is a GPU
	there    int64          // bytes that it will take of it
	wrong    error          // with where it is to go
}

// measure finds out what opening will take.
func (p *prepared) measure() {
	if p.artifact.Model == "" {
		return
	}
	// What is wrong with the file is for Open to say.
	if g, err := onnx.Read(p.artifact.Model, p.artifact.Dir); err == nil {
		p.peak, p.steady = g.Peak(), g.Steady()
	}
}

// Estimate is the peak, as earlier models have taught, and where the model goes
// to a GPU what it takes there.
func (p *prepared) Estimate() mme.Bytes {
	b := mme.Bytes{hostPool: p.source.learner.apply(p.peak)}
	if p.pick(); p.wrong != nil {
		return mme.Bytes{hostPool: 0} // nobody gives way for what Open refuses
	}
	if p.gpu.CUDA {
		b[p.gpu.String()] = p.there
	}
	return b
}

// Discard closes the artifact.
func (p *prepared) Discard() {
	if p.artifact != nil {
		if err := p.artifact.Close(); err != nil {
			p.source.server.log.Warn("what was unpacked is not gone", zap.String("model", p.name), zap.Error(err))
		}
	}
	if p.held != nil {
		p.held.Release()
	}
}

// Open opens the model in the background of the requests that run, and
// measures what it takes.
func (p *prepared) Open(ctx context.Context) (*live, mme.Bytes, error) {
	s := p.source
	if p.wrong != nil {
		s.server.noteLost(p.wrong)
		p.Discard()
		return nil, nil, p.wrong
	}
	var m *live
	var err error
	took := mme.Bytes{}
	free, all, _ := s.room(p.gpu.String())
	took[hostPool] = s.measured(p, func() {
		// Threads that ONNX Runtime makes now inherit the priority for good.
		background := func(f func()) { onnx.Background(!p.gpu.CUDA, f) } // a driver's calls are not to be interrupted
		if o := s.server.sessionOptions(p.artifact); o.IntraOp > 1 || o.InterOp > 1 {
			background = func(f func()) { f() }
		}
		if !p.gpu.CUDA {
			background(func() { m, err = s.server.openArtifact(ctx, p.artifact, p.name) })
			return
		}
		took[p.gpu.String()] = s.measuredThere(p, func() {
			background(func() { m, err = s.server.openOn(ctx, p.artifact, p.name, []int{p.gpu.Index}) })
		})
	})
	if err != nil {
		if p.held != nil {
			p.held.Release()
		}
		s.server.noteLost(err)
		s.server.log.Warn("a model failed to load", zap.String("model", p.name), zap.Error(err))
		if p.gpu.CUDA && p.gpu.Limit == 0 && errors.Is(err, runtime.ErrMemory) {
			err = s.wantsMore(p, max(free+1<<20, min(2*p.there, all)), err)
		}
		return nil, nil, memoryError(err)
	}
	if p.gpu.CUDA && p.gpu.Limit == 0 {
		s.sizes.set(p.spec, sized{bytes: took[p.gpu.String()]})
	}
	m.held = p.held
	m.ended = func(err error) {
		if err != nil {
			s.server.log.Warn("a model did not close well", zap.String("model", p.name), zap.Error(err))
		}
		s.server.log.Info("unloaded", zap.String("model", p.name))
		giveBack()
	}
	s.server.logReady(m)
	return m, took, nil
}

// memoryError lets what ran out of memory be the cache's error for that.
func memoryError(err error) error {
	if errors.Is(err, runtime.ErrMemory) {
		return fmt.Errorf("%w: %w", mme.ErrMemory, err)
	}
	return err
}

// unknownModel is a name that nothing is known by; the text is MMS's, which
// AWS's tests compare.
type unknownModel string

func (u unknownModel) Error() string        { return "Model not found: " + string(u) }
func (u unknownModel) Is(target error) bool { return target == mme.ErrUnknown }
