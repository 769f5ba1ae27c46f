package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/pipeline"
)

// endless is a body without an end; it counts what has been taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestALargeBodyStreamsThroughAllSteps(t *testing.T) {
	const size = 64 << 20
	stream := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "x/bytes")
		_, _ = io.Copy(w, r.Body)
	}
	c := chain(t, container(t, stream), container(t, stream), container(t, stream))
	for _, length := range []int64{size, -1} {
		body := &endless{}
		in := &pipeline.Message{Header: http.Header{}, Body: struct {
			io.Reader
			io.Closer
		}{io.LimitReader(body, size), body}, Length: length}
		out, err := c.Run(t.Context(), in, "")
		if err != nil {
			t.Fatal(err)
		}
		if n := body.taken.Load(); n > 32<<20 {
			t.Errorf("%d bytes were taken before anybody read the reply", n)
		}
		n, err := io.Copy(io.Discard, out.Body)
		if err != nil || n != size {
			t.Errorf("length %d: %d bytes came, %v", length, n, err)
		}
		out.Body.Close()
	}
}

// inMemory is a network of connections that hold nothing back, so that a
// bubble knows when nothing moves on them.
type inMemory map[string]chan net.Conn

func (m inMemory) dial(_ context.Context, _, addr string) (net.Conn, error) {
	near, far := net.Pipe()
	m[addr] <- far
	return near, nil
}

// container is a step that is reached by m, until the test ends it.
func (m inMemory) container(name string, invoke http.HandlerFunc) (url string, end func() error) {
	conns := make(chan net.Conn, 100)
	m[name+":80"] = conns
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /invocations", invoke)
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(&accepting{conns: conns, done: make(chan struct{})}) }() // until it is closed
	return "http://" + name, server.Close
}

// accepting is a listener of connections that come by a channel.
type accepting struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (a *accepting) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.done:
		return nil, net.ErrClosed
	}
}

func (a *accepting) Close() error {
	a.once.Do(func() { close(a.done) })
	return nil
}

func (a *accepting) Addr() net.Addr { return &net.TCPAddr{} }

// A step that reads nothing stops the one before it, and that one the client:
// of an endless body no more is taken than the window and the buffers.
func TestNobodyReadsAheadOfASlowStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inMemory{}
		release := make(chan struct{})
		first, endFirst := m.container("first", func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
		})
		stuck, endStuck := m.container("stuck", func(http.ResponseWriter, *http.Request) { <-release })
		c, err := pipeline.New(artifact.Pipeline{Mode: artifact.Serial, Steps: []artifact.PipelineStep{{Name: "a", URL: first}, {Name: "b", URL: stuck}}},
			pipeline.Options{Watch: func(pipeline.Event) {}})
		if err != nil {
			t.Fatal(err)
		}
		c.Dial(m.dial)
		c.Start()
		if err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		body := &endless{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			out, err := c.Run(t.Context(), &pipeline.Message{Header: http.Header{}, Body: body, Length: -1}, "")
			if err == nil {
				out.Body.Close()
			}
		}()
		synctest.Wait() // nothing moves any more
		if n := body.taken.Load(); n < 1<<20 || n > 3<<20 {
			t.Errorf("%d bytes were taken, want a window for each of two steps and a little more", n)
		}
		close(release)
		<-done
		if err := errors.Join(c.Close(), endFirst(), endStuck()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // of the bubble's: net/http's servers linger
	})
}

// A bodiless container cannot do without Content-Length; what a step answers
// in chunks must still reach it.
func TestASmallBodyGoesOnWithItsLength(t *testing.T) {
	chunks := container(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "part ")
			w.(http.Flusher).Flush()
		}
	})
	c := chain(t, chunks, container(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.ContentLength, r.TransferEncoding)
	}))
	out, err := c.Run(t.Context(), message("text/csv", "1"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, out); got != "15 []" {
		t.Errorf("the second step saw %q", got)
	}
}
