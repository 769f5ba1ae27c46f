package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The states of a step.
const (
	Starting = "starting" // it has not been ready yet
	Ready    = "ready"
	Down     = "down" // it was ready and is not any more
	Stopped  = "stopped"
)

// A Step is one of a chain's: a container, a command or a model in this
// process.
type Step struct {
	name    string
	kind    string // url, command or model
	accept  string
	timeout time.Duration
	stats   stats

	mu       sync.Mutex // guards what follows
	state    string
	why      error         // where it is not ready: why
	since    time.Time     // of the state
	base     string        // where it listens
	pid      int           // of a command that runs
	restarts int           // of a command
	changed  chan struct{} // closed at the next change of state
	poke     chan struct{} // holds a token when a ping is wanted at once
}

func newStep(name, kind, accept string, timeout time.Duration) *Step {
	return &Step{name: name, kind: kind, accept: accept, timeout: timeout, state: Starting, since: time.Now(), changed: make(chan struct{}), poke: make(chan struct{}, 1)}
}

// A Status is what is known of a step.
type Status struct {
	Name, Kind, State string
	Why               error // where it is not Ready
	Since             time.Time
	URL               string // of a container or a command
	PID               int    // of a command that runs
	Restarts          int
	Requests, Errors  uint64
	Latency           Latency // of a container: until the reply began
}

// Status returns what is known of s now.
func (s *Step) Status() Status {
	s.mu.Lock()
	st := Status{Name: s.name, Kind: s.kind, State: s.state, Why: s.why, Since: s.since, URL: s.base, PID: s.pid, Restarts: s.restarts}
	s.mu.Unlock()
	st.Requests, st.Errors, st.Latency = s.stats.read()
	return st
}

// set changes the state and reports whether it was another before.
func (s *Step) set(state string, why error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == Down && s.state == Starting {
		state = Starting // it never was up
	}
	s.why = why
	if s.state == state {
		return false
	}
	s.state, s.since = state, time.Now()
	close(s.changed)
	s.changed = make(chan struct{})
	return true
}

// ready returns where the step listens, or why it does not.
func (s *Step) ready() (base string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Ready {
		return s.base, nil
	}
	return "", s.downLocked()
}

func (s *Step) downLocked() error {
	err := fmt.Errorf("%w (%s)", ErrDown, s.state)
	if s.why != nil {
		err = fmt.Errorf("%w (%s): %w", ErrDown, s.state, s.why)
	}
	return &StepError{Step: s.name, Err: err}
}

// wait returns when the step is ready, or with ctx.
func (s *Step) wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		state, changed := s.state, s.changed
		s.mu.Unlock()
		if state == Ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			return fmt.Errorf("%w: %w", context.Cause(ctx), s.downLocked())
		}
	}
}

// suspect asks for a ping at once.
func (s *Step) suspect() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// begin refuses to start the step when ctx leaves it less time than it takes
// at the very least, and returns when it began.
func (s *Step) begin(ctx context.Context) (time.Time, error) {
	now := time.Now()
	if err := context.Cause(ctx); err != nil {
		return now, s.failure(err)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return now, nil
	}
	if left, least := deadline.Sub(now), s.stats.least(now); left < least {
		return now, &StepError{Step: s.name, Err: fmt.Errorf("%w: it takes %v at the least and %v of the request's time are left",
			ErrLate, least.Round(time.Microsecond), left.Round(time.Microsecond))}
	}
	return now, nil
}

// failure says of an error that it is this step's, unless it says so.
func (s *Step) failure(err error) error {
	var known *StepError
	if errors.As(err, &known) {
		return err
	}
	return &StepError{Step: s.name, Err: err}
}

// limit ends ctx with the step's own timeout, where it has one.
func (s *Step) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, s.timeout, &StepError{Step: s.name, Err: fmt.Errorf("%w of %v", ErrTimeout, s.timeout)})
}
