package clary

import (
	"sync"
	"time"

	"github.com/claryhq/clary/mme"
)

// sizes are what models have taken of a GPU when they were opened last, or have
// wanted at least, which their weights do not tell.
type sizes struct {
	mu  sync.Mutex // guards all
	all map[mme.Spec]sized
}

type sized struct {
	bytes int64
	until time.Time // of what could not be opened; zero: it was
}

const (
	mostSizes = 10_000 // that are remembered
	sizeTime  = time.Minute
)

func (s *sizes) of(m mme.Spec) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.all[m]
	if !at.until.IsZero() && time.Now().After(at.until) {
		return 0
	}
	return at.bytes
}

// tried reports whether the model could not be opened a while ago.
func (s *sizes) tried(m mme.Spec) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.all[m].until)
}

func (s *sizes) set(m mme.Spec, to sized) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil || len(s.all) >= mostSizes {
		s.all = map[mme.Spec]sized{}
	}
	s.all[m] = to
}
