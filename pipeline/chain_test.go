package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
)

// A container is a step of a test: its pings are answered, its invocations go
// to the function.
func container(t testing.TB, invoke http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /invocations", invoke)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// chain starts a serial pipeline of containers named a, b, c, ...
func chain(t testing.TB, urls ...string) *pipeline.Chain {
	t.Helper()
	p := artifact.Pipeline{Mode: artifact.Serial}
	for i, url := range urls {
		p.Steps = append(p.Steps, artifact.PipelineStep{Name: string(rune('a' + i)), URL: url})
	}
	return begin(t, p)
}

func begin(t testing.TB, p artifact.Pipeline) *pipeline.Chain {
	t.Helper()
	c, err := pipeline.New(p, pipeline.Options{Ports: pipeline.PortRange{Low: 20000, High: 29999}, Grace: 5 * time.Second, Watch: func(e pipeline.Event) {
		if e.Kind == pipeline.EventOutput {
			t.Logf("%s: %s", e.Step, e.Line)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func message(contentType, body string) *pipeline.Message {
	return pipeline.Whole(http.Header{"Content-Type": {contentType}}, []byte(body))
}

// read returns a reply's body and closes it.
func read(t testing.TB, m *pipeline.Message) string {
	t.Helper()
	defer m.Body.Close()
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// adds answers a body with more behind it, in a type of its own.
func adds(more, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", contentType)
		fmt.Fprintf(w, "%s|%s%s", body, r.Header.Get("Content-Type"), more)
	}
}

func TestEachReplyIsTheNextRequest(t *testing.T) {
	c := chain(t, container(t, adds("1", "x/one")), container(t, adds("2", "x/two; q=1")), container(t, adds("3", "x/three")))
	out, err := c.Run(t.Context(), message("text/csv", "body"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, out); got != "body|text/csv1|x/one2|x/two; q=13" || out.Header.Get("Content-Type") != "x/three" {
		t.Errorf("got %q, %q", got, out.Header)
	}
}

func TestWhatIsAcceptedIsAskedOfTheLastStep(t *testing.T) {
	for _, c := range []struct{ own, client, first, last string }{
		{"", "", "", ""},
		{"", "text/csv", "", "text/csv"},
		{"", "*/*", "", ""},
		{"x/own", "", "x/own", "x/own"},
		{"x/own", "*/*", "x/own", "x/own"},
		{"x/own", "text/csv", "x/own", "text/csv"},
	} {
		var asked [2]string
		see := func(i int) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) { asked[i] = r.Header.Get("Accept") }
		}
		p := artifact.Pipeline{Mode: artifact.Serial, Steps: []artifact.PipelineStep{
			{Name: "a", URL: container(t, see(0)), Accept: c.own}, {Name: "b", URL: container(t, see(1)), Accept: c.own}}}
		out, err := begin(t, p).Run(t.Context(), message("text/csv", "1"), c.client)
		if err != nil {
			t.Fatal(err)
		}
		read(t, out)
		if asked != [2]string{c.first, c.last} {
			t.Errorf("accept %q, client %q: asked for %q", c.own, c.client, asked)
		}
	}
}

func TestSageMakersHeadersGoAlong(t *testing.T) {
	var seen [2]http.Header
	c := chain(t,
		container(t, func(w http.ResponseWriter, r *http.Request) {
			seen[0] = r.Header
			w.Header().Set("X-Amzn-SageMaker-Custom-Attributes", "of=a")
			w.Header().Set("X-Amzn-SageMaker-New-Session-Id", "s; Expires=2030-01-01T00:00:00Z")
			w.Header().Set("X-Other", "stays here")
		}),
		container(t, func(_ http.ResponseWriter, r *http.Request) { seen[1] = r.Header }))
	in := message("text/csv", "1")
	in.Header.Set("X-Amzn-SageMaker-Inference-Id", "id-1")
	in.Header.Set("X-Amzn-SageMaker-Custom-Attributes", "of=client")
	in.Header.Set("X-Amzn-SageMaker-Target-Container-Hostname", "a")
	in.Header = pipeline.Carried(in.Header)
	out, err := c.Run(t.Context(), in, "")
	if err != nil {
		t.Fatal(err)
	}
	read(t, out)
	for i, want := range []string{"of=client", "of=a"} {
		if got := seen[i].Get("X-Amzn-SageMaker-Custom-Attributes"); got != want {
			t.Errorf("step %d has the attributes %q, want %q", i, got, want)
		}
		if got := seen[i].Get("X-Amzn-SageMaker-Inference-Id"); got != "id-1" {
			t.Errorf("step %d has the id %q", i, got)
		}
		for _, not := range []string{"X-Amzn-SageMaker-Target-Container-Hostname", "X-Other", "X-Idempotency-Key", "X-Amzn-SageMaker-New-Session-Id"} {
			if v, ok := seen[i][http.CanonicalHeaderKey(not)]; ok {
				t.Errorf("step %d has %s: %q", i, not, v)
			}
		}
	}
	if out.Header.Get("X-Amzn-SageMaker-Custom-Attributes") != "of=a" || out.Header.Get("X-Amzn-SageMaker-New-Session-Id") == "" || out.Header.Get("X-Other") != "" {
		t.Errorf("the client has %q", out.Header)
	}
}

func TestAnErrorNamesItsStepItsStatusAndItsMessage(t *testing.T) {
	for _, c := range []struct {
		status            int
		contentType, body string
		want              string
	}{
		{400, "application/json", `{"code":400,"message":"three columns, not four"}`, `step "b" answered 400: three columns, not four`},
		{500, "application/json", `{"error":"boom"}`, `step "b" answered 500: boom`},
		{415, "text/plain", "what\n is this", `step "b" answered 415: what is this`},
		{500, "text/html", "<html>stack</html>", `step "b" answered 500: Internal Server Error`},
		{302, "", "", `step "b" answered 302: Found`},
		{503, "text/plain", strings.Repeat("x", 100000), `step "b" answered 503: x`},
	} {
		after := false
		ch := chain(t, container(t, adds("", "")),
			container(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}),
			container(t, func(http.ResponseWriter, *http.Request) { after = true }))
		_, err := ch.Run(t.Context(), message("text/csv", "1"), "")
		var step *pipeline.StepError
		if !errors.As(err, &step) || step.Step != "b" || step.Status != c.status || !strings.HasPrefix(err.Error(), c.want) || len(err.Error()) > 5000 {
			t.Errorf("%d %q: %.200v", c.status, c.body, err)
		}
		if after {
			t.Errorf("%d: the step behind it was called", c.status)
		}
		if s := ch.Status(); s[1].Errors != 1 || s[0].Errors != 0 || s[2].Requests != 0 {
			t.Errorf("counted %+v", s)
		}
	}
}

func TestA204EndsTheChain(t *testing.T) {
	c := chain(t, container(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }),
		container(t, func(http.ResponseWriter, *http.Request) { t.Error("the second step was called") }))
	out, err := c.Run(t.Context(), message("text/csv", ""), "")
	if err != nil || out.Status != 204 || read(t, out) != "" {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestAStepThatCannotMeetTheDeadlineIsNotStarted(t *testing.T) {
	var calls atomic.Int32
	slow := container(t, func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		time.Sleep(200 * time.Millisecond)
	})
	c := chain(t, container(t, adds("", "")), slow)
	out, err := c.Run(t.Context(), message("text/csv", "1"), "")
	if err != nil {
		t.Fatal(err)
	}
	read(t, out)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	_, err = c.Run(ctx, message("text/csv", "1"), "")
	if !errors.Is(err, pipeline.ErrLate) || !strings.Contains(err.Error(), `step "b"`) {
		t.Errorf("got %v", err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the slow step was called %d times", n)
	}
}

func TestADeadlineEndsTheStepThatIsRunning(t *testing.T) {
	gone := make(chan struct{})
	stuck := container(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(gone)
	})
	p := artifact.Pipeline{Mode: artifact.Serial, Steps: []artifact.PipelineStep{
		{Name: "a", URL: container(t, adds("", ""))}, {Name: "b", URL: stuck, Timeout: 50 * time.Millisecond}}}
	_, err := begin(t, p).Run(t.Context(), message("text/csv", "1"), "")
	if !errors.Is(err, pipeline.ErrTimeout) || !strings.Contains(err.Error(), `step "b"`) {
		t.Errorf("got %v", err)
	}
	<-gone
}

func TestTheChainsDeadlineIsTheFailureOfTheStepThatItEnds(t *testing.T) {
	mine := errors.New("the time is over")
	c := chain(t, container(t, adds("", "")), container(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, mine)
	defer cancel()
	_, err := c.Run(ctx, message("text/csv", "1"), "")
	if !errors.Is(err, mine) || !strings.Contains(err.Error(), `step "b"`) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Run(ctx, message("text/csv", "1"), ""); !errors.Is(err, mine) || !strings.Contains(err.Error(), `step "a"`) {
		t.Errorf("after it: %v", err)
	}
}

func TestAReplyThatBreaksOffIsTheFailureOfItsStep(t *testing.T) {
	for _, size := range []int{10, 4 << 20} {
		breaks := container(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size+1))
			_, _ = w.Write(bytes.Repeat([]byte{'x'}, size))
		})
		c := chain(t, breaks, container(t, adds("", "")))
		_, err := c.Run(t.Context(), message("text/csv", "1"), "")
		if !errors.Is(err, pipeline.ErrBroken) || !strings.Contains(err.Error(), `step "a"`) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestWhatAClientsBodyFailsWithIsReturned(t *testing.T) {
	mine := errors.New("mine")
	c := chain(t, container(t, adds("", "")), container(t, adds("", "")))
	for _, size := range []int64{10, 4 << 20} {
		in := &pipeline.Message{Header: http.Header{}, Length: -1,
			Body: io.NopCloser(io.MultiReader(io.LimitReader(&endless{}, size), failing{mine}))}
		if _, err := c.Run(t.Context(), in, ""); !errors.Is(err, mine) || strings.Contains(err.Error(), "step") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestConnectionsThatWereClosedMeanwhileAreNoFailure(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/invocations", adds("", ""))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := chain(t, server.URL, container(t, adds("", "")))
	for range 20 {
		out, err := c.Run(t.Context(), message("text/csv", "1"), "")
		if err != nil {
			t.Fatal(err)
		}
		read(t, out)
		server.CloseClientConnections()
	}
}

func TestAStepThatIsGoneIsNamedAndComesBack(t *testing.T) {
	var up atomic.Bool
	up.Store(true)
	var mu sync.Mutex
	pings := http.StatusOK
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(pings)
	})
	mux.HandleFunc("/invocations", func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := chain(t, container(t, adds("", "")), server.URL)
	mu.Lock()
	pings = http.StatusInternalServerError
	mu.Unlock()
	up.Store(false)
	if _, err := c.Run(t.Context(), message("text/csv", "1"), ""); !errors.Is(err, pipeline.ErrBroken) || !strings.Contains(err.Error(), `step "b"`) {
		t.Errorf("while it breaks: %v", err)
	}
	// The failure asks for a ping at once, which finds the step down.
	for c.Ready() == nil {
		time.Sleep(time.Millisecond)
	}
	_, err := c.Run(t.Context(), message("text/csv", "1"), "")
	if !errors.Is(err, pipeline.ErrDown) || !strings.Contains(err.Error(), `step "b": it is not ready (down): /ping is 500`) {
		t.Errorf("while it is down: %v", err)
	}
	if s := c.Status()[0]; s.Requests != 1 {
		t.Errorf("the first step was started %d times though the second was down", s.Requests)
	}
	mu.Lock()
	pings = http.StatusOK
	mu.Unlock()
	up.Store(true)
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := c.Run(t.Context(), message("text/csv", "1"), "")
	if err != nil {
		t.Fatal(err)
	}
	read(t, out)
}

func TestDirectPicksOneStep(t *testing.T) {
	c := begin(t, artifact.Pipeline{Mode: artifact.Direct, Steps: []artifact.PipelineStep{
		{Name: "a", URL: container(t, adds("A", ""))}, {Name: "b", URL: container(t, adds("B", ""))}}})
	for name, want := range map[string]string{"a": "1|x/yA", "b": "1|x/yB"} {
		out, err := c.Send(t.Context(), name, message("x/y", "1"), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, out); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, want := range map[string]string{"": "names no step", "c": `no step "c"`} {
		_, err := c.Send(t.Context(), name, message("x/y", "1"), "")
		var status *handler.StatusError
		if !errors.As(err, &status) || status.Status != 400 || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "a, b") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
