package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// How steps are pinged: as SageMaker does while they are ready (contract §2),
// often while they are not.
const (
	pingTimeout = 2 * time.Second
	pingReady   = 5 * time.Second
	pingDown    = 200 * time.Millisecond
	pingGap     = 50 * time.Millisecond // at the least, however much a step is suspected
	pingMisses  = 2                     // answers that may be late before a busy step counts as down
)

// A pinger asks a step whether it is ready.
type pinger func(ctx context.Context, base string) error

// pingWith returns the pinger of a client.
func pingWith(client *http.Client) pinger {
	return func(ctx context.Context, base string) error {
		ctx, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		u, err := url.Parse(base)
		if err != nil {
			return err
		}
		u.Path = "/ping"
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return unwrapped(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxTold)) // what came is what there is to tell
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/ping is %d: %s", resp.StatusCode, told(resp, text))
		}
		return nil
	}
}

// unwrapped leaves out the URL, which the step's status has already.
func unwrapped(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// watch pings a step until ctx ends and keeps its state.
func (s *Step) watch(ctx context.Context, ping pinger, tell func(Event)) {
	misses := 0
	for {
		err := ping(ctx, s.at())
		if ctx.Err() != nil {
			return
		}
		wait := pingReady
		switch {
		case err == nil:
			misses = 0
			if s.set(Ready, nil) {
				tell(Event{Step: s.name, Kind: EventReady})
			}
		case late(err) && misses+1 < pingMisses && s.is(Ready):
			misses++ // busy, perhaps
		default:
			wait = pingDown
			if was := s.is(Ready); s.set(Down, err) && was {
				tell(Event{Step: s.name, Kind: EventLost, Err: err})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pingGap):
		}
		select {
		case <-ctx.Done():
			return
		case <-s.poke:
		case <-time.After(wait - pingGap):
		}
	}
}

func late(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

func (s *Step) is(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == state
}

// at is where the step listens, ready or not.
func (s *Step) at() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// An Event is something that happens to a step, for the log.
type Event struct {
	Step  string
	Kind  EventKind
	Err   error         // of EventLost and EventExited
	PID   int           // of EventStarted
	URL   string        // of EventStarted
	Again time.Duration // of EventExited: when it is started again
	Line  string        // of EventOutput
}

// EventKind says what happened.
type EventKind int

// What happens to steps.
const (
	EventStarted EventKind = iota // a command runs
	EventReady                    // a step is ready for requests
	EventLost                     // it is not any more
	EventExited                   // a command has ended that should not have
	EventOutput                   // a command has written a line
)
