package transform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// A StatusError is a reply other than 2xx.
type StatusError struct {
	Status  int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Message) }

// passing reports whether the same request may be answered later.
func passing(err error) bool {
	var status *StatusError
	return !errors.As(err, &status) || status.Status >= 500 || status.Status == http.StatusTooManyRequests || status.Status == http.StatusRequestTimeout
}

// The waits between attempts: doubled each time, half of each by chance.
const (
	firstWait = 200 * time.Millisecond
	longest   = 20 * time.Second
)

// retry asks until there is an answer, the error is not a passing one, or
// there have been attempts enough.
func (r *run) retry(ctx context.Context, req Request) ([]byte, error) {
	wait := firstWait
	for attempt := 0; ; attempt++ {
		reply, err := r.attempt(ctx, req)
		if err == nil || ctx.Err() != nil || !passing(err) {
			return reply, err
		}
		if attempt == r.job.Retries {
			return nil, fmt.Errorf("after %d attempts: %w", attempt+1, err)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		wait = min(2*wait, longest)
	}
}

func (r *run) attempt(ctx context.Context, req Request) ([]byte, error) {
	if r.job.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.job.Timeout)
		defer cancel()
	}
	return r.job.Invoke(ctx, req)
}

// Endpoint asks the server at a URL, whose path /invocations may be left out.
func Endpoint(url string, concurrent int) Invoke {
	if url = strings.TrimSuffix(url, "/"); !strings.HasSuffix(url, "/invocations") {
		url += "/invocations"
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrent, Proxy: http.ProxyFromEnvironment}}
	return func(ctx context.Context, req Request) ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(req.Body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", req.ContentType)
		if req.Accept != "" {
			r.Header.Set("Accept", req.Accept)
		}
		resp, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<10)) // what can be had of it
			return nil, &StatusError{resp.StatusCode, strings.TrimSpace(string(text))}
		}
		return io.ReadAll(resp.Body)
	}
}
