package store_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/artifact/store/storetest"
)

// faulty puts a proxy before a real S3 server, which answers by itself what
// fault says; fault returns false for what should go through.
func faulty(t *testing.T, real *storetest.Server, fault func(w http.ResponseWriter, r *http.Request) bool) store.Store {
	t.Helper()
	target, err := url.Parse(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is part of the signature
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	setenv(t, real, server.URL)
	s := open(t, "s3://models")
	store.SetPatience(s, 200*time.Millisecond)
	return s
}

func TestATransferThatBreaksIsTakenUpAgain(t *testing.T) {
	real := storetest.Start(t, "models")
	content := bytes.Repeat([]byte("model"), 200_000)
	for name, end := range map[string]func(r *http.Request){
		"broken":  func(*http.Request) { panic(http.ErrAbortHandler) },
		"stalled": func(r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			var gets atomic.Int32
			var ranges atomic.Value
			s := faulty(t, real, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet {
					return false
				}
				if gets.Add(1) > 1 {
					ranges.Store(r.Header.Get("Range") + " " + r.Header.Get("If-Match"))
					return false
				}
				w.Header().Set("ETag", etag(t, real))
				w.Header().Set("Content-Length", "1000000")
				_, _ = w.Write(content[:300_000]) // the client reads it all
				w.(http.Flusher).Flush()
				end(r)
				return true
			})
			put(t, s, "m", string(content))
			if got, o := read(t, s, "m"); got != string(content) || o.Size != 1_000_000 {
				t.Errorf("%d bytes came, %+v", len(got), o)
			}
			if got, want := ranges.Load(), "bytes=300000- "+etag(t, real); got != want {
				t.Errorf("the rest was asked for with %v, want %v", got, want)
			}
		})
	}
}

// A server that takes no more of an upload is one that does not answer.
func TestAnUploadThatStallsEnds(t *testing.T) {
	end := make(chan struct{})
	s := faulty(t, storetest.Start(t, "models"), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			<-end // nothing of it is read, and it is more than sockets hold
		}
		return r.Method == http.MethodPut
	})
	t.Cleanup(func() { close(end) })
	content := make([]byte, 32<<20)
	if err := s.Put(t.Context(), "m", bytes.NewReader(content), int64(len(content))); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

// etag is what the server calls the object m.
func etag(t *testing.T, real *storetest.Server) string {
	t.Helper()
	bucket, key := "models", "m"
	out, err := real.Client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Error(err)
		return ""
	}
	return *out.ETag
}

func TestAnObjectThatChangesUnderAReaderIsAnError(t *testing.T) {
	real := storetest.Start(t, "models")
	var gets atomic.Int32
	s := faulty(t, real, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || gets.Add(1) > 1 {
			return false
		}
		w.Header().Set("ETag", `"of-the-first"`)
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("first")) // the client reads it all
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	put(t, s, "m", "the second")
	r, _, err := s.Read(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, store.ErrChanged) {
		t.Errorf("%q, %v; want ErrChanged", got, err)
	}
}

func TestWhatS3AnswersIsToldApart(t *testing.T) {
	real := storetest.Start(t, "models")
	status := new(atomic.Int32)
	s := faulty(t, real, func(w http.ResponseWriter, _ *http.Request) bool {
		if status.Load() == 0 {
			return false
		}
		w.WriteHeader(int(status.Load()))
		return true
	})
	put(t, s, "m", "x")
	for code, want := range map[int32]error{403: store.ErrRefused, 404: store.ErrNotFound, 400: store.ErrRefused, 503: store.ErrUnavailable, 500: store.ErrUnavailable, 429: store.ErrUnavailable} {
		status.Store(code)
		if _, err := s.Stat(t.Context(), "m"); !errors.Is(err, want) {
			t.Errorf("Stat, answered with %d: %v, want %v", code, err, want)
		}
		if _, _, err := s.Read(t.Context(), "m"); !errors.Is(err, want) {
			t.Errorf("Read, answered with %d: %v, want %v", code, err, want)
		}
	}
	status.Store(0)
	none := open(t, "s3://none")
	if _, _, err := none.Read(t.Context(), "m"); !errors.Is(err, store.ErrRefused) || !strings.Contains(err.Error(), "no bucket") {
		t.Errorf("a bucket that is not there: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if _, _, err := open(t, "s3://models").Read(t.Context(), "m"); !errors.Is(err, store.ErrRefused) {
		t.Errorf("wrong credentials: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	if _, err := open(t, "s3://models").Stat(t.Context(), "m"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
}
