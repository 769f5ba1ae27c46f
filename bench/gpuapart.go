package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// suitesApart runs each suite of the GPU's in a process of its own, so that one
// that a library of CUDA's ends, or that hangs, leaves the others; the JSON is
// written after each. The machine may be there only once.
func (b *bench) suitesApart(todo []suite, args []string, results string, limit time.Duration) (err error) {
	b.begun = time.Now()
	if b.dir, err = os.MkdirTemp("", "clary-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var failed []string
	for _, s := range todo {
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(os.Stderr, "%4.0f s  %s: %s\n", time.Since(b.begun).Seconds(), s.name, s.help)
		if err := b.apart(ctx, s.name, args, limit); err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", s.name, err))
		}
		if err := b.write(results); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "%4.0f s  done\n", time.Since(b.begun).Seconds())
	if err := b.print(os.Stdout); err != nil {
		return err
	}
	if n := b.missed(); n > 0 {
		failed = append(failed, fmt.Sprintf("%d rows missed their limit", n))
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s", strings.Join(failed, "; "))
	}
	return nil
}

// apart runs one suite and adds what it has measured, however it ended.
func (b *bench) apart(ctx context.Context, name string, args []string, limit time.Duration) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	into := filepath.Join(b.dir, name+".json")
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, slices.Concat([]string{"gpu"}, args, []string{"-suite", name, "-into", into})...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = group
	if err = cmd.Start(); err != nil {
		return err
	}
	err = cmd.Wait()
	_ = group() // servers that it has left, which is none when it has ended well
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var r result
	if text, unread := os.ReadFile(into); unread == nil {
		if unread = json.Unmarshal(text, &r); unread != nil {
			return unread
		}
	}
	failed := slices.ContainsFunc(r.Rows, func(r row) bool { return r.What == whatFailed })
	b.rows, b.bursts = append(b.rows, r.Rows...), append(b.bursts, r.Bursts...)
	if err != nil && !failed {
		b.suite = name
		b.report(row{What: whatFailed, Value: err.Error()})
	}
	return err
}
