package clary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// live is an opened model, with what its clary.yaml and the settings say about
// it. open makes it, close ends it; in between it serves any number of
// requests at the same time.
type live struct {
	// What each request looks at stands together: of a thousand models most are
	// cold.
	name      string
	model     handler.Model
	linked    *pipeline.Linked // the models of a pipeline, in the place of model; nil for one model
	inputs    []runtime.Info   // nil when the model does not tell
	outputs   []runtime.Info   // after clary.yaml's post steps
	formats   *codec.Options
	accept    string // "" where nobody says
	timeout   time.Duration
	admission *admission
	metrics   *modelMetrics

	artifact *artifact.Artifact
	intraOp  int              // threads of one Run
	workers  int              // Runs at the same time
	sessions []*batch.Session // that ModelFn opened
	forget   func()           // ends the metrics, if they are the model's own
	took     time.Duration    // opening and warming

	device runtime.Device
	place  *placement // nil: it never got one
	arena  int64      // what it had taken of its GPU when it was opened

	held  *store.Held     // its place on disk; nil where it has none there
	ended func(err error) // told when it is closed; nil: nobody
}

// open makes the model at path, a .onnx file, a folder or a model.tar.gz,
// ready to serve. It is called what the artifact calls itself.
func (s *Server) open(ctx context.Context, path string) (*live, error) {
	a, err := artifact.Open(path, artifact.Limits{})
	if err != nil {
		return nil, fmt.Errorf("no model: %w", err)
	}
	return s.openArtifact(ctx, a, a.Name)
}

// openArtifact makes an artifact's model ready to serve: ModelFn, one Run.
// ONNX Runtime must have been started. Everything is closed again, the
// artifact too, when it fails, and when ctx ends.
func (s *Server) openArtifact(ctx context.Context, a *artifact.Artifact, name string) (m *live, err error) {
	return s.openOn(ctx, a, name, nil)
}

// openOn is openArtifact on one of these GPUs; nil: on what the settings and
// clary.yaml say.
func (s *Server) openOn(ctx context.Context, a *artifact.Artifact, name string, among []int) (m *live, err error) {
	begin := time.Now()
	options := s.sessionOptions(a)
	m = &live{
		name:      name,
		artifact:  a,
		accept:    configuredAccept(&s.cfg, a),
		timeout:   cmp.Or(s.cfg.Timeout, a.Config.Timeout),
		intraOp:   options.IntraOp,
		workers:   s.workers(a),
		admission: s.admissionFor(a),
	}
	defer func() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			m, err = nil, errors.Join(err, m.Close())
		}
	}()
	if m.formats, err = codecOptions(&s.cfg, a); err != nil {
		return m, err
	}
	if reflect.DeepEqual(m.formats, s.formats) {
		m.formats = s.formats // where all models look
	}
	if m.place, err = s.placed(a, &options, among); err != nil {
		return m, err
	}
	m.device = options.Device
	opener := opener{options: options, artifact: a, cfg: &s.cfg, log: s.log, pool: s.pool, workers: s.workers(a), spare: s.elastic(a) && !options.Device.CUDA}
	if m.model, err = callModelFn(ctx, s.handler, handler.Env{Dir: a.Dir, Path: a.Model, Config: a.Config, Open: opener.open}); err != nil {
		return m, fmt.Errorf("ModelFn: %w", err)
	}
	m.ask()
	if schema := s.cfg.SparkML; schema != nil && m.inputs != nil && m.outputs != nil {
		if err := schema.Check(m.inputs, m.outputs); err != nil {
			return m, fmt.Errorf("SAGEMAKER_SPARKML_SCHEMA: %w", err)
		}
	}
	if a.Config.Warmup == nil || *a.Config.Warmup {
		if err = s.warm(ctx, m, &opener); err != nil {
			return m, err
		}
	}
	if err = m.place.settle(opener.raw); err != nil {
		return m, err
	}
	m.arena = m.place.arenas()
	if m.sessions = opener.inner; s.plain && s.many == nil && s.conductor == nil {
		// The sessions bound the runs, and only the runs need to be bounded: all
		// that may wait for one are let in.
		m.admission = m.admission.open()
	}
	m.metrics, m.forget = s.metricsFor(m)
	m.metrics.sessions.join(m)
	m.took = time.Since(begin)
	m.metrics.loaded.Add(1)
	m.metrics.loading.Set(m.took.Seconds())
	return m, nil
}

// ask finds out what the model tells of itself.
func (m *live) ask() {
	if session, ok := m.model.(interface{ Inputs() []runtime.Info }); ok {
		m.inputs = session.Inputs()
	}
	if session, ok := m.model.(interface{ Outputs() []runtime.Info }); ok {
		m.outputs = session.Outputs()
	}
}

// Close frees what open made. Nobody may be inside any more.
func (m *live) Close() error {
	var err error
	if m.metrics != nil {
		m.metrics.sessions.leave(m)
	}
	if m.model != nil {
		err = m.model.Close()
	}
	if m.metrics != nil {
		m.metrics.loaded.Add(-1)
		m.forget()
	}
	if m.place != nil {
		m.place.release()
	}
	err = errors.Join(err, m.artifact.Close())
	if m.held != nil {
		m.held.Release()
	}
	if m.ended != nil {
		m.ended(err)
	}
	return err
}

// admissionFor is the model's own, or the one that many models share.
func (s *Server) admissionFor(a *artifact.Artifact) *admission {
	if s.many != nil {
		return s.many.admission
	}
	return newAdmission(s.workers(a), s.cfg.Queue)
}

// metricsFor makes the model's own metrics, or returns those that many models
// share: a series for each of thousands helps nobody who did not ask for it.
func (s *Server) metricsFor(m *live) (metrics *modelMetrics, forget func()) {
	switch {
	case s.many == nil:
		metrics = s.newMetrics(m.name, m.admission)
		return metrics, metrics.unregister
	case s.cfg.ModelMetrics:
		return s.many.byName.of(m.name, func() *modelMetrics { return s.newMetrics(m.name, m.admission) })
	}
	return s.many.metrics, func() {}
}

func (s *Server) newMetrics(name string, a *admission) *modelMetrics {
	return newModelMetrics(s.registry, name, func() float64 { return float64(s.gate.inside()) }, func() float64 { return float64(a.waiting.Load()) })
}

// logReady says once that m serves.
func (s *Server) logReady(m *live) {
	s.log.Info("ready", zap.String("model", m.name), zap.String("path", cmp.Or(m.artifact.Model, m.artifact.Dir)),
		zap.Duration("load_ms", m.took), zap.String("onnxruntime", onnx.Version()),
		zap.Int("workers", m.workers), zap.Int("intra_op_threads", m.intraOp), zap.Stringer("device", m.device))
	_ = s.log.Sync() // whoever waits for this line should not wait for the buffer
	releaseFiles()
}
