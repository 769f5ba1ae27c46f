//go:build linux

package load_test

import (
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/claryhq/clary/bench/load"
)

// TestMain makes places in Go's scheduler for two generators, which keep one
// each, and for the servers that the tests start beside them.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(8)
	os.Exit(m.Run())
}

// TestClosed sends bodies of several sizes to a server that answers in every
// way that HTTP/1.1 frames an answer, and checks what arrived.
func TestClosed(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it was cut off at the end
		}
		mu.Lock()
		seen[fmt.Sprintf("%s %s %s %d %x", r.Method, r.URL.Path, r.Header.Get("Content-Type"), len(body), crc32.ChecksumIEEE(body))]++
		mu.Unlock()
		switch r.URL.Path {
		case "/length":
			w.Write(body[:min(len(body), 1000)])
		case "/chunked":
			for range 3 {
				io.WriteString(w, strings.Repeat("x", 5000))
				w.(http.Flusher).Flush()
			}
		case "/closes":
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()

	large := filepath.Join(t.TempDir(), "large")
	bytes := make([]byte, 3<<20)
	for i := range bytes {
		bytes[i] = byte(i >> 8)
	}
	if err := os.WriteFile(large, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	small := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(small, []byte("1,2,3,4"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := load.Run(load.Spec{Addr: strings.TrimPrefix(server.URL, "http://"), Connections: 5, Seconds: 0.5, Warm: 0.1, PID: os.Getpid(),
		Requests: []load.Request{
			{Path: "/length", Body: small, Header: map[string]string{"Content-Type": "text/csv"}},
			{Path: "/length", Body: large, Weight: 0.2},
			{Path: "/chunked", Body: small},
			{Path: "/closes"},
			{Path: "/empty", Method: "GET"},
		}})
	server.Close() // requests that were cut off may still be in it
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"POST /length text/csv 7 ecbb8b67", fmt.Sprintf("POST /length  3145728 %x", crc32.ChecksumIEEE(bytes)), "POST /chunked  7 ecbb8b67",
		"POST /closes  0 0", "GET /empty  0 0"} {
		if seen[want] == 0 {
			t.Errorf("no request %q arrived: %v", want, seen)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("there came what nobody sent: %v", seen)
	}
	if len(r.ByStatus) != 3 || r.ByStatus["200"].Count == 0 || r.ByStatus["204"].Count == 0 || r.ByStatus["503"].Count == 0 {
		t.Errorf("by status %v, want 200, 204 and 503", r.ByStatus)
	}
	if n := r.ByStatus["200"].Count + r.ByStatus["204"].Count; r.Latency.Count != n || r.ByStatus["503"].Count+n != r.Requests {
		t.Errorf("%d answers, %d good ones: they do not add up with %v", r.Requests, r.Latency.Count, r.ByStatus)
	}
	if r.Server.CPU <= 0 || r.Server.Resident <= 0 || r.Generator.CPU <= 0 {
		t.Errorf("use of the machine: %+v, %+v", r.Server, r.Generator)
	}
}

// TestOpen: one answer is held back until the load is over, and all that was
// due on its only connection counts the wait.
func TestOpen(t *testing.T) {
	var requests atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			close(release)
			return
		}
		if r.URL.Path == "/held" && requests.Add(1) == 20 {
			<-release
		}
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	held := make(chan load.Result, 1)
	go func() {
		defer close(held)
		r, err := load.Run(load.Spec{Addr: addr, Connections: 1, Seconds: 0.4, Rate: 500, Requests: []load.Request{{Path: "/held"}}})
		if err != nil {
			t.Error(err)
		}
		held <- r
	}()
	// A second burst takes as long as the first; then its last request lets the held one go.
	if _, err := load.Run(load.Spec{Addr: addr, Connections: 1, Seconds: 0.4, Rate: 100, Requests: []load.Request{{Path: "/"}}}); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(server.URL + "/other"); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	r := <-held
	if r.Unfinished != 0 {
		t.Errorf("%d requests were never answered", r.Unfinished)
	}
	if n := r.Latency.Count; n < 120 || n > 300 {
		t.Errorf("%d requests were due in 0.4 s at 500/s", n)
	}
	if r.Latency.P50 < 0.05 {
		t.Errorf("half of the requests took under %v s: the wait of those that were not sent was omitted", r.Latency.P50)
	}
}

// TestTick: with a tick every request is sent, and an answer is seen at the next
// tick at the earliest.
func TestTick(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	const tick = 20e-3
	for _, rate := range []float64{0, 500} {
		r, err := load.Run(load.Spec{Addr: strings.TrimPrefix(server.URL, "http://"), Connections: 50, Seconds: 0.4, Rate: rate, Tick: tick,
			Requests: []load.Request{{Path: "/", Method: "GET"}}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Unfinished != 0 || r.Latency.Count == 0 || len(r.ByStatus) != 1 {
			t.Errorf("rate %v: %d unfinished, %v", rate, r.Unfinished, r.ByStatus)
		}
		if rate > 0 && (r.Latency.Count < 120 || r.Latency.Count > 300) {
			t.Errorf("%d requests were due in 0.4 s at 500/s", r.Latency.Count)
		}
		if r.Latency.P50 < tick/2 {
			t.Errorf("rate %v: half of the answers were seen within %v s", rate, r.Latency.P50)
		}
	}
}
