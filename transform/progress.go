package transform

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/artifact/store"
)

// How often progress is told: on a terminal, and in a log.
const (
	barEvery = 200 * time.Millisecond
	logEvery = 10 * time.Second
)

// progress counts and tells.
type progress struct {
	w     io.Writer  // nil: nobody is told
	width func() int // of the terminal that w is; nil where it is none
	begin time.Time
	total int64 // bytes of all objects
	count int   // objects

	bytes, records, objects, ended atomic.Int64
	skipped                        atomic.Int64 // bytes that an earlier run did
	mu                             sync.Mutex   // guards w
	stop                           chan struct{}
	stopped                        chan struct{}
}

func newProgress(w io.Writer, width func() int, objects []store.Object) *progress {
	p := &progress{w: w, width: width, begin: time.Now(), count: len(objects), stop: make(chan struct{}), stopped: make(chan struct{})}
	for _, o := range objects {
		p.total += o.Size
	}
	go p.tell()
	return p
}

func (p *progress) tell() {
	defer close(p.stopped)
	every := logEvery
	if p.width != nil {
		every = barEvery
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticks.C:
			p.line()
		}
	}
}

func (p *progress) end() {
	close(p.stop)
	<-p.stopped
	if p.width != nil {
		p.line()
		p.say("\n")
	}
}

func (p *progress) say(text string) {
	if p.w != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = io.WriteString(p.w, text) // the job goes on though nobody reads of it
	}
}

// line tells how far the job is. What is left is estimated by bytes; those of
// compressed objects only by objects that have ended.
func (p *progress) line() {
	took := time.Since(p.begin)
	done := min(max(p.bytes.Load()+p.skipped.Load(), p.ended.Load()), p.total)
	share := 1.0
	if p.total > 0 {
		share = float64(done) / float64(p.total)
	}
	left := "?"
	if fresh := done - p.skipped.Load(); fresh > 0 {
		left = time.Duration(float64(took) * float64(p.total-done) / float64(fresh)).Round(time.Second).String()
	}
	text := fmt.Sprintf("%d/%d objects  %d rows  %.0f rows/s  ETA %s", p.objects.Load(), p.count, p.records.Load(), float64(p.records.Load())/took.Seconds(), left)
	if p.width == nil {
		p.say(fmt.Sprintf("transform: %.0f%%  %s\n", 100*share, text))
		return
	}
	p.say("\r" + drawn(share, text, p.width()) + "\x1b[K")
}

// The bar's length where there is room for it, and a terminal's width where
// nobody knows it.
const (
	shortest  = 10
	longBar   = 30
	ordinary  = 80
	aroundBar = len("[] 100%  ")
)

// drawn is a line of at most a terminal's width, less the last column, behind
// which some go on in the next line: \r would not come back from there.
func drawn(share float64, text string, width int) string {
	if width <= 0 {
		width = ordinary
	}
	text = text[:min(len(text), width-1)]
	bar := min(longBar, width-1-len(text)-aroundBar)
	if bar < shortest {
		return text
	}
	full := int(share * float64(bar))
	return fmt.Sprintf("[%s%s] %3.0f%%  %s", strings.Repeat("=", full), strings.Repeat(" ", bar-full), 100*share, text)
}

func (p *progress) add(bytes, records int64) {
	p.bytes.Add(bytes)
	p.records.Add(records)
}

func (p *progress) resume(at place) { p.skipped.Add(at.in) }

func (p *progress) object(o store.Object, earlier bool) {
	p.objects.Add(1)
	p.ended.Add(o.Size)
	if earlier {
		p.skipped.Add(o.Size)
	}
}

func (p *progress) failed(name string, err error) {
	lead := ""
	if p.width != nil {
		lead = "\r\x1b[K"
	}
	p.say(fmt.Sprintf("%stransform: %s: %v\n", lead, name, err))
}
