package clary

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/front"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime/batch"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// A Server answers the SageMaker container contract for one model or for many. It is made
// by New, which listens, and lives through one Run.
type Server struct {
	cfg      Config
	handler  handler.Handler
	log      *zap.Logger
	lines    *core // of the log, for requests; nil: it is somebody else's
	registry *prometheus.Registry
	started  time.Time

	listener *conns
	front    *front.Server
	cut      context.CancelCauseFunc // ends every request's context

	devices   *devices   // what models run on, once ONNX Runtime has been started
	many      *many      // nil: one model
	conductor *conductor // nil: no pipeline

	pool      *batch.Pool // permits for Runs
	bodies    bodies
	hold      *hold                // of bodies
	scratches sync.Pool            // of *scratch
	formats   *codec.Options       // of models whose clary.yaml says nothing of formats
	plain     bool                 // the handler is handler.Default: what its stages return is the server's own
	gate      gate                 // counts the invocations inside; shut while draining
	model     atomic.Pointer[live] // nil until loaded and warmed, and again after closing
	drains    atomic.Bool
	lost      atomic.Bool // a GPU that models run on is no more
}

// Limits of HTTP that no setting moves.
const (
	maxHeaderBytes = 64 << 10
	headerTimeout  = 10 * time.Second
	idleTimeout    = 5 * time.Minute
)

// cutTimeout is how long, at the end, requests that were cut off may take to
// notice and replies that were written to leave.
const cutTimeout = 2 * time.Second

// New returns a server that already listens, so that a taken port is an error
// here and not later, and that answers nothing before Run.
func New(cfg Config, h handler.Handler, log *zap.Logger) (*Server, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	base, cut := context.WithCancelCause(context.Background())
	s := newServer(cfg, h, log)
	s.listener, s.cut = newConns(listener), cut
	if cfg.ManyModels() {
		if s.many, err = newMany(s); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	if s.conductor, err = newConductor(s); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.front = front.New(&http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       patience, // readAll moves it on for large bodies
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withRoute,
		ErrorLog:          stdlog.New(io.Discard, "", 0), // what clients do to their connections
	})
	return s, nil
}

// newServer returns a server that does not listen.
func newServer(cfg Config, h handler.Handler, log *zap.Logger) *Server {
	s := &Server{cfg: cfg, handler: h, log: log, registry: newRegistry(), pool: batch.NewPool(cores()), hold: &hold{most: cfg.QueueBytes}, started: time.Now()}
	_, s.plain = h.(handler.Default)
	s.lines, _ = log.Core().(*core)
	s.formats, _ = codecOptions(&s.cfg, new(artifact.Artifact)) // without one, every model has its own
	return s
}

// Addr is the address on which the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends. It loads the model while /ping already answers
// 503; a model that cannot be loaded ends Run with an error. When ctx ends,
// /ping turns to 503, new requests are refused, and those inside are finished
// within the drain timeout; what is then still running is cut off, which Run
// reports. It returns with everything closed.
func (s *Server) Run(ctx context.Context) error {
	s.log.Info("listening", zap.String("addr", s.Addr().String()), zap.String("version", Version))
	_ = s.log.Sync() // whoever waits for this line should not wait for the buffer

	watching, unwatch := context.WithCancel(context.Background())
	var watched sync.WaitGroup
	watched.Go(func() { s.listener.watch(watching) })
	defer watched.Wait()
	defer unwatch()

	failed := make(chan error, 3)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := s.front.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("the listener failed: %w", err)
		}
	}()
	late := time.AfterFunc(s.cfg.StartupTimeout, func() { failed <- errLate })
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		if err := s.load(ctx); err != nil {
			failed <- err
		}
		late.Stop()
	}()

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	if errors.Is(err, errLate) {
		// Opening a session cannot be interrupted: there is no waiting for it.
		return errors.Join(fmt.Errorf("%w of %v (SAGEMAKER_STARTUP_TIMEOUT)", err, s.cfg.StartupTimeout), s.conductor.abandon())
	}
	err = errors.Join(err, s.drain(), s.front.Close())
	<-stopped
	<-loaded
	return errors.Join(err, s.unload())
}

// drain refuses new requests and waits for those inside.
func (s *Server) drain() error {
	s.drains.Store(true)
	s.front.CloseAfterReplies()
	empty := s.gate.close()
	if n := s.gate.inside(); n > 0 {
		s.log.Info("draining", zap.Int("requests", n))
	}
	timer := time.NewTimer(s.cfg.DrainTimeout)
	defer timer.Stop()
	var lost error
	select {
	case <-empty:
	case <-timer.C:
		lost = fmt.Errorf("%d requests were cut off: they were not finished within %v (CLARY_DRAIN_TIMEOUT)", s.gate.inside(), s.cfg.DrainTimeout)
		s.cut(errCut)
		timer.Reset(cutTimeout) // a Run ends at its next operator
		select {
		case <-empty:
		case <-timer.C:
		}
	}
	// Let what was answered last reach its clients.
	ctx, cancel := context.WithTimeout(context.Background(), cutTimeout)
	defer cancel()
	if err := s.front.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(lost, err)
	}
	return lost
}
