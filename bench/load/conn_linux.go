package load

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A conn is one connection and the request on it.
type conn struct {
	fd      int
	busy    bool
	request due
	unsent  []byte
	body    *os.File // what follows on unsent; nil: nothing
	offset  int64
	size    int64
	answer  response
}

// whole says that the request is sent.
func (c *conn) whole() bool { return len(c.unsent) == 0 && c.body == nil }

func (g *generator) close() {
	for i := range g.conns {
		if g.conns[i].fd >= 0 {
			_ = unix.Close(g.conns[i].fd) // nothing is to be saved
		}
	}
	if g.epoll >= 0 {
		_ = unix.Close(g.epoll)
	}
	for i := range g.messages {
		g.messages[i].close()
	}
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
	c, m := &g.conns[i], &g.messages[d.kind]
	c.busy, c.request = true, d
	c.unsent, c.body, c.offset, c.size = m.bytes, m.body, 0, int64(m.size)
	c.answer.reset()
	return g.send(i)
}

// send writes what the socket takes.
func (g *generator) send(i int) error {
	c := &g.conns[i]
	for !c.whole() {
		var e unix.Errno
		if len(c.unsent) > 0 {
			e = c.sendBytes()
		} else {
			e = c.sendFile()
		}
		switch e {
		case 0, unix.EINTR:
		case unix.EAGAIN:
			return nil
		default:
			return g.receive(i) // an answer may be there; what is broken shows there too
		}
	}
	return nil
}

func (c *conn) sendBytes() unix.Errno {
	flags := unix.MSG_NOSIGNAL
	if c.body != nil {
		flags |= unix.MSG_MORE // the body goes with it
	}
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&c.unsent[0])), uintptr(len(c.unsent)), uintptr(flags), 0, 0)
	if e == 0 {
		c.unsent = c.unsent[n:]
	}
	return e
}

func (c *conn) sendFile() unix.Errno {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(c.fd), c.body.Fd(), uintptr(unsafe.Pointer(&c.offset)), uintptr(c.size-c.offset), 0, 0)
	if e == 0 && n == 0 {
		return unix.ENODATA // the file has become shorter
	}
	if c.offset >= c.size {
		c.body = nil
	}
	return e
}

// handle goes on with a connection on which something has happened.
func (g *generator) handle(i int) error {
	if c := &g.conns[i]; c.busy && !c.whole() {
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
			return g.finish(i, c.answer.status, c.answer.close || !c.whole())
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
	c.busy, c.unsent, c.body = false, nil, nil
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
