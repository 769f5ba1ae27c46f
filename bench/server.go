package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/claryhq/clary/bench/load"
)

// build compiles the programs of the bench.
func (b *bench) build() error {
	if b.programs != "" {
		return nil
	}
	if b.gpu != nil {
		return b.compile("raw")
	}
	out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.dir+"/", "./bench/echo", "./bench/naive", "./bench/bare").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	for _, name := range []string{"minimum", "raw"} {
		if err := b.compile(name); err != nil {
			return err
		}
	}
	return nil
}

// compile builds bench/NAME/NAME.c against the header that the binding
// carries.
func (b *bench) compile(name string) error {
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	cmd := exec.Command("gcc", "-O2", "-I", string(bytes.TrimSpace(header)), "-o", b.program(name), filepath.Join("bench", name, name+".c"), "-ldl", "-lpthread")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, text)
	}
	return nil
}

// program is the path of a program that build made.
func (b *bench) program(name string) string {
	if b.programs != "" {
		return filepath.Join(b.programs, name)
	}
	return filepath.Join(b.dir, name)
}

// A server is a process that answers /ping and /invocations.
type server struct {
	b    *bench
	name string
	addr string
	cmd  *exec.Cmd
}

// clary starts the built server with a model, or none where it is "", default
// settings and what env and args add.
func (b *bench) clary(model string, env []string, args ...string) (*server, error) {
	return b.launch("clary", env, func(addr string) []string {
		host, port, _ := net.SplitHostPort(addr) // freeAddr's
		line := []string{b.serve, "--host", host, "--port", port, "--onnxruntime", b.library}
		if model != "" {
			line = append(line, model)
		}
		return append(line, args...)
	})
}

func (b *bench) echo() (*server, error) {
	return b.launch("echo", nil, func(addr string) []string { return []string{b.program("echo"), addr} })
}

func (b *bench) naive(model string) (*server, error) {
	return b.launch("naive", nil, func(addr string) []string {
		return []string{b.program("naive"), addr, b.library, filepath.Join(model, "model.onnx")}
	})
}

// launch starts a server at a free address and waits until /ping is 200. What
// it logs goes nowhere.
func (b *bench) launch(name string, env []string, command func(addr string) []string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	line := command(addr)
	s := &server{b: b, name: name, addr: addr, cmd: exec.Command(line[0], line[1:]...)}
	s.cmd.Env = append(append(os.Environ(), "ORT_DISABLE_TELEMETRY=1"), env...)
	var errs bytes.Buffer
	s.cmd.Stderr = &errs
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(errs.Bytes()))
	}
	return s, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready waits for the first 200 on /ping.
func (s *server) ready() error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		resp, err := client.Get("http://" + s.addr + "/ping")
		if err != nil {
			continue // it does not listen yet
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("/ping was not 200 within a minute")
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // its exit status says nothing then
}

// burst sends load to the server from a process of its own, and keeps what it
// measured.
func (s *server) burst(what string, spec load.Spec) (load.Result, error) {
	spec.Addr, spec.PID = s.addr, s.cmd.Process.Pid
	var r load.Result
	text, err := json.Marshal(spec)
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.Command(self, "load", "-spec", "-")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("the load on %s: %w", s.name, err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, err
	}
	s.b.bursts = append(s.b.bursts, burst{s.b.suite, s.name, what, r})
	for status, l := range r.ByStatus {
		if n, _ := strconv.Atoi(status); n/100 != 2 && n != http.StatusServiceUnavailable {
			return r, fmt.Errorf("%s, %s: %d answers with status %s", s.name, what, l.Count, status)
		}
	}
	return r, nil
}

// collect returns a contestant that sends the spec and adds the result to
// into.
func (s *server) collect(into *[]load.Result, what string, spec load.Spec) func() error {
	return func() error {
		r, err := s.burst(what, spec)
		*into = append(*into, r)
		return err
	}
}

// post is the load of one body on one path.
func post(body, contentType, accept string) []load.Request {
	h := map[string]string{"Content-Type": contentType}
	if accept != "" {
		h["Accept"] = accept
	}
	return []load.Request{{Path: "/invocations", Header: h, Body: body}}
}

// Of a burst: requests a second, seconds of the server's processors for each.
func perSecond(r load.Result) float64 { return r.PerSecond }

func cpuEach(r load.Result) float64 {
	if r.Requests == 0 {
		return 0
	}
	return r.Server.CPU / float64(r.Requests)
}

func p50(r load.Result) float64 { return r.Latency.P50 }

// micro prints seconds as microseconds.
func micro(s float64) string { return fmt.Sprintf("%.1f us", s*1e6) }

// milli prints seconds as milliseconds.
func milli(s float64) string { return fmt.Sprintf("%.2f ms", s*1e3) }

// mega prints bytes as megabytes.
func mega(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
