//go:build !linux

package pipeline

import "syscall"

// ownGroup puts a process into a group of its own, so that a terminal's ^C
// does not reach it and that its children are stopped with it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
