package clary_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Go's monitor, and it alone, is a batch thread: the one that sleeps by itself,
// in nanosleep, while the server works.
func TestGoMonitorDoesNotInterruptRuns(t *testing.T) {
	p := start(t, "serve", nil, "testdata/models/iris")
	tasks := fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid)
	sleeps := map[string]int{} // how often a thread was seen to
	for range 300 {
		p.invoke("text/csv", "5.1,3.5,1.4,0.2\n")
		calls, err := filepath.Glob(tasks + "/*/syscall")
		if err != nil || len(calls) == 0 {
			t.Fatalf("no threads in %s: %v", tasks, err)
		}
		for _, path := range calls {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // the thread has ended
			}
			if number, _, _ := strings.Cut(string(text), " "); number == strconv.Itoa(unix.SYS_NANOSLEEP) {
				sleeps[filepath.Base(filepath.Dir(path))]++
			}
		}
	}
	monitor, most := "", 0
	for tid, n := range sleeps {
		if n > most {
			monitor, most = tid, n
		}
	}
	if most == 0 {
		t.Fatal("no thread was seen to sleep")
	}
	threads, err := os.ReadDir(tasks)
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			continue // the thread has ended
		}
		if batch := attr.Policy == unix.SCHED_BATCH; batch != (thread.Name() == monitor) {
			t.Errorf("thread %d has policy %d; the monitor is %s, seen asleep %d times of 300", tid, attr.Policy, monitor, most)
		}
	}
}
