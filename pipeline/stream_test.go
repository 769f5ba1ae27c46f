package pipeline_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

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

func TestNobodyReadsAheadOfASlowStep(t *testing.T) {
	release := make(chan struct{})
	stuck := func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.CopyN(io.Discard, r.Body, 1)
	}
	c := chain(t, container(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	}), container(t, stuck))
	body := &endless{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, err := c.Run(t.Context(), &pipeline.Message{Header: http.Header{}, Body: body, Length: -1}, "")
		if err == nil {
			out.Body.Close()
		}
	}()
	var last int64
	for still := 0; still < 5; time.Sleep(50 * time.Millisecond) { // until nothing moves
		if n := body.taken.Load(); n != last || n == 0 {
			last, still = n, 0
		} else {
			still++
		}
	}
	// The window and the buffers of the kernel's sockets, on both ways.
	if last > 32<<20 {
		t.Errorf("%d bytes were read ahead", last)
	}
	close(release)
	<-done
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
