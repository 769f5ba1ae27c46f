package transform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/claryhq/clary/artifact/store"
)

// A Request is what the model is asked once.
type Request struct {
	Body        []byte
	ContentType string
	Accept      string // "" where nobody says
}

// An Invoke answers a request. It is called by several goroutines. The reply
// is the caller's own, and rows of text end in a newline, the last one too. An
// error that passes is told by [StatusError].
type Invoke func(ctx context.Context, req Request) ([]byte, error)

// A Stream answers a request whose body, in the place of the Request's own, is
// of any length: it is read while the reply is written, and neither is held.
// When a Stream has returned it reads and writes no more. Else it is like an
// Invoke.
type Stream func(ctx context.Context, req Request, body io.Reader, reply io.Writer) error

// A StatusError is a reply other than 2xx.
type StatusError struct {
	Status  int
	Message string
	After   time.Duration // the least that the server asks to wait before the next attempt
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Message) }

// passing reports whether the same request may be answered later.
func passing(err error) bool {
	var status *StatusError
	return !errors.As(err, &status) || status.Status >= 500 || status.Status == http.StatusTooManyRequests || status.Status == http.StatusRequestTimeout
}

// unavailable reports whether err is a store's that may answer later.
func unavailable(err error) bool { return errors.Is(err, store.ErrUnavailable) }

// The waits between attempts: doubled each time, half of each by chance; a
// server may ask for longer ones.
const (
	firstWait = 200 * time.Millisecond
	longest   = 20 * time.Second
	patience  = 2 * time.Minute // with what a server asks for
)

// A tired error is that of the last of several attempts: it might not be there
// the next time.
type tired struct {
	attempts int
	err      error
}

func (e *tired) Error() string {
	if e.attempts == 1 {
		return e.err.Error()
	}
	return fmt.Sprintf("after %d attempts: %v", e.attempts, e.err)
}

func (e *tired) Unwrap() error { return e.err }

// retry does what may fail until it does not, the error is not one after which
// it may be done again, or there have been attempts enough.
func (r *run) retry(ctx context.Context, again func(error) bool, do func() error) error {
	wait := firstWait
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || ctx.Err() != nil || !again(err) {
			return err
		}
		if attempt > r.job.Retries {
			return &tired{attempt, err}
		}
		pause := wait/2 + rand.N(wait/2)
		if status := (*StatusError)(nil); errors.As(err, &status) {
			pause = max(pause, min(status.After, patience))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait = min(2*wait, longest)
	}
}

// invoke asks until there is an answer or none to be had.
func (r *run) invoke(ctx context.Context, req Request) (reply []byte, err error) {
	err = r.retry(ctx, passing, func() error {
		ctx, cancel := r.attempt(ctx)
		defer cancel()
		var err error
		reply, err = r.job.Invoke(ctx, req)
		return err
	})
	return reply, err
}

// attempt bounds one request in time.
func (r *run) attempt(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.job.Timeout > 0 {
		return context.WithTimeout(ctx, r.job.Timeout)
	}
	return context.WithCancel(ctx)
}
