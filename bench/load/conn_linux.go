package load

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A conn is one connection and the request on it.
type conn struct {
	fd      int
	busy    bool
	request due
	unsent  []byte
	answer  response
}

func (g *generator) close() {
	for i := range g.conns {
		if g.conns[i].fd >= 0 {
			_ = unix.Close(g.conns[i].fd) // nothing is to be saved
		}
	}
	_ = unix.Close(g.epoll)
}

// connect opens connection i, anew if it was open.
func (g *generator) connect(i int) error {
	c := &g.conns[i]
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // the server has done so, or has failed
		c.fd = -1
	}
	fd, err := unix.Socket(g.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.fd = fd
	if err := unix.Connect(fd, g.sockaddr); err != nil {
		return fmt.Errorf("load: connecting to %s: %w", g.spec.Addr, err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd,
		&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(i)})
}

// start sends a request on connection i.
func (g *generator) start(i int, d due) error {
	c := &g.conns[i]
	c.busy, c.request, c.unsent = true, d, g.requests[d.kind]
	c.answer.reset()
	return g.send(i)
}

// send writes what the socket takes.
func (g *generator) send(i int) error {
	c := &g.conns[i]
	for len(c.unsent) > 0 {
		n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&c.unsent[0])), uintptr(len(c.unsent)))
		switch e {
		case 0:
			c.unsent = c.unsent[n:]
		case unix.EAGAIN:
			return nil
		case unix.EINTR:
		default:
			return g.receive(i) // an answer may be there; what is broken shows there too
		}
	}
	return nil
}

// handle goes on with a connection on which something has happened.
func (g *generator) handle(i int) error {
	if c := &g.conns[i]; c.busy && len(c.unsent) > 0 {
		if err := g.send(i); err != nil {
			return err
		}
	}
	return g.receive(i)
}

// receive reads what has come.
func (g *generator) receive(i int) error {
	c := &g.conns[i]
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&g.buf[0])), uintptr(len(g.buf)))
		switch {
		case e == unix.EAGAIN:
			return nil
		case e == unix.EINTR:
			continue
		case e != 0 || n == 0: // it broke, or the server closed it
			return g.finish(i, 0, true)
		}
		if !c.busy {
			return fmt.Errorf("load: %d bytes came that nobody asked for", n)
		}
		if _, err := c.answer.feed(g.buf[:n]); err != nil {
			return err
		}
		if c.answer.phase == done {
			// An answer before the request was whole leaves the connection unusable.
			return g.finish(i, c.answer.status, c.answer.close || len(c.unsent) > 0)
		}
		if int(n) < len(g.buf) {
			return nil // there was no more
		}
	}
}

// finish counts an answer and gives the connection its next request.
func (g *generator) finish(i, status int, reconnect bool) error {
	c := &g.conns[i]
	now := g.now()
	busy := c.busy
	c.busy, c.unsent = false, nil
	if reconnect {
		if err := g.connect(i); err != nil {
			return err
		}
	}
	if !busy {
		return nil // an idle connection that the server closed
	}
	g.count(c.request, now, status)
	if g.spec.Rate > 0 {
		g.idle = append(g.idle, i)
		return g.dispatch(now)
	}
	if now >= g.end && !g.measuring {
		return nil
	}
	return g.start(i, due{at: g.now(), kind: g.kind()})
}
