package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// A rawLoop is a process that runs a model and does nothing else
// (bench/raw/raw.c).
type rawLoop struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner

	rows int // different ones that it goes through; 0: those of one batch
}

// A rawResult is what it measured.
type rawResult struct {
	Runs         int
	Seconds, CPU float64
	P50, P99     float64 // of a run, in seconds

	Threads, Batch int
}

func (r rawResult) perSecond() float64 { return float64(r.Runs) / r.Seconds }

func (r rawResult) rowsPerSecond() float64 { return r.perSecond() * float64(r.Batch) }

// cpuEach is the processor time of one row.
func (r rawResult) cpuEach() float64 { return r.CPU / float64(r.Runs*r.Batch) }

// raw opens a model for the raw loop, with intra threads for each run, and on a
// GPU where a provider and its options follow.
func (b *bench) raw(model string, intra int, provider ...string) (*rawLoop, error) {
	r := &rawLoop{cmd: exec.Command(b.program("raw"), append([]string{b.library, model, strconv.Itoa(intra)}, provider...)...)}
	r.cmd.Env = append(os.Environ(), "ORT_DISABLE_TELEMETRY=1")
	r.cmd.Stderr = os.Stderr
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	if !r.out.Scan() {
		r.stop()
		return nil, fmt.Errorf("the raw loop cannot open %s", model)
	}
	return r, nil
}

func (r *rawLoop) stop() {
	_ = r.cmd.Process.Kill() // it may have ended
	_ = r.cmd.Wait()
}

// run runs the model on threads at once for so long.
func (r *rawLoop) run(threads, batch int, seconds float64) (rawResult, error) {
	result := rawResult{Threads: threads, Batch: batch}
	if _, err := fmt.Fprintf(r.in, "%d %d %g %d\n", threads, batch, seconds, max(r.rows, 1)); err != nil {
		return result, err
	}
	if !r.out.Scan() {
		return result, fmt.Errorf("the raw loop ended")
	}
	return result, json.Unmarshal(r.out.Bytes(), &result)
}

// collect returns a contestant that runs the loop and adds the result to into.
func (r *rawLoop) collect(into *[]rawResult, threads, batch int, seconds float64) func() error {
	return func() error {
		result, err := r.run(threads, batch, seconds)
		*into = append(*into, result)
		return err
	}
}

// best finds the threads and the batch that give the most rows a second.
func (r *rawLoop) best(threads, batches []int, seconds float64) (best rawResult, err error) {
	for _, n := range threads {
		for _, batch := range batches {
			result, err := r.run(n, batch, seconds)
			if err != nil {
				return best, err
			}
			if best.Runs == 0 || result.rowsPerSecond() > best.rowsPerSecond() {
				best = result
			}
		}
	}
	return best, nil
}
