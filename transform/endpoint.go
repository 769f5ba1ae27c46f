package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Endpoint is a server that is asked.
type Endpoint struct {
	url    string // that of the server
	client *http.Client
}

// NewEndpoint returns the server at a URL, whose path /invocations may be left
// out or not.
func NewEndpoint(url string) *Endpoint {
	url = strings.TrimSuffix(strings.TrimSuffix(url, "/"), "/invocations")
	return &Endpoint{url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: MostInFlightMB, Proxy: http.ProxyFromEnvironment}}}
}

// MostInFlightMB are the megabytes of all payloads together, and so the
// requests of one or more, that SageMaker has under way at the same time.
const MostInFlightMB = 100

// Parameters are what a server would like to be sent (contract §6.1); zero
// where it does not say.
type Parameters struct {
	MaxConcurrentTransforms int
	BatchStrategy           string
	MaxPayloadInMB          int
}

// Parameters asks for them. A server need not know of them.
func (e *Endpoint) Parameters(ctx context.Context) (p Parameters) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/execution-parameters", nil)
	if err != nil {
		return p
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return p
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(resp.Body, 4<<10)).Decode(&p) != nil {
		return Parameters{}
	}
	return p
}

// Invoke is an [Invoke].
func (e *Endpoint) Invoke(ctx context.Context, req Request) ([]byte, error) {
	resp, err := e.post(ctx, req, bytes.NewReader(req.Body), int64(len(req.Body)))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Stream is a [Stream]. The body goes in chunks.
func (e *Endpoint) Stream(ctx context.Context, req Request, body io.Reader, reply io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := &loan{r: body}
	defer sent.end()
	resp, err := e.post(ctx, req, sent, -1)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(reply, resp.Body); err != nil {
		return err
	}
	if !sent.whole() {
		return errors.New("the reply ends before all of the object has been read")
	}
	return nil
}

// post sends a request and returns a reply of success, whose body is still
// coming.
func (e *Endpoint) post(ctx context.Context, req Request, body io.Reader, length int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/invocations", body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = length
	r.Header.Set("Content-Type", req.ContentType)
	if req.Accept != "" {
		r.Header.Set("Accept", req.Accept)
	}
	resp, err := e.client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<10)) // what can be had of it
	return nil, &StatusError{resp.StatusCode, strings.TrimSpace(string(text)), retryAfter(resp.Header)}
}

// retryAfter is how long a reply says to wait: seconds, or until a time.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(seconds, 1<<20))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// A loan is a body that net/http reads: when it does not matter any more, it
// is read no further.
type loan struct {
	mu    sync.Mutex // held while r is read; guards what follows
	r     io.Reader
	all   bool // has been read
	ended bool
}

func (l *loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, errors.New("the request is over")
	}
	n, err := l.r.Read(p)
	l.all = l.all || err == io.EOF
	return n, err
}

func (l *loan) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

func (l *loan) whole() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}
