package transform

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/artifact/store"
)

// A screen is written to by several goroutines.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// shown is what has been written since the last look.
func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.String()
	s.b.Reset()
	return text
}

func TestProgressInALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log screen
		p := newProgress(&log, nil, []store.Object{{Size: 600}, {Size: 400}})
		p.add(250, 1000)
		time.Sleep(logEvery - 1)
		synctest.Wait()
		if got := log.shown(); got != "" {
			t.Errorf("%q is said too early", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := log.shown(); got != "transform: 25%  0/2 objects  1000 rows  100 rows/s  ETA 30s\n" {
			t.Errorf("%q", got)
		}
		p.failed("a.csv", store.ErrUnavailable)
		p.object(store.Object{Size: 600}, false)
		time.Sleep(logEvery)
		synctest.Wait()
		if got := log.shown(); got != "transform: a.csv: the store does not answer\ntransform: 60%  1/2 objects  1000 rows  50 rows/s  ETA 13s\n" {
			t.Errorf("%q", got)
		}
		p.end()
		if got := log.shown(); got != "" {
			t.Errorf("at the end it says %q", got)
		}
	})
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal screen
		var columns atomic.Int64
		columns.Store(100)
		p := newProgress(&terminal, func() int { return int(columns.Load()) }, []store.Object{{Size: 1000}})
		p.add(500, 20)
		time.Sleep(barEvery)
		synctest.Wait()
		if got := terminal.shown(); got != "\r[===============               ]  50%  0/1 objects  20 rows  100 rows/s  ETA 0s\x1b[K" {
			t.Errorf("%q", got)
		}
		for width := range 120 { // whatever it is, a line is enough
			columns.Store(int64(width))
			time.Sleep(barEvery)
			synctest.Wait()
			line := strings.TrimSuffix(strings.TrimPrefix(terminal.shown(), "\r"), "\x1b[K")
			if most := max(width, 1) - 1; width > 0 && len(line) > most || width == 0 && len(line) > ordinary-1 || strings.ContainsAny(line, "\r\n\x1b") {
				t.Errorf("on %d columns: %q", width, line)
			}
		}
		p.failed("a.csv", store.ErrChanged)
		if got := terminal.shown(); got != "\r\x1b[Ktransform: a.csv: the object changed while read\n" {
			t.Errorf("%q", got)
		}
		p.end()
		if got := terminal.shown(); !strings.HasPrefix(got, "\r[") || !strings.HasSuffix(got, "\x1b[K\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("at the end it says %q", got)
		}
	})
}
