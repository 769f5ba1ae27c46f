package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/pipeline"
)

// The test's own program is the container of the tests of commands.
func TestMain(m *testing.M) {
	if mode := os.Getenv("PIPELINE_TEST_CHILD"); mode != "" {
		os.Exit(serve(mode))
	}
	os.Exit(m.Run())
}

func serve(mode string) int {
	switch mode {
	case "sleep":
		time.Sleep(time.Hour)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "parent":
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PIPELINE_TEST_CHILD=sleep")
		if err := cmd.Start(); err != nil {
			return 1
		}
		fmt.Println("grandchild", cmd.Process.Pid)
	}
	http.HandleFunc("/ping", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/invocations", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "die" {
			os.Exit(3)
		}
		fmt.Fprintf(w, "%s %s %s", body, os.Getenv("SAGEMAKER_SAFE_PORT_RANGE"), os.Getenv("OWN"))
	})
	fmt.Println("on", os.Getenv("SAGEMAKER_BIND_TO_PORT"))
	fmt.Fprintln(os.Stderr, "a line on stderr")
	if err := http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("SAGEMAKER_BIND_TO_PORT")), nil); err != nil {
		fmt.Println(err)
	}
	return 1
}

// commands returns a chain of commands in the modes given.
func commands(t testing.TB, watch func(pipeline.Event), modes ...string) *pipeline.Chain {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := artifact.Pipeline{Mode: artifact.Direct}
	for i, mode := range modes {
		p.Steps = append(p.Steps, artifact.PipelineStep{Name: string(rune('a' + i)), Command: []string{self},
			Env: map[string]string{"PIPELINE_TEST_CHILD": mode, "OWN": strconv.Itoa(i)}})
	}
	c, err := pipeline.New(p, pipeline.Options{Ports: pipeline.PortRange{Low: 20000, High: 24999}, Grace: 300 * time.Millisecond, Watch: watch})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() { _ = c.Close() }) // again, where the test has
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCommandsGetPortsOfTheirOwnAndEndWithTheChain(t *testing.T) {
	events := make(chan pipeline.Event, 100)
	c := commands(t, func(e pipeline.Event) { events <- e }, "plain", "plain", "deaf")
	status := c.Status()
	var ranges []string
	for i, s := range status {
		if s.Kind != "command" || s.State != pipeline.Ready || s.PID == 0 || s.Restarts != 0 {
			t.Errorf("%+v", s)
		}
		out, err := c.Send(t.Context(), s.Name, message("text/plain", "x"), "")
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(read(t, out))
		if fields[2] != strconv.Itoa(i) {
			t.Errorf("step %s has another's environment: %q", s.Name, fields)
		}
		ranges = append(ranges, fields[1])
	}
	seen := map[int]bool{}
	for i, text := range ranges {
		r, err := pipeline.ParsePortRange(text)
		if err != nil {
			t.Fatal(err)
		}
		low := 20000 + i*5000/3
		if r.Low < low-1 || r.High > low+5000/3 {
			t.Errorf("step %d may use %v, which is not its share", i, r)
		}
		port, err := strconv.Atoi(status[i].URL[strings.LastIndex(status[i].URL, ":")+1:])
		if err != nil || seen[port] || port >= r.Low && port <= r.High {
			t.Errorf("step %d listens on %d and may use %v", i, port, r)
		}
		seen[port] = true
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range status {
		if err := syscall.Kill(s.PID, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("step %s is still there: %v", s.Name, err)
		}
	}
	close(events)
	lines := map[string]string{}
	for e := range events {
		if e.Kind == pipeline.EventOutput {
			lines[e.Step] += e.Line + "\n"
		}
	}
	for _, s := range status {
		if got := lines[s.Name]; !strings.Contains(got, "on 2") || !strings.Contains(got, "a line on stderr\n") {
			t.Errorf("step %s has written %q", s.Name, got)
		}
	}
}

func TestACommandThatDiesIsNamedAndStartedAgain(t *testing.T) {
	c := commands(t, func(pipeline.Event) {}, "plain", "plain")
	before := c.Status()[1]
	_, err := c.Send(t.Context(), "b", message("text/plain", "die"), "")
	if !errors.Is(err, pipeline.ErrBroken) || !strings.Contains(err.Error(), `step "b"`) {
		t.Errorf("got %v", err)
	}
	for c.Status()[1].PID == before.PID {
		time.Sleep(time.Millisecond)
	}
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := c.Send(t.Context(), "b", message("text/plain", "x"), "")
	if err != nil {
		t.Fatal(err)
	}
	read(t, out)
	if s := c.Status()[1]; s.Restarts != 1 || s.PID == before.PID {
		t.Errorf("%+v", s)
	}
}

func TestWhatACommandHasStartedEndsWithIt(t *testing.T) {
	lines := make(chan string, 10)
	c := commands(t, func(e pipeline.Event) {
		if e.Kind == pipeline.EventOutput && strings.HasPrefix(e.Line, "grandchild") {
			lines <- e.Line
		}
	}, "parent", "plain")
	pid, err := strconv.Atoi(strings.TrimPrefix(<-lines, "grandchild "))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); running(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// running tells a process from one that nobody has asked about since it ended.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestACommandThatIsNotThereIsAnErrorAtOnce(t *testing.T) {
	p := artifact.Pipeline{Mode: artifact.Serial, Steps: []artifact.PipelineStep{
		{Name: "a", URL: "http://127.0.0.1:1"}, {Name: "b", Command: []string{"no-such-program-anywhere"}}}}
	_, err := pipeline.New(p, pipeline.Options{Ports: pipeline.PortRange{Low: 20000, High: 29999}})
	if err == nil || !strings.Contains(err.Error(), `step "b"`) || !strings.Contains(err.Error(), "no-such-program-anywhere") {
		t.Errorf("got %v", err)
	}
	p.Steps[1].Command = []string{"true"}
	p.Steps = append(p.Steps, artifact.PipelineStep{Name: "c", Command: []string{"true"}})
	if _, err := pipeline.New(p, pipeline.Options{Ports: pipeline.PortRange{Low: 5, High: 5}}); err == nil || !strings.Contains(err.Error(), "5-5 has no port for each of 2 commands") {
		t.Errorf("one port for two commands: %v", err)
	}
}

func TestPortRangesAreReadStrictly(t *testing.T) {
	for _, text := range []string{"25000-25999", "1-65535", "80-80", " 25000 - 25999 "} {
		if _, err := pipeline.ParsePortRange(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "25000", "25999-25000", "0-10", "1-65536", "a-b", "1-2-3", "-5", "1-"} {
		if r, err := pipeline.ParsePortRange(text); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}
