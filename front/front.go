// Package front stands before net/http and answers by itself what nearly every
// request to a model is: one of the plainest HTTP/1.1, whose body's length is
// announced, on a connection that stays open. All else, from a chunked body to a
// malformed header, goes to an [http.Server] with every byte that has come, and
// so is answered as net/http answers it.
//
// It is there for what net/http costs besides the system's calls, most of the
// processor time of a small request: a goroutine that reads beside the handler
// in order to see the client go, deadlines that move, two buffers and the maps
// of headers. Here a clock that ticks for all connections together looks after
// those whose requests take long.
package front

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// tick is how often connections are looked at.
const tick = 50 * time.Millisecond

// A Server serves connections until Shutdown or Close, once.
type Server struct {
	http     *http.Server
	handover handover
	now      atomic.Int64 // in ticks
	closing  atomic.Bool  // replies are the last ones of their connections
	stopped  atomic.Bool  // there will be no more of them

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    map[*conn]bool // that are not net/http's
	empty    *sync.Cond     // told when conns is
}

// New returns a front of h, whose Handler, BaseContext, ConnContext, ErrorLog,
// ReadHeaderTimeout, ReadTimeout and IdleTimeout hold for both. h is the
// front's from then on: it is served, shut down and closed with it.
func New(h *http.Server) *Server {
	s := &Server{http: h, conns: map[*conn]bool{}}
	s.handover.init()
	s.empty = sync.NewCond(&s.mu)
	return s
}

// Serve accepts connections from l until the server is shut down or closed,
// and then returns http.ErrServerClosed. When l fails it answers what has begun,
// and returns what l failed of.
func (s *Server) Serve(l net.Listener) error {
	s.handover.addr = l.Addr()
	s.mu.Lock()
	s.listener = l
	if s.stopped.Load() {
		_ = l.Close() // Close and Shutdown found none
	}
	s.mu.Unlock()
	base := context.Background()
	if s.http.BaseContext != nil {
		base = s.http.BaseContext(l)
	}
	base = context.WithValue(base, http.ServerContextKey, s.http)
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { _ = s.http.Serve(&s.handover) }) // it fails when it is closed
	beside.Go(func() { s.watch(stop) })
	err := s.accept(l, base)
	if err != http.ErrServerClosed { // whoever is idle must not keep this from its caller
		err = errors.Join(err, s.stop((*conn).kick))
	}
	s.mu.Lock()
	for len(s.conns) > 0 {
		s.empty.Wait()
	}
	s.mu.Unlock()
	close(stop)
	s.handover.Close()
	beside.Wait()
	return err
}

func (s *Server) accept(l net.Listener, base context.Context) error {
	pause := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			s.start(c, base)
		case s.stopped.Load():
			return http.ErrServerClosed
		case temporary(err):
			time.Sleep(pause) // until somebody closes a file
			pause = min(2*pause, time.Second)
		default:
			return err
		}
	}
}

// temporary tells a lack of file descriptors from a listener's end.
func temporary(err error) bool {
	var e interface{ Temporary() bool }
	return errors.As(err, &e) && e.Temporary()
}

func (s *Server) start(inner net.Conn, base context.Context) {
	c := newConn(s, inner, base)
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	go c.serve()
}

// drop forgets a connection that has ended or is net/http's now.
func (s *Server) drop(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.conns, c); len(s.conns) == 0 {
		s.empty.Broadcast()
	}
}

// watch looks at the connections at each tick.
func (s *Server) watch(stop chan struct{}) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticks.C:
			now := s.now.Add(1)
			s.mu.Lock()
			for c := range s.conns {
				c.look(now)
			}
			s.mu.Unlock()
		}
	}
}

// Close closes every connection, whatever it does.
func (s *Server) Close() error {
	err := s.stop(func(c *conn) { _ = c.inner.Close() })
	return errors.Join(err, s.http.Close())
}

// Shutdown closes connections as they become idle, and returns when there is
// none left or ctx has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.stop((*conn).kick)
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.empty.Broadcast()
	})()
	s.mu.Lock()
	for len(s.conns) > 0 && ctx.Err() == nil {
		s.empty.Wait()
	}
	left := len(s.conns)
	s.mu.Unlock()
	if left > 0 {
		err = ctx.Err()
	}
	return cmp.Or(s.http.Shutdown(ctx), err)
}

// stop closes the listener and does to each connection what ends it.
func (s *Server) stop(end func(*conn)) (err error) {
	s.CloseAfterReplies()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped.Store(true)
	if s.listener != nil {
		if err = s.listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	for c := range s.conns {
		end(c)
	}
	return err
}

// CloseAfterReplies makes each reply from now on the last one of its
// connection.
func (s *Server) CloseAfterReplies() {
	s.closing.Store(true)
	s.http.SetKeepAlivesEnabled(false)
}

func (s *Server) logf(format string, args ...any) {
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// A handover is the listener whose connections net/http serves.
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (h *handover) init() { h.conns, h.ended = make(chan net.Conn), make(chan struct{}) }

// give hands a connection over, or closes it when nobody takes it any more.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.ended:
		_ = c.Close()
	}
}

// Accept waits for the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.ended) })
	return nil
}

// Addr is where the front listens.
func (h *handover) Addr() net.Addr { return h.addr }

// A handed is a connection of which some has been read.
type handed struct {
	net.Conn
	first []byte
}

// Read reads what had come before it was handed over, then the connection.
func (h *handed) Read(b []byte) (int, error) {
	if len(h.first) == 0 {
		return h.Conn.Read(b)
	}
	n := copy(b, h.first)
	if h.first = h.first[n:]; len(h.first) == 0 {
		h.first = nil
	}
	return n, nil
}

// CloseWrite ends what is sent, as net/http does to let a client read why its
// request was refused before the connection is closed.
func (h *handed) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
