package front_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claryhq/clary/front"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving runs a front and returns where it listens.
func serving(t *testing.T, h *http.Server) (*front.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, done := front.New(h), make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// hear reads until text has come.
func hear(t *testing.T, c net.Conn, text string) {
	t.Helper()
	var all []byte
	b := make([]byte, 4096)
	for !strings.Contains(string(all), text) {
		n, err := c.Read(b)
		if all = append(all, b[:n]...); err != nil {
			t.Fatalf("wanted %q, got %q: %v", text, all, err)
		}
	}
}

// ends waits until the server has closed the connection.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(c); err != nil {
		t.Fatalf("the connection is not closed: %v; got %q", err, rest)
	}
}

// waiting is a handler whose requests wait to be let go, or for the client.
type waiting struct {
	begun, letGo chan struct{}
	ended        chan error
}

func newWaiting() *waiting {
	return &waiting{begun: make(chan struct{}), letGo: make(chan struct{}), ended: make(chan error, 1)}
}

func (h *waiting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.begun <- struct{}{}
	select {
	case <-h.letGo:
	case <-r.Context().Done():
	}
	h.ended <- r.Context().Err()
	_, _ = io.WriteString(w, "well")
}

func TestARequestIsCancelledWhenItsClientGoes(t *testing.T) {
	h := newWaiting()
	_, addr := serving(t, &http.Server{Handler: h})
	c := dial(t, addr)
	say(t, c, get)
	<-h.begun
	c.Close()
	if err := <-h.ended; err != context.Canceled {
		t.Fatalf("the context says %v", err)
	}
}

func TestAClientThatStaysIsAnsweredHoweverLongItTakes(t *testing.T) {
	h := newWaiting()
	_, addr := serving(t, &http.Server{Handler: h})
	c := dial(t, addr)
	say(t, c, get+get) // one more than is being answered is not a client that goes
	<-h.begun
	time.Sleep(300 * time.Millisecond) // several ticks
	h.letGo <- struct{}{}
	if err := <-h.ended; err != nil {
		t.Fatalf("the context says %v", err)
	}
	hear(t, c, "well")
	<-h.begun
	h.letGo <- struct{}{}
	<-h.ended
	hear(t, c, "well")
}

func TestARequestsContextEndsWithIt(t *testing.T) {
	contexts := make(chan context.Context, 1)
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { contexts <- r.Context() })})
	c := dial(t, addr)
	say(t, c, get)
	hear(t, c, "\r\n\r\n")
	ctx := <-contexts
	<-ctx.Done()
	server, _ := ctx.Value(http.ServerContextKey).(*http.Server)
	local, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	if server == nil || local == nil || local.String() != addr {
		t.Errorf("the context has server %v and address %v", server, local)
	}
}

func TestAnIdleConnectionIsClosedAfterIdleTimeout(t *testing.T) {
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle), IdleTimeout: time.Second})
	c := dial(t, addr)
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		say(t, c, get)
		hear(t, c, "HTTP/1.1 200 OK")
	}
	ends(t, c)
}

func TestAConnectionThatNeverAsksIsClosedAfterReadHeaderTimeout(t *testing.T) {
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle), ReadHeaderTimeout: 500 * time.Millisecond, IdleTimeout: time.Hour})
	silent, asks := dial(t, addr), dial(t, addr)
	say(t, asks, get)
	ends(t, silent)
	hear(t, asks, "HTTP/1.1 200 OK")
	for range 2 { // longer than a first request may take
		ends(t, dial(t, addr))
	}
	say(t, asks, get)
	hear(t, asks, "HTTP/1.1 200 OK")
}

// What has come of a request that does not go on is net/http's, which has its
// own patience.
func TestASlowRequestIsGivenUp(t *testing.T) {
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle), ReadHeaderTimeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond})
	for _, part := range []string{"GET /to", "POST /told HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"} {
		c := dial(t, addr)
		say(t, c, part)
		if strings.HasPrefix(part, "POST") {
			hear(t, c, "i/o timeout") // /told says how reading the body ended
		}
		ends(t, c)
	}
}

func TestARequestInSlowPartsIsAnswered(t *testing.T) {
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle)})
	c := dial(t, addr)
	for range 3 {
		for _, part := range []string{"POST /echo HTTP/1.1\r\nHo", "st: a\r\nContent-Length: 6\r\n\r\n", "1,2", ",3\n"} {
			say(t, c, part)
			time.Sleep(200 * time.Millisecond)
		}
		hear(t, c, "\r\n\r\n1,2,3\n")
	}
}

func TestShutdownFinishesWhatHasBegun(t *testing.T) {
	h := newWaiting()
	s, addr := serving(t, &http.Server{Handler: h})
	idle, busy, chunked := dial(t, addr), dial(t, addr), dial(t, addr)
	say(t, busy, get)
	<-h.begun
	say(t, chunked, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") // net/http's
	<-h.begun
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	ends(t, idle)
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	h.letGo <- struct{}{}
	<-h.ended
	h.letGo <- struct{}{}
	<-h.ended
	for _, c := range []net.Conn{busy, chunked} {
		hear(t, c, "Connection: close")
		ends(t, c)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// A reply whose head did not say so yet is the last one all the same.
func TestShutdownEndsAConnectionWhoseReplyHasBegun(t *testing.T) {
	h := newWaiting()
	s, addr := serving(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		h.ServeHTTP(w, r)
	})})
	idle, c := dial(t, addr), dial(t, addr)
	say(t, c, get)
	<-h.begun
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	ends(t, idle) // it has begun
	h.letGo <- struct{}{}
	<-h.ended
	hear(t, c, "well")
	ends(t, c)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestShutdownGivesUpWhenItsContextEnds(t *testing.T) {
	h := newWaiting()
	s, addr := serving(t, &http.Server{Handler: h})
	c := dial(t, addr)
	say(t, c, get)
	<-h.begun
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Fatalf("Shutdown: %v", err)
	}
	h.letGo <- struct{}{}
	<-h.ended
}

