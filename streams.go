package clary

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// openStreams opens a model once, or as often as clary.yaml's streams says.
func (o *opener) openStreams(ctx context.Context, path string) (runtime.Session, error) {
	n := cmp.Or(o.artifact.Config.Streams, 1)
	s := &streams{running: make([]int, n)}
	for range n {
		one, err := onnx.Open(ctx, path, o.options)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		o.note(one, len(s.sessions) > 0)
		if n == 1 {
			return one, nil
		}
		s.sessions = append(s.sessions, one)
	}
	return s, nil
}

// note remembers a session.
func (o *opener) note(s *onnx.Session, beside bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.raw = append(o.raw, s); beside {
		o.beside = append(o.beside, s)
	}
}

// streams is one model in several sessions, each with a stream of its own on
// the GPU; a run goes to the one with the fewest.
type streams struct {
	sessions []runtime.Session

	mu      sync.Mutex // guards running
	running []int
}

func (s *streams) Inputs() []runtime.Info  { return s.sessions[0].Inputs() }
func (s *streams) Outputs() []runtime.Info { return s.sessions[0].Outputs() }

func (s *streams) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	i := s.enter()
	defer s.leave(i)
	return s.sessions[i].Run(ctx, in, out)
}

func (s *streams) enter() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := 0
	for i, n := range s.running {
		if n < s.running[best] {
			best = i
		}
	}
	s.running[best]++
	return best
}

func (s *streams) leave(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[i]--
}

func (s *streams) Close() error {
	var errs []error
	for _, one := range s.sessions {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
