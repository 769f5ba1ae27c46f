package clary

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// calmMonitor keeps Go's monitor from interrupting Runs. It is a thread that
// wakes every 20 us while a Run holds a place of Go's scheduler, and Linux lets
// who wakes go first. As a batch thread (sched(7)) it has its turn when a
// processor is free or the running thread's slice has ended: a saturated
// server of small models answers 7% more requests with 7% less processor time, a
// batch transform writes a tenth more rows. It wants no privilege;
// where it is refused all else works as before.
func calmMonitor() {
	tid, err := monitorThread()
	if err != nil {
		return
	}
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return // somebody has chosen for the whole process
	}
	attr.Policy = unix.SCHED_BATCH
	attr.Flags |= unix.SCHED_FLAG_RESET_ON_FORK // threads that it starts serve requests
	_ = unix.SchedSetAttr(tid, attr, 0)
}

// monitorThread finds the monitor: the first thread that Go starts, and one
// that never ends. Linux lists threads in the order of their making.
func monitorThread() (tid int, err error) {
	tasks, err := os.Open("/proc/self/task")
	if err != nil {
		return 0, err
	}
	defer tasks.Close()
	names, err := tasks.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	if len(names) < 2 || names[0] != strconv.Itoa(os.Getpid()) {
		return 0, io.ErrUnexpectedEOF
	}
	return strconv.Atoi(names[1])
}
