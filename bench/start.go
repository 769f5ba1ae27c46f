package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// start compares the time from exec to the first 200 on /ping with that of a
// C program that only loads the library and creates environment and session.
func start(b *bench) error {
	least := func() (time.Duration, error) {
		return untilLine(exec.Command(b.program("minimum"), b.library, filepath.Join(iris, "model.onnx")), func(line string) (bool, error) { return line == "ready", nil })
	}
	clary := func() (time.Duration, error) {
		cmd := exec.Command(b.serve, iris, "--host", "127.0.0.1", "--port", "0", "--onnxruntime", b.library)
		return untilLine(cmd, func(line string) (bool, error) {
			var fields struct{ Msg, Addr string }
			if err := json.Unmarshal([]byte(line), &fields); err != nil || fields.Msg != "listening" {
				return false, err
			}
			return true, ping("http://" + fields.Addr + "/ping")
		})
	}
	// Once each, so that both find the files in memory.
	if _, err := least(); err != nil {
		return err
	}
	if _, err := clary(); err != nil {
		return err
	}
	var mins, ours, quotients []float64
	for range max(b.rounds, 15) {
		a, err := least()
		if err != nil {
			return err
		}
		c, err := clary()
		if err != nil {
			return err
		}
		mins, ours, quotients = append(mins, a.Seconds()), append(ours, c.Seconds()), append(quotients, c.Seconds()/a.Seconds())
	}
	b.report(row{What: "exec to first 200 on /ping, iris", Value: milli(median(ours)),
		Against: milli(median(mins)) + ": library, environment, session in C", Ratio: median(quotients), Limit: 2})
	return nil
}

// untilLine starts cmd and returns the time until done says so of a line of
// its output; then it ends cmd.
func untilLine(cmd *exec.Cmd, done func(line string) (bool, error)) (time.Duration, error) {
	cmd.Env = append(os.Environ(), "ORT_DISABLE_TELEMETRY=1")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	took, err := scan(bufio.NewScanner(stdout), begin, done)
	_ = cmd.Process.Kill() // it may have ended by itself
	_ = cmd.Wait()         // so its exit status says nothing
	return took, err
}

func scan(lines *bufio.Scanner, begin time.Time, done func(string) (bool, error)) (time.Duration, error) {
	for lines.Scan() {
		if ok, err := done(lines.Text()); ok || err != nil {
			return time.Since(begin), err
		}
	}
	return 0, errors.Join(errors.New("it ended before it was ready"), lines.Err())
}

// ping asks until the answer is 200.
func ping(url string) error {
	client := &http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("%s was not 200 within 30 s", url)
}
