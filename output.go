package clary

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Of what is logged but not yet written: written is when it is at the latest,
// chunk is how much does not wait for that, and mostUnwritten how much is kept
// where nobody takes it.
const (
	written       = time.Second
	chunk         = 64 << 10
	mostUnwritten = 4 << 20
)

// An output writes lines from a goroutine of its own, so that who logs never
// waits for who reads. Where the reader is too slow for long, lines are lost,
// and a line says how many.
type output struct {
	to   io.Writer
	full chan struct{}
	end  chan struct{}
	done chan struct{}

	writing sync.Mutex // held over a write

	mu    sync.Mutex // guards what follows
	lines line
	spare []byte
	lost  int
}

func newOutput(to io.Writer) *output {
	o := &output{to: to, full: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	go o.write()
	return o
}

// append adds a line.
func (o *output) append(add func(*line)) {
	o.mu.Lock()
	if len(o.lines.b) > mostUnwritten {
		o.lost++
	} else {
		add(&o.lines)
	}
	n := len(o.lines.b)
	o.mu.Unlock()
	if n >= chunk {
		select {
		case o.full <- struct{}{}:
		default: // it has been told
		}
	}
}

// Write adds a line that is there.
func (o *output) Write(p []byte) (int, error) {
	o.append(func(l *line) { l.b = append(l.b, p...) })
	return len(p), nil
}

// Sync writes what there is.
func (o *output) Sync() error {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	if o.lost > 0 {
		o.lines.b = fmt.Appendf(o.lines.b, `{"level":"warn","time":"%s","msg":"lines of the log were lost: it is read too slowly","lines":%d}`+"\n",
			time.Now().Format(time.RFC3339Nano), o.lost)
		o.lost = 0
	}
	text := o.lines.b
	o.lines.b, o.spare = o.spare[:0], nil
	o.mu.Unlock()
	if len(text) == 0 {
		return nil
	}
	_, err := o.to.Write(text)
	o.mu.Lock()
	if cap(text) <= 4*chunk {
		o.spare = text
	}
	o.mu.Unlock()
	return err
}

func (o *output) write() {
	defer close(o.done)
	ticks := time.NewTicker(written)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-o.full:
		case <-o.end:
			return
		}
		_ = o.Sync() // stdout may be closed; there is nowhere else to say so
	}
}

// stop writes what is left.
func (o *output) stop() {
	close(o.end)
	<-o.done
	_ = o.Sync()
}
