package clary_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// As a member of somebody else's pipeline a server listens on the port that it
// is told, on that one alone, and says what its replies are.
func TestAMemberOfAPipelineListensOnItsOnePort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, done: make(chan struct{}), base: fmt.Sprintf("http://127.0.0.1:%d", port)}
	p.cmd = program(t, "serve", []string{fmt.Sprintf("SAGEMAKER_BIND_TO_PORT=%d", port), "SAGEMAKER_SAFE_PORT_RANGE=27000-27009", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=text/csv", "CLARY_HOST=127.0.0.1"}, iris)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	p.eventually(200, "/ping")
	if ports := listening(t, p.cmd.Process.Pid); len(ports) != 1 || ports[0] != port {
		t.Errorf("it listens on %v, told was %d", ports, port)
	}
	for _, c := range []struct{ accept, want string }{{"", "text/csv"}, {"*/*", "text/csv"}, {"application/json", "application/json"}, {"application/x-npz", "application/x-npz"}} {
		a := p.invoke("text/csv", aRow, "Accept", c.accept)
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), c.want) {
			t.Errorf("Accept %q: %d %q", c.accept, a.status, a.header.Get("Content-Type"))
		}
	}
	for _, a := range []answer{p.get("/nowhere"), p.get("/"), p.get("/metrics"), p.invoke("text/what", "1"), p.invoke("text/csv", "x")} {
		if a.header.Get("Content-Type") == "" {
			t.Errorf("%d without a Content-Type: %q", a.status, a.body)
		}
	}
}

// listening returns the TCP ports on which a process listens.
func listening(t testing.TB, pid int) []int {
	t.Helper()
	sockets := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			sockets[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	var ports []int
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // no IPv6 here
		}
		for _, line := range strings.Split(string(text), "\n") {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && sockets[f[9]] {
				var port int
				if _, err := fmt.Sscanf(f[1][strings.LastIndex(f[1], ":")+1:], "%X", &port); err != nil {
					t.Fatal(err)
				}
				ports = append(ports, port)
			}
		}
	}
	return ports
}
