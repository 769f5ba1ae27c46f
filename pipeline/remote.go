package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of the connections to the steps.
const (
	dialTimeout = 2 * time.Second
	idleTimeout = 30 * time.Second
	idlePerStep = 256
	copyBuffer  = 64 << 10
	headersMost = 64 << 10
)

// newClient returns a client that speaks to steps. They are neighbours: no
// proxy stands in between, and nothing is decompressed on the way.
func newClient(keep bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableCompression:     true,
			DisableKeepAlives:      !keep,
			MaxIdleConnsPerHost:    idlePerStep,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: headersMost,
			WriteBufferSize:        copyBuffer,
			ReadBufferSize:         copyBuffer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A remote is a step that is reached by HTTP.
type remote struct {
	step   *Step
	client *http.Client
	fresh  *http.Client // each request on a connection of its own
}

// do sends in to the step and returns its reply, whose body is still coming.
func (r *remote) do(ctx context.Context, in *Message, accept string) (*Message, error) {
	base, err := r.step.ready()
	if err == nil {
		err = in.fill()
	}
	var begin time.Time
	if err == nil {
		begin, err = r.step.begin(ctx)
	}
	if err != nil {
		in.Body.Close()
		return nil, err
	}
	ctx, cancel := r.step.limit(ctx)
	body := &source{ReadCloser: in.Body}
	resp, err := r.send(ctx, base, in, body, accept)
	if err != nil {
		err = r.failure(ctx, body, err)
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		defer cancel()
		r.step.stats.failed()
		return nil, refusal(r.step.name, resp)
	}
	end := time.Now()
	r.step.stats.ok(end, end.Sub(begin))
	return &Message{Header: resp.Header, Status: resp.StatusCode, Length: resp.ContentLength,
		Body: &replyBody{ReadCloser: resp.Body, step: r.step, end: cancel}}, nil
}

// send sends in. A connection that the step had closed meanwhile is no
// failure where the body can be sent again: it goes over a new one.
func (r *remote) send(ctx context.Context, base string, in *Message, body *source, accept string) (*http.Response, error) {
	var used atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { used.Store(c.Reused) }})
	req, err := http.NewRequestWithContext(traced, http.MethodPost, invocations(base), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = in.Length
	if in.Length == 0 {
		req.Body = http.NoBody
	}
	for name, values := range in.Header {
		req.Header[name] = values
	}
	req.Header["User-Agent"] = []string{"clary"}
	if accept != "" {
		req.Header["Accept"] = []string{accept}
	}
	resp, err := r.client.Do(req)
	if h, ok := in.Body.(held); ok && err != nil && used.Load() && ctx.Err() == nil {
		req = req.Clone(ctx)
		req.Body = io.NopCloser(bytes.NewReader(h.data))
		again, failed := r.fresh.Do(req)
		if noRoute(failed) {
			return nil, err // it died of the first: that is what happened to this request
		}
		return again, failed
	}
	return resp, err
}

// invocations is where a step takes requests: the path of its URL where it
// has one.
func invocations(base string) string {
	if _, rest, ok := strings.Cut(base, "://"); ok && strings.Contains(strings.TrimSuffix(rest, "/"), "/") {
		return base
	}
	return strings.TrimSuffix(base, "/") + "/invocations"
}

// failure says whose fault it is that there is no reply.
func (r *remote) failure(ctx context.Context, body *source, err error) error {
	if from := body.failed.Load(); from != nil {
		return *from
	}
	cause := context.Cause(ctx)
	if cause != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return cause // nobody waits for it any more
	}
	r.step.stats.failed()
	if cause != nil {
		return r.step.failure(cause)
	}
	r.step.suspect()
	why := ErrBroken
	if noRoute(err) {
		why = ErrNoRoute
	}
	return &StepError{Step: r.step.name, Err: fmt.Errorf("%w: %w", why, unwrapped(err))}
}

// noRoute reports whether err is that of a connection which was never made.
func noRoute(err error) bool {
	dial := (*net.OpError)(nil)
	return errors.As(err, &dial) && dial.Op == "dial"
}
