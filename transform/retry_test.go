package transform

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetries(t *testing.T) {
	var (
		busy    = &StatusError{Status: 503}
		told    = &StatusError{Status: 429, After: 7 * time.Second}
		forever = &StatusError{Status: 503, After: time.Hour}
		refused = &StatusError{Status: 400}
		lost    = errors.New("connection reset")
	)
	for name, c := range map[string]struct {
		fails       []error // of the attempts, one after the other
		asked       int
		least, most time.Duration
		says        string // "" where there is an answer
	}{
		"no failure":        {nil, 1, 0, 0, ""},
		"twice":             {[]error{busy, lost}, 3, 300 * time.Millisecond, 600 * time.Millisecond, ""},
		"always":            {[]error{lost, busy, lost, busy, lost}, 4, 700 * time.Millisecond, 1400 * time.Millisecond, "after 4 attempts: status 503"},
		"for good":          {[]error{busy, refused}, 2, 100 * time.Millisecond, 200 * time.Millisecond, "status 400"},
		"when it says":      {[]error{told, told}, 3, 14 * time.Second, 14 * time.Second, ""},
		"but not that late": {[]error{forever}, 2, patience, patience, ""},
		"slow is a failure": {[]error{context.DeadlineExceeded}, 2, time.Minute + 100*time.Millisecond, time.Minute + 200*time.Millisecond, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			r := &run{job: &Job{Retries: 3, Timeout: time.Minute, Invoke: func(ctx context.Context, _ Request) ([]byte, error) {
				if asked++; asked > len(c.fails) {
					return []byte("1"), nil
				}
				err := c.fails[asked-1]
				if err == context.DeadlineExceeded {
					<-ctx.Done()
				}
				return nil, err
			}}}
			begin := time.Now()
			reply, err := r.invoke(t.Context(), Request{})
			took := time.Since(begin)
			if asked != c.asked || took < c.least || took > c.most {
				t.Errorf("%s: asked %d times in %v, want %d in %v to %v", name, asked, took, c.asked, c.least, c.most)
			}
			if c.says == "" && (err != nil || string(reply) != "1") || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %q, %v, want %q", name, reply, err, c.says)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // a wait ends with the job
		ctx, cancel := context.WithCancelCause(t.Context())
		r := &run{job: &Job{Retries: 3, Invoke: func(context.Context, Request) ([]byte, error) {
			time.AfterFunc(time.Second, func() { cancel(ErrStopped) })
			return nil, forever
		}}}
		begin := time.Now()
		if _, err := r.invoke(ctx, Request{}); !errors.Is(err, ErrStopped) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestWhatAnEndpointSaysOfWaiting(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "-3": 0, "x": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", text)
			w.WriteHeader(503)
			_, _ = io.WriteString(w, "later")
		}))
		_, err := NewEndpoint(server.URL).Invoke(t.Context(), Request{})
		server.Close()
		if status := (*StatusError)(nil); !errors.As(err, &status) || status.After != want || status.Message != "later" {
			t.Errorf("%q: %+v", text, err)
		}
	}
	until := http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}
	if got := retryAfter(until); got < 58*time.Minute || got > time.Hour {
		t.Errorf("%v is %v", until, got)
	}
}
