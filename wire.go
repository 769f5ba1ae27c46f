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
	"slices"
	"sync"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// load makes the configured model ready to serve; a server with many models
// then opens them as they come.
func (s *Server) load(ctx context.Context) error {
	if s.conductor != nil {
		return s.conductor.load(ctx)
	}
	if err := s.startRuntime(); err != nil {
		return err
	}
	if s.many != nil {
		s.many.start(ctx)
		return nil
	}
	m, err := s.open(ctx, s.cfg.Model)
	if ctx.Err() != nil {
		return nil // the server is stopping; that is no failure to load
	}
	if err != nil {
		return err
	}
	m.metrics.setup.Set(time.Since(s.started).Seconds())
	s.model.Store(m)
	s.logReady(m)
	return nil
}

// startRuntime loads ONNX Runtime, which unload stops.
func (s *Server) startRuntime() error {
	countByBus()
	if err := onnx.Start(libraryPath(s.cfg.Library)); err != nil {
		return err
	}
	registerBuild(s.registry, onnx.Version())
	return s.startDevices()
}

// unload closes what load made.
func (s *Server) unload() error {
	var err error
	if m := s.model.Swap(nil); m != nil {
		err = m.Close()
	}
	if s.many != nil {
		err = s.many.close()
	}
	if s.conductor != nil {
		err = s.conductor.close()
	}
	return errors.Join(err, s.devices.close(), onnx.Stop())
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

// An opener is the Open of a handler.Env; it remembers what it opened, so
// that every session is warmed. The artifact's own model gets the steps behind
// it that clary.yaml says.
type opener struct {
	options  onnx.Options
	artifact *artifact.Artifact
	cfg      *Config
	log      *zap.Logger
	pool     *batch.Pool
	workers  int  // runs at the same time
	spare    bool // the threads of a run are the server's to choose

	mu     sync.Mutex // guards what follows
	opened []runtime.Session
	inner  []*batch.Session
	raw    []*onnx.Session // of all of them
	beside []*onnx.Session // those of streams that come behind their first
}

func (o *opener) open(ctx context.Context, path string) (runtime.Session, error) {
	opened, err := o.openStreams(ctx, path)
	if err != nil {
		return nil, err
	}
	inner, err := o.batched(ctx, path, opened)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	var session runtime.Session = inner
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
	o.opened, o.inner = append(o.opened, session), append(o.inner, inner)
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

// warm runs what was opened on zeros, so that the first request finds memory
// allocated and code paged in, each of a model's streams. A model that has no
// memory for one row is none that can serve; what else fails is for requests to
// find.
func (s *Server) warm(ctx context.Context, m *live, o *opener) error {
	sessions := slices.Clone(o.opened)
	for _, one := range o.beside {
		sessions = append(sessions, one)
	}
	for _, session := range sessions {
		for i, rows := range append([]int{1}, m.artifact.Config.Batches...) {
			err := warmRows(ctx, session, rows)
			if i == 0 && errors.Is(err, runtime.ErrMemory) {
				return fmt.Errorf("the warming Run: %w", err)
			}
			if s.noteLost(err); err != nil {
				s.log.Warn("the warming Run failed; the first request will be slower", zap.String("model", m.name), zap.Int("rows", rows), zap.Error(err))
				break
			}
		}
	}
	return nil
}

// warmRows runs a session once on so many rows, if its first dimension is open.
// Other open dimensions are taken as 1.
func warmRows(ctx context.Context, session runtime.Session, rows int) error {
	in := make([]runtime.Tensor, 0, len(session.Inputs()))
	for _, info := range session.Inputs() {
		shape := make([]int, len(info.Shape))
		for i, d := range info.Shape {
			shape[i] = d
			if d < 0 && i == 0 {
				shape[i] = rows
			} else if d < 0 {
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
