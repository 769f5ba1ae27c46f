package clary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// live is the model being served, with what its clary.yaml and the settings
// say about it.
type live struct {
	name      string
	artifact  *artifact.Artifact
	model     handler.Model
	inputs    []runtime.Info // nil when the model does not tell
	outputs   []runtime.Info // after clary.yaml's post steps
	formats   *codec.Options
	accept    string // "" where nobody says
	timeout   time.Duration
	admission *admission
	metrics   *modelMetrics
}

// load makes the model ready to serve: artifact, library, ModelFn, one Run.
// What it opened is closed again when it fails.
func (s *Server) load(ctx context.Context) (err error) {
	begin := time.Now()
	a, err := artifact.Open(s.cfg.Model, artifact.Limits{})
	if err != nil {
		return fmt.Errorf("no model: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := onnx.Start(libraryPath(s.cfg.Library)); err != nil {
		return err
	}
	registerBuild(s.registry, onnx.Version())

	m := s.newLive(a)
	if m.formats, err = codecOptions(&s.cfg, a); err != nil {
		return err
	}
	opener := opener{options: s.sessionOptions(a), artifact: a, cfg: &s.cfg}
	if m.model, err = callModelFn(ctx, s.handler, handler.Env{Dir: a.Dir, Path: a.Model, Config: a.Config, Open: opener.open}); err != nil {
		return fmt.Errorf("ModelFn: %w", err)
	}
	if session, ok := m.model.(interface{ Inputs() []runtime.Info }); ok {
		m.inputs = session.Inputs()
	}
	if session, ok := m.model.(interface{ Outputs() []runtime.Info }); ok {
		m.outputs = session.Outputs()
	}
	if schema := s.cfg.SparkML; schema != nil && m.inputs != nil && m.outputs != nil {
		if err := schema.Check(m.inputs, m.outputs); err != nil {
			return errors.Join(fmt.Errorf("SAGEMAKER_SPARKML_SCHEMA: %w", err), m.model.Close())
		}
	}
	if a.Config.Warmup == nil || *a.Config.Warmup {
		for _, session := range opener.opened {
			if err := warm(ctx, session); err != nil {
				s.log.Warn("the warming Run failed; the first request will be slower", zap.String("model", m.name), zap.Error(err))
			}
		}
	}
	if ctx.Err() != nil { // the server is stopping; that is no failure to load
		return errors.Join(m.model.Close(), a.Close())
	}
	m.metrics.loaded.Set(1)
	m.metrics.loading.Set(time.Since(begin).Seconds())
	m.metrics.setup.Set(time.Since(s.started).Seconds())
	s.model.Store(m)
	s.log.Info("ready", zap.String("model", m.name), zap.String("path", cmp.Or(a.Model, a.Dir)),
		zap.Duration("load_ms", time.Since(begin)), zap.String("onnxruntime", onnx.Version()),
		zap.Int("workers", cap(m.admission.slots)), zap.Int("intra_op_threads", opener.options.IntraOp))
	_ = s.log.Sync() // whoever waits for this line should not wait for the buffer
	return nil
}

// newLive decides what clary.yaml and the settings leave open.
func (s *Server) newLive(a *artifact.Artifact) *live {
	m := &live{
		name:      a.Name,
		artifact:  a,
		accept:    configuredAccept(&s.cfg, a),
		timeout:   cmp.Or(s.cfg.Timeout, a.Config.Timeout),
		admission: newAdmission(s.workers(a), s.cfg.Queue),
	}
	m.metrics = newModelMetrics(s.registry, m.name,
		func() float64 { return float64(s.gate.inside()) },
		func() float64 { return float64(m.admission.waiting.Load()) })
	return m
}

func (s *Server) workers(a *artifact.Artifact) int {
	return cmp.Or(s.cfg.Workers, a.Config.Workers, cores())
}

// sessionOptions divides the cores among the workers: as many threads inside
// each Run as there are cores for each worker.
func (s *Server) sessionOptions(a *artifact.Artifact) onnx.Options {
	c := a.Config.Session
	return onnx.Options{
		IntraOp:  cmp.Or(s.cfg.IntraOpThreads, c.IntraOpThreads, max(1, cores()/s.workers(a))),
		InterOp:  cmp.Or(c.InterOpThreads, 1),
		Spin:     c.Spinning != nil && *c.Spinning,
		Optimize: cmp.Or(s.cfg.Optimization, c.Optimization, "all"),
		Root:     a.Dir,
		Config:   c.Config,
	}
}

// unload closes what load made.
func (s *Server) unload() error {
	m := s.model.Swap(nil)
	if m == nil {
		return onnx.Stop()
	}
	return errors.Join(m.model.Close(), m.artifact.Close(), onnx.Stop())
}

// An opener is the Open of a handler.Env; it remembers what it opened, so
// that every session is warmed. The artifact's own model gets the steps behind
// it that clary.yaml says.
type opener struct {
	options  onnx.Options
	artifact *artifact.Artifact
	cfg      *Config

	mu     sync.Mutex // guards opened
	opened []runtime.Session
}

func (o *opener) open(ctx context.Context, path string) (runtime.Session, error) {
	var session runtime.Session
	session, err := onnx.Open(ctx, path, o.options)
	if err != nil {
		return nil, err
	}
	if filepath.Clean(path) == o.artifact.Model {
		chain, err := outputChain(o.cfg, o.artifact, session.Outputs())
		if err != nil {
			return nil, errors.Join(err, session.Close())
		}
		if chain != nil {
			session = chain.Session(session)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = append(o.opened, session)
	return session, nil
}

// callModelFn turns a panic in a user's ModelFn into an error.
func callModelFn(ctx context.Context, h handler.Handler, env handler.Env) (m handler.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	if m, err = h.ModelFn(ctx, env); err == nil && m == nil {
		err = errors.New("ModelFn returned no model and no error")
	}
	return m, err
}

// warm runs a session once on zeros, so that the first request finds memory
// allocated and code paged in. Open dimensions are taken as 1.
func warm(ctx context.Context, session runtime.Session) error {
	in := make([]runtime.Tensor, 0, len(session.Inputs()))
	for _, info := range session.Inputs() {
		shape := make([]int, len(info.Shape))
		for i, d := range info.Shape {
			shape[i] = d
			if d < 0 {
				shape[i] = 1
			}
		}
		n, err := runtime.Elements(shape)
		if err != nil {
			return err
		}
		in = append(in, runtime.Tensor{Name: info.Name, Shape: shape, Data: runtime.Make(info.DType, n)})
	}
	_, err := session.Run(ctx, in, nil)
	return err
}

// libraryName is what ONNX Runtime's library is called beside the binary.
func libraryName(goos string) string {
	if goos == "darwin" {
		return "libonnxruntime.1.dylib"
	}
	return "libonnxruntime.so.1"
}

// libraryPath returns the ONNX Runtime library to load: the one configured,
// else the one beside the binary, else a name for the system to find.
func libraryPath(configured string) string {
	if configured != "" {
		return configured
	}
	name := libraryName(goruntime.GOOS)
	exe, err := os.Executable()
	if err != nil {
		return name
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return name
	}
	beside := filepath.Join(filepath.Dir(exe), name)
	if info, err := os.Stat(beside); err != nil || !info.Mode().IsRegular() {
		return name
	}
	return beside
}
