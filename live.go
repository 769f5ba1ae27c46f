package clary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// live is an opened model, with what its clary.yaml and the settings say about
// it. open makes it, close ends it; in between it serves any number of
// requests at the same time.
type live struct {
	name      string
	artifact  *artifact.Artifact
	model     handler.Model
	inputs    []runtime.Info // nil when the model does not tell
	outputs   []runtime.Info // after clary.yaml's post steps
	formats   *codec.Options
	accept    string // "" where nobody says
	timeout   time.Duration
	intraOp   int // threads of one Run
	admission *admission
	metrics   *modelMetrics
	took      time.Duration // opening and warming
}

// open makes the model at path, a .onnx file, a folder or a model.tar.gz,
// ready to serve: artifact, ModelFn, one Run. It is called name, or what the
// artifact calls itself where name is empty. ONNX Runtime must have been
// started. What it opened is closed again when it fails, and when ctx ends.
func (s *Server) open(ctx context.Context, path, name string) (m *live, err error) {
	begin := time.Now()
	a, err := artifact.Open(path, artifact.Limits{})
	if err != nil {
		return nil, fmt.Errorf("no model: %w", err)
	}
	options := s.sessionOptions(a)
	m = &live{
		name:      cmp.Or(name, a.Name),
		artifact:  a,
		accept:    configuredAccept(&s.cfg, a),
		timeout:   cmp.Or(s.cfg.Timeout, a.Config.Timeout),
		intraOp:   options.IntraOp,
		admission: newAdmission(s.workers(a), s.cfg.Queue),
	}
	defer func() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			m, err = nil, errors.Join(err, m.close())
		}
	}()
	if m.formats, err = codecOptions(&s.cfg, a); err != nil {
		return m, err
	}
	opener := opener{options: options, artifact: a, cfg: &s.cfg}
	if m.model, err = callModelFn(ctx, s.handler, handler.Env{Dir: a.Dir, Path: a.Model, Config: a.Config, Open: opener.open}); err != nil {
		return m, fmt.Errorf("ModelFn: %w", err)
	}
	if session, ok := m.model.(interface{ Inputs() []runtime.Info }); ok {
		m.inputs = session.Inputs()
	}
	if session, ok := m.model.(interface{ Outputs() []runtime.Info }); ok {
		m.outputs = session.Outputs()
	}
	if schema := s.cfg.SparkML; schema != nil && m.inputs != nil && m.outputs != nil {
		if err := schema.Check(m.inputs, m.outputs); err != nil {
			return m, fmt.Errorf("SAGEMAKER_SPARKML_SCHEMA: %w", err)
		}
	}
	if a.Config.Warmup == nil || *a.Config.Warmup {
		for _, session := range opener.opened {
			if err := warm(ctx, session); err != nil {
				s.log.Warn("the warming Run failed; the first request will be slower", zap.String("model", m.name), zap.Error(err))
			}
		}
	}
	m.metrics = newModelMetrics(s.registry, m.name,
		func() float64 { return float64(s.gate.inside()) },
		func() float64 { return float64(m.admission.waiting.Load()) })
	m.took = time.Since(begin)
	m.metrics.loaded.Set(1)
	m.metrics.loading.Set(m.took.Seconds())
	return m, nil
}

// close frees what open made. Nobody may be inside any more.
func (m *live) close() error {
	var err error
	if m.model != nil {
		err = m.model.Close()
	}
	if m.metrics != nil {
		m.metrics.unregister()
	}
	return errors.Join(err, m.artifact.Close())
}

// logReady says once that m serves.
func (s *Server) logReady(m *live) {
	s.log.Info("ready", zap.String("model", m.name), zap.String("path", cmp.Or(m.artifact.Model, m.artifact.Dir)),
		zap.Duration("load_ms", m.took), zap.String("onnxruntime", onnx.Version()),
		zap.Int("workers", cap(m.admission.slots)), zap.Int("intra_op_threads", m.intraOp))
	_ = s.log.Sync() // whoever waits for this line should not wait for the buffer
	releaseCode()
}