func TestRepliesAreTheLastWhileTheServerDrains(t *testing.T) {
	s, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle)})
	c := dial(t, addr)
	say(t, c, get)
	hear(t, c, "HTTP/1.1 200 OK")
	s.CloseAfterReplies()
	say(t, c, get)
	hear(t, c, "Connection: close")
	ends(t, c)
	again := dial(t, addr) // it still listens
	say(t, again, get)
	hear(t, again, "Connection: close")
}

func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	var text lines
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle), ErrorLog: log.New(&text, "", 0)})
	other, c := dial(t, addr), dial(t, addr)
	say(t, c, post("/panic", ""))
	ends(t, c)
	if said := text.String(); !strings.Contains(said, "a handler's own") || !strings.Contains(said, "agree_test.go") {
		t.Errorf("the log says %q", said)
	}
	say(t, other, get)
	hear(t, other, "HTTP/1.1 200 OK")
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestManyClientsGetTheirOwnReplies(t *testing.T) {
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle)})
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 200 {
				body := strings.Repeat(string(rune('a'+n)), 1+(i*i*n)%20000)
				var r io.Reader = strings.NewReader(body)
				if i%10 == 9 {
					r = io.MultiReader(r) // of unknown length: the connection is net/http's from then on
				}
				resp, err := client.Post("http://"+addr+"/echo", "text/csv", r)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != body {
					t.Errorf("got %d bytes for %d: %v", len(got), len(body), err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestABodyIsGoneWithItsRequest(t *testing.T) {
	bodies := make(chan io.Reader, 1)
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { bodies <- r.Body })})
	c := dial(t, addr)
	say(t, c, post("/", "secret"))
	hear(t, c, "\r\n\r\n")
	if n, err := (<-bodies).Read(make([]byte, 10)); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("read %d bytes: %v", n, err)
	}
}

// failing is a listener that lacks file descriptors a few times.
type failing struct {
	net.Listener
	times int
}

type lack struct{}

func (lack) Error() string   { return "too many open files" }
func (lack) Timeout() bool   { return false }
func (lack) Temporary() bool { return true }

func (l *failing) Accept() (net.Conn, error) {
	if l.times--; l.times >= 0 {
		return nil, lack{}
	}
	return l.Listener.Accept()
}

func TestALackOfFilesIsWaitedOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, done := front.New(&http.Server{Handler: http.HandlerFunc(handle)}), make(chan error, 1)
	go func() { done <- s.Serve(&failing{l, 3}) }()
	c := dial(t, l.Addr().String())
	say(t, c, get)
	hear(t, c, "HTTP/1.1 200 OK")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != http.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}

// broken is a listener that fails for good after its first connection.
type broken struct {
	net.Listener
	accepted bool
}

func (l *broken) Accept() (net.Conn, error) {
	if l.accepted {
		return nil, io.ErrUnexpectedEOF
	}
	l.accepted = true
	return l.Listener.Accept()
}

func TestAListenerThatFailsEndsServeThoughAConnectionIsIdle(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, l.Addr().String())
	s := front.New(&http.Server{Handler: http.HandlerFunc(handle)})
	if err := s.Serve(&broken{Listener: l}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Serve: %v", err)
	}
	ends(t, c)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatIsClosedBeforeItServesDoesNot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := front.New(&http.Server{Handler: http.HandlerFunc(handle)})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Serve(l); err != http.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}

// Too much is refused before it has been read; a connection closed at once
// would reset, and take the reply with it.
func TestARefusalReachesTheClient(t *testing.T) {
	_, addr := serving(t, &http.Server{Handler: http.HandlerFunc(handle), MaxHeaderBytes: 8 << 10})
	for request, status := range map[string]string{
		post("/told", "x", "X-Large: "+strings.Repeat("y", 500<<10)): "431",
		post("/unread", strings.Repeat("y", 3<<20)):                  "413",
	} {
		for range 10 {
			c := dial(t, addr)
			go func() { _, _ = io.WriteString(c, request) }() // the server does not take it all
			hear(t, c, "HTTP/1.1 "+status)
			c.Close()
		}
	}
}

func TestShutdownLetsABodyArrive(t *testing.T) {
	begun := make(chan struct{})
	s, addr := serving(t, &http.Server{ReadTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		handle(w, r)
	})})
	idle, c := dial(t, addr), dial(t, addr)
	say(t, c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n1,")
	<-begun
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	ends(t, idle) // it has begun
	say(t, c, "2,3\n")
	hear(t, c, "\r\n\r\n1,2,3\n")
	ends(t, c)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestABodyThatStopsIsGivenUp(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			panic(err)
		}
		_, err := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, err.Error())
	})
	_, addr := serving(t, &http.Server{Handler: h})
	c := dial(t, addr)
	say(t, c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n1,")
	hear(t, c, "i/o timeout")
	ends(t, c)
}
