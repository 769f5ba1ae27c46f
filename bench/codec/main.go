// Codec measures package codec beside the fastest libraries that do the same
// work, and beside loops written for one body, and prints a table.
//
//	make bench
//
// It is a module of its own, so that these libraries are no dependency of
// Clary. Whatever is compared takes turns, round by round, and the ratios are
// medians over the rounds: the clock of a shared machine drifts. Time is the
// processor's, collecting garbage included. A ratio is our time divided by
// theirs.
package main

import (
	"flag"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// A task is one piece of work that contestants do with the same input; the
// first of them is Clary.
type task struct {
	name        string
	bytes       int // of the body
	allocations int // how many ours may make; -1: any number
	contestants []contestant
}

// A contestant does the work once.
type contestant struct {
	name string
	// limit is what our time divided by this contestant's must stay within; 0
	// where nothing is promised.
	limit float64
	run   func() error
}

// fastest is the limit beside a library; twice that beside the least loop that
// does the work.
const (
	fastest = 1
	least   = 2
)

func main() {
	rounds := flag.Int("rounds", 15, "rounds of each comparison")
	flag.Parse()
	if err := run(*rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench/codec:", err)
		os.Exit(1)
	}
}

func run(rounds int) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "suite\twhat\tmeasured\tagainst\tratio\tlimit")
	missed := 0
	for _, task := range slices.Concat(jsonTasks(), csvTasks(), rawTasks()) {
		n, err := task.print(t, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", task.name, err)
		}
		missed += n
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d rows missed their limit", missed)
	}
	return nil
}

// print measures the task and prints a row for each contestant but ours; it
// returns how many missed their limit.
func (t task) print(w *tabwriter.Writer, rounds int) (missed int, err error) {
	seconds, err := t.measure(rounds)
	if err != nil {
		return 0, err
	}
	allocations := make([]float64, len(t.contestants))
	for i, c := range t.contestants {
		allocations[i] = allocationsOf(c)
	}
	text := func(i int) string {
		each := median(slices.Clone(seconds[i]))
		return fmt.Sprintf("%.0f MB/s, %.0f allocations", float64(t.bytes)/each/1e6, allocations[i])
	}
	for i, c := range t.contestants[1:] {
		ratios := make([]float64, rounds)
		for r := range rounds {
			ratios[r] = seconds[0][r] / seconds[i+1][r]
		}
		ratio := median(ratios)
		limit := ""
		if c.limit > 0 {
			limit = fmt.Sprintf("%.2f", c.limit)
			if ratio > c.limit {
				limit += " MISSED"
				missed++
			}
		}
		fmt.Fprintf(w, "codec\t%s\t%s\t%s: %s\t%.2f\t%s\n", t.name, text(0), c.name, text(i+1), ratio, limit)
	}
	if t.allocations >= 0 {
		limit := fmt.Sprint(t.allocations)
		if allocations[0] > float64(t.allocations) {
			limit += " MISSED"
			missed++
		}
		fmt.Fprintf(w, "codec\t%s\t%.0f allocations\t\t\t%s\n", t.name, allocations[0], limit)
	}
	return missed, nil
}

// measure returns the seconds that each contestant took for a run in each
// round.
func (t task) measure(rounds int) ([][]float64, error) {
	const span = 5 * time.Millisecond // for each in a round
	seconds := make([][]float64, len(t.contestants))
	runs := make([]int, len(t.contestants))
	for i, c := range t.contestants {
		begin := processorTime()
		for runs[i] = 0; runs[i] < 3 || processorTime()-begin < span; runs[i]++ {
			if err := c.run(); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	for range rounds {
		for i, c := range t.contestants {
			goruntime.GC() // of what the one before it left
			begin := processorTime()
			for range runs[i] {
				_ = c.run() // it has succeeded before
			}
			seconds[i] = append(seconds[i], (processorTime()-begin).Seconds()/float64(runs[i]))
		}
	}
	return seconds, nil
}

// processorTime returns what this process has used of the processors so far.
func processorTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // every system has it
	}
	return time.Duration(t.Nano())
}

// allocationsOf returns how many allocations a run makes.
func allocationsOf(c contestant) float64 {
	const runs = 20
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	for range runs {
		_ = c.run()
	}
	goruntime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs
}

// median returns the middle of the values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
