package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A command is what starts a container's process.
type command struct {
	args []string
	dir  string
	env  []string
}

// A process is a command that runs, in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and nothing of its group is left
	err  error         // how it ended; read after done
}

// drainOutput is how long what a process has written may take to be read once
// it has ended, when somebody that it left behind holds the pipe.
const drainOutput = time.Second

// start runs the command; each line that it writes goes to output.
func (c *command) start(env []string, output func(line string)) (*process, error) {
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(append([]string(nil), c.env...), env...)
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = drainOutput
	lines := &lineWriter{output: output}
	cmd.Stdout, cmd.Stderr = lines, lines
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		// Where the kernel ends the process with its parent, it means the
		// thread that started it: keep that one.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = ended(cmd.Wait())
		_ = p.signal(syscall.SIGKILL) // what it left behind; nothing, as a rule
		reap(cmd.Process.Pid)
		lines.flush()
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// ended tells an exit from a failure to read its last output.
func ended(err error) error {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return errors.New("it exited with code 0")
	}
	return err
}

// signal sends sig to the whole group.
func (p *process) signal(sig syscall.Signal) error {
	return syscall.Kill(-p.cmd.Process.Pid, sig)
}

// stop asks the group to end, and ends it when it has not after grace.
func (p *process) stop(grace time.Duration) {
	_ = p.signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

// reap collects what a group that has ended left to this process, as it does
// to the one with id 1. It waits for that group alone: others wait for theirs.
func reap(group int) {
	for {
		pid, err := syscall.Wait4(-group, nil, syscall.WNOHANG, nil)
		if err != syscall.EINTR && (err != nil || pid <= 0) {
			return
		}
	}
}

// longestLine is where a line without an end is cut.
const longestLine = 16 << 10

// A lineWriter hands on whole lines.
type lineWriter struct {
	output func(line string)

	mu   sync.Mutex // guards part: stdout and stderr are one pipe, the last flush comes from elsewhere
	part []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.part = append(w.part, p...)
	for {
		i := bytes.IndexByte(w.part, '\n')
		switch {
		case i >= 0:
			w.emitLocked(w.part[:i])
			w.part = append(w.part[:0], w.part[i+1:]...)
			continue
		case len(w.part) > longestLine:
			w.emitLocked(w.part)
			w.part = w.part[:0]
		}
		return len(p), nil
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emitLocked(w.part)
	w.part = nil
}

func (w *lineWriter) emitLocked(line []byte) {
	if s := strings.TrimRight(string(line), "\r"); s != "" {
		w.output(s)
	}
}

// variable is one of a process's environment.
func variable(name string, value any) string { return fmt.Sprintf("%s=%v", name, value) }
