package mme

import (
	"fmt"
	"time"
)

// How long a found model that failed to open is not tried again, at first and
// at most; it doubles in between.
const (
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
)

// failures remembers what failed to open, by name, for one version each. The
// cache's lock guards it.
type failures struct{ all map[string]failure }

type failure struct {
	version string
	err     error
	until   time.Time
	delay   time.Duration
}

// mostFailures bounds what is remembered; a store may be asked for any number
// of names.
const mostFailures = 10_000

// of returns the error to answer with, nil for what may be tried.
func (f *failures) of(name, version string) error {
	at, ok := f.all[name]
	if !ok || at.version != version || !time.Now().Before(at.until) {
		return nil
	}
	return fmt.Errorf("%w (it is tried again in %v)", at.err, time.Until(at.until).Round(time.Second))
}

func (f *failures) remember(name, version string, err error) {
	now := time.Now()
	delay := firstRetry
	if before, ok := f.all[name]; ok && before.version == version {
		delay = min(2*before.delay, lastRetry)
	}
	if f.all == nil {
		f.all = map[string]failure{}
	}
	if len(f.all) >= mostFailures {
		for old, at := range f.all {
			if !now.Before(at.until) {
				delete(f.all, old)
			}
		}
	}
	if len(f.all) < mostFailures {
		f.all[name] = failure{version: version, err: err, until: now.Add(delay), delay: delay}
	}
}

func (f *failures) forget(name string) { delete(f.all, name) }
