package front_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claryhq/clary/front"
)

// handle does what the path says, so that two servers can be compared in all
// that a handler may do to a reply.
func handle(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch r.URL.Path { // what does not read the body, or not all of it
	case "/unread":
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
		return
	case "/closed":
		_ = r.Body.Close()
		_, err := r.Body.Read(make([]byte, 1))
		fmt.Fprint(w, err)
		return
	case "/some":
		b := make([]byte, 10)
		n, err := io.ReadFull(r.Body, b)
		fmt.Fprintf(w, "%q %v", b[:n], err)
		return
	case "/duplex":
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err)
		}
		_, err := io.Copy(w, r.Body)
		if err == nil {
			return
		}
		fmt.Fprint(w, err)
		return
	}
	body, err := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/echo":
		h.Set("Content-Type", "text/csv")
		_, _ = w.Write(body)
	case "/told": // all of the request that a handler can see
		h.Set("Content-Type", "text/plain")
		names := []string{}
		for name, values := range r.Header {
			names = append(names, fmt.Sprintf("%s=%q", name, values))
		}
		slices.Sort(names)
		fmt.Fprintln(w, r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Host, r.Proto, r.ProtoMajor, r.ProtoMinor, r.ContentLength, names, len(body), err, r.TLS, r.Close, r.TransferEncoding, r.Trailer)
	case "/nothing":
	case "/204":
		w.WriteHeader(http.StatusNoContent)
		_, err := w.Write([]byte("no"))
		if err != http.ErrBodyNotAllowed {
			panic("a body of 204 was allowed")
		}
	case "/304":
		h.Set("Etag", `"x"`)
		w.WriteHeader(http.StatusNotModified)
	case "/404":
		http.Error(w, "no such thing", http.StatusNotFound)
		w.WriteHeader(http.StatusOK) // too late
		h.Set("X-Late", "yes")
	case "/guess":
		_, _ = w.Write([]byte("<html><body>"))
	case "/2048":
		_, _ = w.Write(bytes.Repeat([]byte("x"), 2048))
	case "/2049":
		_, _ = w.Write(bytes.Repeat([]byte("x"), 2048))
		_, _ = w.Write([]byte("y"))
	case "/pieces":
		for i := range 100 {
			_, _ = w.Write(bytes.Repeat([]byte{'a' + byte(i%26)}, 100*i))
		}
	case "/flushed":
		control := http.NewResponseController(w)
		for i := range 3 {
			_, _ = fmt.Fprint(w, i)
			if err := control.Flush(); err != nil {
				panic(err)
			}
		}
	case "/flushed-empty":
		_ = http.NewResponseController(w).Flush()
	case "/counted":
		h.Set("Content-Length", "100000")
		_, _ = w.Write(bytes.Repeat([]byte("1"), 50000))
		_, _ = w.Write(bytes.Repeat([]byte("2"), 50000))
	case "/long":
		h.Set("Content-Length", "3")
		if _, err := w.Write([]byte("four")); err != http.ErrContentLength {
			panic("more than the length was written")
		}
		_, _ = w.Write([]byte("123"))
	case "/short":
		h.Set("Content-Length", "10")
		_, _ = w.Write([]byte("123"))
	case "/short-large":
		h.Set("Content-Length", "10000")
		_, _ = w.Write(make([]byte, 5000))
	case "/close":
		h.Set("Connection", "close")
		_, _ = w.Write([]byte("bye"))
	case "/headers":
		h["X-Many"] = []string{"one", "two"}
		h.Set("X-Lines", "a\r\nInjected: b")
		h["X bad"] = []string{"left out"}
		h.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
		w.WriteHeader(http.StatusTeapot)
	case "/abort":
		panic(http.ErrAbortHandler)
	case "/panic":
		panic("a handler's own")
	case "/abort-late":
		_, _ = w.Write(make([]byte, 5000))
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(599)
	}
}

// A pair is net/http by itself and behind a front, with the same handler.
type pair struct{ plain, fronted string }

