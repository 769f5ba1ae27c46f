package pipeline

import (
	"slices"
	"sync"
	"time"
)

// remembered is how many latencies the quantiles are made of.
const remembered = 512

// forgets is after how long the fastest request no longer says how fast a
// step can be.
const forgets = time.Minute

// stats are what is counted of one step.
type stats struct {
	mu       sync.Mutex // guards what follows
	requests uint64
	errors   uint64
	seconds  float64 // of all requests that succeeded
	recent   [remembered]time.Duration
	next     int // where in recent the next one goes, counted on
	fastest  [2]time.Duration
	turned   time.Time // when fastest[0] began to be
}

// ok counts a request that succeeded in took.
func (s *stats) ok(now time.Time, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.seconds += took.Seconds()
	s.recent[s.next%remembered] = took
	s.next++
	s.turnLocked(now)
	if s.fastest[0] == 0 || took < s.fastest[0] {
		s.fastest[0] = took
	}
}

// failed counts one that did not.
func (s *stats) failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.errors++
}

func (s *stats) turnLocked(now time.Time) {
	switch old := now.Sub(s.turned); {
	case old > 2*forgets:
		s.fastest, s.turned = [2]time.Duration{}, now
	case old > forgets:
		s.fastest, s.turned = [2]time.Duration{0, s.fastest[0]}, now
	}
}

// least is the time of the fastest request of the last minute or two, 0 when
// there was none: what the step takes at the very least.
func (s *stats) least(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnLocked(now)
	if s.fastest[0] == 0 || s.fastest[1] != 0 && s.fastest[1] < s.fastest[0] {
		return s.fastest[1]
	}
	return s.fastest[0]
}

// Latency is how long the requests that succeeded took: Count and Seconds of
// all, the quantiles of the last few hundred.
type Latency struct {
	Count         uint64
	Seconds       float64
	P50, P90, P99 time.Duration
}

// read returns the counts.
func (s *stats) read() (requests, errors uint64, l Latency) {
	s.mu.Lock()
	n := min(s.next, remembered)
	recent := slices.Clone(s.recent[:n])
	requests, errors = s.requests, s.errors
	l = Latency{Count: uint64(s.next), Seconds: s.seconds}
	s.mu.Unlock()
	if n > 0 {
		slices.Sort(recent)
		l.P50, l.P90, l.P99 = recent[n/2], recent[n*9/10], recent[n*99/100]
	}
	return requests, errors, l
}
