package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/codec"
)

// A codecResult is what the codec does alone, on all cores, in rows a second.
type codecResult struct{ Parse, Format float64 }

// codecCommand parses and formats CSV of a model and nothing else.
func codecCommand(args []string) error {
	f := flag.NewFlagSet("bench codec", flag.ContinueOnError)
	model := f.String("model", "iris", "iris or digits")
	rows := f.Int("rows", 10_000, "rows of a body")
	seconds := f.Float64("for", 0.3, "seconds of each")
	if err := f.Parse(args); err != nil {
		return err
	}
	made := irisCSV
	if *model == "digits" {
		made = digitsCSV
	}
	body, want, out := made(*rows)
	parse, err := rate(*seconds, func() func() error {
		return func() error {
			_, err := codec.CSV{}.Decode(body, &codec.Request{Want: want})
			return err
		}
	})
	if err != nil {
		return err
	}
	format, err := rate(*seconds, func() func() error {
		var buf []byte
		return func() (err error) {
			buf, err = codec.CSV{}.Encode(buf[:0], out, &codec.Reply{})
			return err
		}
	})
	if err != nil {
		return err
	}
	n := float64(*rows)
	return json.NewEncoder(os.Stdout).Encode(codecResult{parse * n, format * n})
}

// rate returns how often a second each core's work is done on all cores.
func rate(seconds float64, worker func() func() error) (float64, error) {
	var done atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, goruntime.NumCPU())
	begin := time.Now()
	for range goruntime.NumCPU() {
		wg.Go(func() {
			work := worker()
			for time.Since(begin).Seconds() < seconds {
				if err := work(); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	return float64(done.Load()) / time.Since(begin).Seconds(), nil
}

// codecAlone runs codecCommand in a process of its own.
func codecAlone(model string, rows int, seconds float64) (r codecResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	out, err := exec.Command(self, "codec", "-model", model, "-rows", fmt.Sprint(rows), "-for", fmt.Sprint(seconds)).Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}