func newPair(t testing.TB) pair {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	made := func() *http.Server {
		return &http.Server{Handler: http.HandlerFunc(handle), ErrorLog: quiet, ReadTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10}
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := listen(), listen()
	plain, fronted := made(), front.New(made())
	done := make(chan error, 2)
	go func() { done <- plain.Serve(a) }()
	go func() { done <- fronted.Serve(b) }()
	t.Cleanup(func() {
		for _, s := range []interface{ Close() error }{plain, fronted} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-done; err != http.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
		}
	})
	return pair{a.Addr().String(), b.Addr().String()}
}

// send sends text on a connection of its own, in parts with pauses between, and
// returns all that comes back until the server closes.
func send(t testing.TB, addr string, parts ...string) []byte {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		for i, part := range parts {
			if i > 0 {
				time.Sleep(5 * time.Millisecond)
			}
			if _, err := io.WriteString(c, part); err != nil {
				return // the server has had enough
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_ = c.SetReadDeadline(time.Now().Add(6 * time.Second))
	all, err := io.ReadAll(c)
	if err, ok := err.(net.Error); ok && err.Timeout() {
		t.Fatalf("the server does not close; so far %q", all)
	}
	return all // of a reset connection, what came before
}

// replies says what a client makes of all that has come.
func replies(all []byte) (said []string) {
	r := bufio.NewReader(bytes.NewReader(all))
	for {
		if _, err := r.Peek(1); err != nil {
			return said
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			rest, _ := io.ReadAll(r)
			return append(said, fmt.Sprintf("no reply: %v %q", err, rest))
		}
		body, err := io.ReadAll(resp.Body)
		if date := resp.Header.Get("Date"); resp.StatusCode != 400 && resp.StatusCode != 505 && resp.StatusCode != 431 && resp.StatusCode != 417 {
			if _, err := http.ParseTime(date); err != nil {
				said = append(said, fmt.Sprintf("Date %q", date))
			}
			if resp.StatusCode != http.StatusTeapot {
				resp.Header.Del("Date")
			}
		}
		said = append(said, fmt.Sprintf("%s %v %d %v %v %q %v", resp.Status, resp.Header, resp.ContentLength, resp.TransferEncoding, resp.Close, body, err))
	}
}

// agree fails unless both servers answer the same.
func (p pair) agree(t testing.TB, parts ...string) {
	t.Helper()
	want, got := replies(send(t, p.plain, parts...)), replies(send(t, p.fronted, parts...))
	if !slices.Equal(want, got) {
		t.Errorf("%q:\nnet/http: %s\n   front: %s", parts, strings.Join(want, "\n          "), strings.Join(got, "\n          "))
	}
}

func post(path, body string, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: clary\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), strings.Join(append(headers, ""), "\r\n"), body)
}

const get = "GET /told HTTP/1.1\r\nHost: clary\r\n\r\n"

