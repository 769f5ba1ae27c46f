package clary_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaries is the folder with the real programs, built once by TestMain: the
// tests start them as SageMaker does and talk HTTP to them.
var binaries string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "clary-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	args := []string{"build", "-o", dir + "/"}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/serve", "./examples/iris", "./examples/transformfn", "./testdata/handlers/unruly")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs under test: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return m.Run()
}

// library is ONNX Runtime's, as `make lib` leaves it.
func library(t testing.TB) string {
	t.Helper()
	path := os.Getenv("ORT_DYLIB_PATH")
	if path == "" {
		path = "bin/libonnxruntime.so.1"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("ONNX Runtime's library: %v: run `make lib`", err)
	}
	return path
}

// A process is a running server.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	base string // http://127.0.0.1:port

	mu    sync.Mutex // guards lines and raw
	lines []map[string]any
	raw   bytes.Buffer
	done  chan struct{} // closed when it has ended
}

// Write takes what the process says on stderr.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.Write(text)
}

// program runs a built program with an environment of its own: nothing of the
// test's but PATH.
func program(t testing.TB, name string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(binaries, name), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "ORT_DYLIB_PATH=" + library(t)}, env...)
	return cmd
}

// launch starts a server on a free port of the loopback and returns once it
// listens. It is ended with the test.
func launch(t testing.TB, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: program(t, name, env, append(args, "--host", "127.0.0.1", "--port", "0")...), done: make(chan struct{})}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	go p.scan(stdout, listening)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended already
		<-p.done
		if t.Failed() {
			t.Logf("%s's log:\n%s", name, p.log())
		}
		if strings.Contains(p.log(), "DATA RACE") {
			t.Errorf("%s has a data race:\n%s", name, p.log())
		}
	})
	select {
	case addr := <-listening:
		p.base = "http://" + addr
	case <-p.done:
		t.Fatalf("%s ended before it listened:\n%s", name, p.log())
	case <-time.After(time.Minute):
		t.Fatalf("%s did not listen within a minute:\n%s", name, p.log())
	}
	return p
}

// start launches a server and waits until /ping is 200.
func start(t testing.TB, name string, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, name, env, args...)
	p.eventually(http.StatusOK, "/ping")
	return p
}

func (p *process) scan(stdout io.Reader, listening chan<- string) {
	defer close(p.done)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var fields map[string]any
		err := json.Unmarshal(lines.Bytes(), &fields)
		p.mu.Lock()
		if err != nil {
			fmt.Fprintf(&p.raw, "not JSON: %s\n", lines.Text())
		} else {
			p.lines = append(p.lines, fields)
		}
		p.mu.Unlock()
		if fields["msg"] == "listening" {
			listening <- fields["addr"].(string)
		}
	}
	_ = p.cmd.Wait() // its exit code is asked of ProcessState
}

// log is everything the process has written.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, line := range p.lines {
		text, err := json.Marshal(line)
		if err != nil {
			p.t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	b.Write(p.raw.Bytes())
	return b.String()
}

// logged waits for a log line with that message and returns it.
func (p *process) logged(msg string) map[string]any {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		for _, line := range p.lines {
			if line["msg"] == msg {
				p.mu.Unlock()
				return line
			}
		}
		p.mu.Unlock()
		if time.Now().After(deadline) {
			p.t.Fatalf("no log line says %q", msg)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatal("the process did not end within a minute")
	}
	return p.cmd.ProcessState.ExitCode()
}

// An answer is a reply, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

func (p *process) do(req *http.Request) answer {
	p.t.Helper()
	a, err := p.try(req)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

var client = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func (p *process) try(req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func (p *process) request(method, path, body string, headers ...string) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func (p *process) get(path string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodGet, path, ""))
}

// invoke posts a body to /invocations.
func (p *process) invoke(contentType, body string, headers ...string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodPost, "/invocations", body, append([]string{"Content-Type", contentType}, headers...)...))
}

// eventually waits until GET path answers with that status.
func (p *process) eventually(status int, path string) {
	p.t.Helper()
	var last any
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		a, err := p.try(p.request(http.MethodGet, path, ""))
		if err == nil && a.status == status {
			return
		}
		last = fmt.Sprint(a.status, " ", err)
		select {
		case <-p.done:
			p.t.Fatalf("the process ended while waiting for %s to be %d:\n%s", path, status, p.log())
		default:
		}
	}
	p.t.Fatalf("GET %s did not become %d: %v", path, status, last)
}

// until waits for something to become true.
func (p *process) until(what string, holds func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	p.t.Fatalf("it did not come about that %s", what)
}
