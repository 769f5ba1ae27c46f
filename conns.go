package clary

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// near is how close a read deadline is when it gets a timer of its own; others
// are looked at once every round.
const (
	near  = 5 * time.Second
	round = time.Second
)

// A conn is a connection whose far read deadlines cost nothing: every request
// moves them several times, and none is ever reached but by who sends nothing.
// A timer for each would wake the thread that waits for the network.
type conn struct {
	*net.TCPConn
	of *conns

	mu    sync.Mutex // guards what follows
	due   time.Time  // the far deadline; zero: none
	timed bool       // the connection has one of its own
}

// SetReadDeadline is as net.Conn has it, but that a deadline which is far when
// it is set may be passed by up to a round.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.IsZero() || t.UnixNano() > c.of.now.Load()+int64(near) {
		c.due = t
		if !c.timed {
			return nil
		}
		c.timed = false
		return c.TCPConn.SetReadDeadline(time.Time{})
	}
	c.due, c.timed = time.Time{}, true
	return c.TCPConn.SetReadDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.of.drop(c)
	return c.TCPConn.Close()
}

// expire ends reads of a connection whose far deadline has passed.
func (c *conn) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due.IsZero() || now.Before(c.due) {
		return
	}
	c.due, c.timed = time.Time{}, true
	_ = c.TCPConn.SetReadDeadline(time.Unix(1, 0)) // it fails when the connection is closed
}

// conns is a listener of TCP that keeps its connections' far deadlines.
type conns struct {
	net.Listener
	now atomic.Int64 // at the last round

	mu   sync.Mutex // guards what follows
	open map[*conn]bool
}

func newConns(l net.Listener) *conns {
	c := &conns{Listener: l, open: map[*conn]bool{}}
	c.now.Store(time.Now().UnixNano())
	return c
}

// Accept waits for the next connection.
func (l *conns) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := inner.(*net.TCPConn)
	if !ok {
		return inner, nil
	}
	c := &conn{TCPConn: tcp, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = true
	return c, nil
}

func (l *conns) drop(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// watch looks at the deadlines until ctx ends.
func (l *conns) watch(ctx context.Context) {
	ticks := time.NewTicker(round)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			l.expire(now)
		}
	}
}

// expire ends reads whose deadlines have passed.
func (l *conns) expire(now time.Time) {
	l.now.Store(now.UnixNano())
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.expire(now)
	}
}