// streams are what clients send, and what only bad ones do.
var streams = []string{
	"", "\r\n", "\r\n\r\n", "x", "GET", "GET /", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: clary\r\n",
	get, get + get + get, "\r\n" + get, get + "\r\n" + get,
	post("/told", "abc", "Content-Type: text/csv", "Accept: a", "accept: b", "X-AMZN-sagemaker-Target-Model: m.tar.gz") + get,
	post("/echo", "1,2\n") + "\r\n" + post("/echo", "3,4\n") + "\r\n\r\n" + post("/echo", "5,6\n") + "\r\n\r\n\r\n" + get,
	post("/echo", "") + "\n\n\n\n" + get, post("/echo", "") + "\n\n\n\n\n" + get,
	post("/echo", "1", "Connection: keep-alive") + post("/told", "1", "Connection: close") + get,
	post("/told", "1", "Connection: Keep-Alive") + post("/told", "1", "Connection: upgrade", "Upgrade: x") + get,
	post("/told", "1", "Connection: x") + get, post("/told", "1", "Connection:") + get, post("/told", "1", "Connection: keep-alive, close") + get,
	post("/told", "1", "Expect: 100-continue") + get, post("/told", "1", "Expect: x") + get,
	post("/told", "1", "Pragma: no-cache") + get, post("/told", "1", "Te: trailers") + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\n\r\n" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 3, 3\r\n\r\nabc" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: +3\r\n\r\nabc" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: -3\r\n\r\nabc" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 0x3\r\n\r\nabc" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 03\r\n\r\nabc" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length:\r\n\r\n" + get,
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
	"POST /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 5\r\n\r\nabc",
	"GET /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 3\r\n\r\nabc" + get,
	"GET /told HTTP/1.1\r\nHost: clary\r\nContent-Length: 0\r\n\r\n" + get,
	"GET /told HTTP/1.1\r\n\r\n", "GET /told HTTP/1.0\r\n\r\n", "GET /told HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + get, "GET /told HTTP/1.2\r\nHost: a\r\n\r\n",
	"GET /told HTTP/2.0\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /told http/1.1\r\nHost: a\r\n\r\n", "GET  /told HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /told HTTP/1.1 \r\nHost: a\r\n\r\n", "GET /told\r\nHost: a\r\n\r\n", " GET /told HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /told HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /told HTTP/1.1\r\nHost:\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /told HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET /told HTTP/1.1\r\nHost: a\x00\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET /told HTTP/1.1\r\nHost: \xff\r\n\r\n", "GET /told HTTP/1.1\r\nhOST:   a  \r\n\r\n",
	"GET /told HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", "GET /told HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n",
	"GET /told HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
	"GET /told HTTP/1.1\r\nHost: a\r\nX:\t b \t\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\r\n\r\n",
	"GET /told HTTP/1.1\nHost: a\n\n", "GET /told HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX!#$%&'*+-.^_`|~9: b\r\n\r\n", "GET /told HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n",
	"GET told HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b/told HTTP/1.1\r\nHost: a\r\n\r\n", "GET //b/told HTTP/1.1\r\nHost: a\r\n\r\n", "GET /told?a=b&c#d HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /to%6cd HTTP/1.1\r\nHost: a\r\n\r\n", "GET /told%2Fx HTTP/1.1\r\nHost: a\r\n\r\n", "GET /told%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /told/../x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n" + get, "PUT /told HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + get, "DELETE /told HTTP/1.1\r\nHost: a\r\n\r\n" + get, "get /told HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + get, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
	post("/echo", strings.Repeat("x", 12<<10)) + get, post("/echo", strings.Repeat("x", 100<<10)) + get, get + post("/told", strings.Repeat("x", 17<<10)) + get,
	post("/told", "x", "X-Large: "+strings.Repeat("y", 3<<10)) + get, post("/told", "x", "X-Large: "+strings.Repeat("y", 5<<10)) + get, post("/told", "x", "X-Large: "+strings.Repeat("y", 90<<10)) + get,
	post("/told", "x", strings.TrimSuffix(strings.Repeat("X-Many: y\r\n", 200), "\r\n")) + get,
}

func TestEveryStreamIsAnsweredAsByNetHTTP(t *testing.T) {
	p := newPair(t)
	for _, stream := range streams {
		p.agree(t, stream)
	}
	for _, path := range []string{"/echo", "/told", "/nothing", "/204", "/304", "/404", "/guess", "/2048", "/2049", "/pieces", "/flushed", "/flushed-empty", "/counted",
		"/long", "/short", "/short-large", "/close", "/headers", "/abort", "/panic", "/abort-late", "/else"} {
		p.agree(t, post(path, "1,2,3\n"))
		p.agree(t, post(path, "1,2,3\n")+post(path, "")+get)
	}
}

// However a stream is cut into parts, its replies are the same.
func TestPartsOfAStreamMakeNoDifference(t *testing.T) {
	p := newPair(t)
	whole := post("/echo", "1,2\n") + post("/told", "3", "X: y") + get
	for at := 1; at < len(whole); at += 3 {
		p.agree(t, whole[:at], whole[at:])
	}
	p.agree(t, strings.SplitAfter(whole, "")...)
}

func FuzzEveryStreamIsAnsweredAsByNetHTTP(f *testing.F) {
	for _, stream := range streams {
		if len(stream) < 5000 {
			f.Add([]byte(stream))
		}
	}
	p := newPair(f)
	f.Fuzz(func(t *testing.T, stream []byte) { p.agree(t, string(stream)) })
}
