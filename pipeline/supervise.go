package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// How a command is started again: after backoffFirst, twice as long after
// each failure, backoffMost at the longest; from the first again once it has
// run for steady.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 10 * time.Second
	steady       = 10 * time.Second
)

// A child is a process that was started, as a supervisor sees it.
type child interface {
	exited() <-chan struct{}
	how() error // why, once it has
	id() int
	stop(grace time.Duration)
}

func (p *process) exited() <-chan struct{} { return p.done }
func (p *process) how() error              { return p.err }
func (p *process) id() int                 { return p.cmd.Process.Pid }

// A supervisor keeps one command running.
type supervisor struct {
	step  *Step
	grace time.Duration // between SIGTERM and SIGKILL
	pick  func() (port int, rest PortRange, err error)
	start func(port int, rest PortRange) (child, error)
	ping  pinger
	tell  func(Event)
}

// run starts the command again whenever it ends, until ctx ends; then it
// stops it.
func (v *supervisor) run(ctx context.Context) {
	backoff := backoffFirst
	for {
		begin := time.Now()
		err := v.once(ctx)
		if ctx.Err() != nil {
			v.step.set(Stopped, nil)
			return
		}
		if time.Since(begin) >= steady {
			backoff = backoffFirst
		}
		v.step.ended(err)
		v.tell(Event{Step: v.step.name, Kind: EventExited, Err: err, Again: backoff})
		select {
		case <-ctx.Done():
			v.step.set(Stopped, nil)
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, backoffMost)
		v.step.restarted()
	}
}

// once starts the command and returns when it has ended, with the reason.
func (v *supervisor) once(ctx context.Context) error {
	port, rest, err := v.pick()
	if err != nil {
		return err
	}
	c, err := v.start(port, rest)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	v.step.started(url, c.id())
	v.tell(Event{Step: v.step.name, Kind: EventStarted, PID: c.id(), URL: url})
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { v.step.watch(watching, v.ping, v.tell) })
	select {
	case <-c.exited():
	case <-ctx.Done():
		c.stop(v.grace)
	}
	stop()
	watch.Wait()
	return c.how()
}

func (s *Step) started(base string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base, s.pid = base, pid
}

func (s *Step) ended(err error) {
	s.set(Down, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = 0
}

func (s *Step) restarted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts++
}
