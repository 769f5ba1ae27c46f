package clary_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Whatever happens to the steps, a request is answered rightly or told which
// step is gone; and nothing is left over.
func TestAChainUnderLoadWhileItsStepsDie(t *testing.T) {
	requests := int64(600)
	if os.Getenv("CLARY_SOAK") != "" {
		requests *= 20
	}
	p := conduct(t, chainOf(t, asCommand))
	body, _ := chainRows(t)
	want := p.invoke("text/csv", body, "Accept", "text/csv")
	if want.status != 200 {
		t.Fatalf("%d %s", want.status, want.body)
	}
	var sent, right, told atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for sent.Add(1) <= requests {
				a, err := p.try(p.request("POST", "/invocations", body, "Content-Type", "text/csv", "Accept", "text/csv"))
				switch {
				case err != nil:
					t.Errorf("no answer: %v", err)
				case a.status == 200 && a.body == want.body:
					right.Add(1)
				case a.status == 503 && strings.Contains(a.body, `step \"chain-`):
					told.Add(1)
					p.eventually(200, "/ping") // as a balancer would
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	for next := int64(100); next < requests; next += 200 {
		for sent.Load() < next {
			p.eventually(200, "/ping")
		}
		steps := p.pipeline().Steps
		if pid := steps[rand.IntN(len(steps))].PID; pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be the one that has just ended
		}
	}
	clients.Wait()
	p.eventually(200, "/ping")
	t.Logf("%d right answers, %d refusals that named the step", right.Load(), told.Load())
	if right.Load() < requests/2 {
		t.Errorf("%d right answers, %d refusals", right.Load(), told.Load())
	}
	if children := childrenOf(t, p.cmd.Process.Pid); len(children) != 3 {
		t.Errorf("the server has the children %v", children)
	}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)); err != nil || len(fds) > 120 {
		t.Errorf("%d files are open, %v", len(fds), err)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// childrenOf lists a process's children, ended ones that nobody has asked
// about included.
func childrenOf(t testing.TB, pid int) []string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err == nil { // a thread that has ended has none
			children = append(children, strings.Fields(string(text))...)
		}
	}
	return children
}
