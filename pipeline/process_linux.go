package pipeline

import "syscall"

// ownGroup puts a process into a group of its own, so that a terminal's ^C
// does not reach it and that its children are stopped with it; it ends when
// this process is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
