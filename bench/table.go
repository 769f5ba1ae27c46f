package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/claryhq/clary/bench/load"
)

// A row of the table. A ratio is what matters; limit is what it must stay
// within, 0 where nothing is promised.
type row struct {
	Suite   string
	What    string
	Value   string
	Against string
	Ratio   float64
	Limit   float64
	Least   bool // the limit is the least that the ratio may be
}

func (r row) missed() bool {
	return r.Limit > 0 && (r.Least && r.Ratio < r.Limit || !r.Least && r.Ratio > r.Limit)
}

// limit prints the limit.
func (r row) limit() string {
	if r.Limit == 0 {
		return ""
	}
	text := fmt.Sprintf("≤ %.2f", r.Limit) // "≤ 0.00" where none is allowed
	if r.Least {
		text = fmt.Sprintf("≥ %.2f", r.Limit)
	}
	if r.missed() {
		text += " MISSED"
	}
	return text
}

// report adds a row.
func (b *bench) report(r row) {
	r.Suite = b.suite
	if math.IsNaN(r.Ratio) || math.IsInf(r.Ratio, 0) { // of what was not done once
		r.Ratio = 0
	}
	b.rows = append(b.rows, r)
	if b.gpu != nil && b.gpu.into != "" { // the machine may be taken away before the table is printed
		fmt.Fprintf(os.Stderr, "        %s: %s; %s %s\n", r.What, r.Value, r.Against, r.limit())
		b.gpu.kept = b.writeTo(b.gpu.into)
	}
}

// A burst is one measurement of load, kept for the JSON.
type burst struct {
	Suite, Server, What string
	Result              load.Result
}

func (b *bench) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "suite\twhat\tmeasured\tagainst\tratio\tlimit")
	for _, r := range b.rows {
		ratio := ""
		if r.Ratio != 0 || r.Limit != 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Suite, r.What, r.Value, r.Against, ratio, r.limit())
	}
	return t.Flush()
}

func (b *bench) missed() (n int) {
	for _, r := range b.rows {
		if r.missed() {
			n++
		}
	}
	return n
}

// A result is what is kept of a run.
type result struct {
	Time    time.Time
	Version string
	Cores   int
	Machine string
	Rows    []row
	Bursts  []burst
}

// write keeps the run as JSON under dir.
func (b *bench) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, b.begun.UTC().Format("2006-01-02T150405")+".json")
	if err := b.writeTo(path); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "        the run is in", path)
	return nil
}

func (b *bench) writeTo(path string) error {
	version, err := exec.Command(b.serve, "version").Output()
	if err != nil {
		return err
	}
	run := result{b.begun, string(version), goruntime.NumCPU(), processor(), b.rows, b.bursts}
	text, err := json.MarshalIndent(run, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// processor names the machine's, "" where /proc does not say.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // Linux has it
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return ""
}
