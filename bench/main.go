// Bench measures Clary against the raw limits of the machine it runs on, in
// one run, and prints a table. Figures of different runs do not compare.
//
//	make bench
//
// Each suite interleaves what it compares, round by round, and takes medians:
// the clock of a shared machine drifts.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

// A suite measures one thing and returns its rows.
type suite struct {
	name string
	run  func(setup) ([]row, error)
}

// setup is what every suite is given.
type setup struct {
	serve   string // the built server
	library string // ONNX Runtime's
	rounds  int
}

// A row of the table. A ratio is what matters; limit is what it must stay
// within, 0 where nothing is promised.
type row struct {
	what    string
	value   string
	against string
	ratio   float64
	limit   float64
}

var suites = []suite{{"start", start}}

func main() {
	s := setup{}
	flag.StringVar(&s.serve, "serve", "bin/serve", "the server")
	flag.StringVar(&s.library, "library", "bin/libonnxruntime.so.1", "ONNX Runtime's library")
	flag.IntVar(&s.rounds, "rounds", 15, "rounds of each comparison")
	flag.Parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s setup) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "suite\twhat\tmeasured\tagainst\tratio\tlimit")
	missed := 0
	for _, suite := range suites {
		rows, err := suite.run(s)
		if err != nil {
			return fmt.Errorf("%s: %w", suite.name, err)
		}
		for _, r := range rows {
			limit := ""
			if r.limit > 0 {
				limit = fmt.Sprintf("%.2f", r.limit)
				if r.ratio > r.limit {
					limit += " MISSED"
					missed++
				}
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.2f\t%s\n", suite.name, r.what, r.value, r.against, r.ratio, limit)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d rows missed their limit", missed)
	}
	return nil
}

// median returns the middle of the values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
