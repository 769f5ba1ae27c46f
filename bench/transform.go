package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/claryhq/clary/runtime"
)

// transform measures a batch transform in one process: what is left between
// reading, parsing, running and writing beside what each costs by itself.
func transform(b *bench) error {
	const model, rows = "testdata/models/digits", 100_000
	large, err := b.file("digits.csv", pixelsCSV(rows+1))
	if err != nil {
		return err
	}
	small, err := b.file("digit.csv", pixelsCSV(1))
	if err != nil {
		return err
	}
	loop, err := b.raw(filepath.Join(model, "model.onnx"), 1)
	if err != nil {
		return err
	}
	defer loop.stop()
	best, err := loop.best([]int{1, goruntime.NumCPU()}, []int{1, 4, 8, 16, 32, 64, 128}, 0.15)
	if err != nil {
		return err
	}
	var took, started []time.Duration
	var peak []int64
	var raw []rawResult
	var alone []codecResult
	start := func() error {
		d, _, err := b.transformOnce(model, small)
		started = append(started, d)
		return err
	}
	job := func() error {
		d, most, err := b.transformOnce(model, large)
		took, peak = append(took, d), append(peak, most)
		return err
	}
	codecs := func() error {
		r, err := codecAlone("digits", 1000, 0.2)
		alone = append(alone, r)
		return err
	}
	if err := interleave(b.rounds, start, job, loop.collect(&raw, best.Threads, best.Batch, 0.5), codecs); err != nil {
		return err
	}
	var all []float64
	for i := range took {
		took[i] -= started[i] // a gigabyte takes minutes, of which the start is nothing
		all = append(all, rows/took[i].Seconds()*(1/raw[i].rowsPerSecond()+1/alone[i].Parse+1/alone[i].Format))
	}
	b.report(row{What: "digits, 100,000 rows of CSV more in a file: rows/s", Value: fmt.Sprintf("%.0f", over(took, func(d time.Duration) float64 { return rows / d.Seconds() })),
		Against: fmt.Sprintf("1/(1/%.0f (raw, %d threads, batch %d) + 1/%.0f (parse) + 1/%.0f (format))", over(raw, rawResult.rowsPerSecond), best.Threads, best.Batch,
			over(alone, func(c codecResult) float64 { return c.Parse }), over(alone, func(c codecResult) float64 { return c.Format })),
		Ratio: median(all), Limit: 0.85, Least: true})
	most := over(peak, func(n int64) float64 { return float64(n) })
	b.report(row{What: "the most memory of that", Value: mega(int64(most)), Against: "300 MB", Ratio: most / 300e6, Limit: 1})
	return nil
}

// transformOnce runs one job, and returns how long it took and the most memory
// it had.
func (b *bench) transformOnce(model, in string) (time.Duration, int64, error) {
	out, err := os.MkdirTemp(b.dir, "out-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(out)
	cmd := exec.Command(b.serve, "transform", "--model-dir", model, "--input", in, "--output", out, "--accept", "text/csv", "--split-type", "Line", "--assemble-with", "Line")
	cmd.Env = append(os.Environ(), "ORT_DISABLE_TELEMETRY=1", "ORT_DYLIB_PATH="+b.library)
	begin := time.Now()
	text, err := cmd.CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		return 0, 0, fmt.Errorf("serve transform: %w: %s", err, text)
	}
	var most float64
	if _, memory, ok := strings.Cut(string(text), " rows/s; "); ok {
		_, err = fmt.Sscanf(memory, "%g MiB of memory at most", &most)
	}
	if most == 0 || err != nil {
		return 0, 0, fmt.Errorf("serve transform does not say how much memory it had: %s", text)
	}
	return took, int64(most * (1 << 20)), nil
}

// pixelsCSV returns lines of images of 8 by 8, as the data set has them: whole
// numbers to 16.
func pixelsCSV(n int) []byte {
	r := rand.New(rand.NewPCG(2, 2))
	b := make([]byte, 0, 160*n)
	for range n {
		for i := range 64 {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, r.Int64N(17), 10)
		}
		b = append(b, '\n')
	}
	return b
}

// digitsCSV is a body for the digits model, its input, and an output as it
// gives them.
func digitsCSV(rows int) ([]byte, []runtime.Info, []runtime.Tensor) {
	scores := make([]float32, 0, 10*rows)
	r := rand.New(rand.NewPCG(3, 3))
	for range 10 * rows {
		x := r.Float32()
		scores = append(scores, x*x*x*x)
	}
	return pixelsCSV(rows), []runtime.Info{{Name: "image", DType: runtime.Float32, Shape: []int{-1, 1, 8, 8}}},
		[]runtime.Tensor{{Name: "probabilities", Shape: []int{rows, 10}, Data: scores}}
}

// irisCSV is the same for the iris model.
func irisCSV(rows int) ([]byte, []runtime.Info, []runtime.Tensor) {
	scores := numbers(3 * rows)
	for i := range scores {
		scores[i] /= 8
	}
	return rowsCSV(rows), []runtime.Info{{Name: "X", DType: runtime.Float32, Shape: []int{-1, 4}}},
		[]runtime.Tensor{{Name: "label", Shape: []int{rows}, Data: make([]int64, rows)}, {Name: "probabilities", Shape: []int{rows, 3}, Data: scores}}
}
