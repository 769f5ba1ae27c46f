// Bench measures Clary against the raw limits of the machine it runs on, in
// one run, and prints a table. Figures of different runs do not compare.
//
//	make bench
//	go run ./bench -suite row,digits -quick
//	go run ./bench load -h        the load alone, at any server
//
// Each suite interleaves what it compares, round by round, and takes medians
// of each round's ratio: the clock of a shared machine drifts. README.md says
// more.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"time"
)

// A suite measures one thing.
type suite struct {
	name string
	help string
	run  func(*bench) error
}

var suites = []suite{
	{"start", "from exec to the first 200 on /ping", start},
	{"row", "one row of CSV or JSON: what HTTP and the server cost", oneRow},
	{"rows", "100 and 10,000 rows in one request", manyRows},
	{"digits", "a small network, one image a request: batching", digits},
	{"networks", "SqueezeNet and ResNet-50: what ONNX Runtime costs", convolutions},
	{"chain", "a pipeline of three models in one process", chain},
	{"large", "a body of 20 MB", large},
	{"overload", "three times the peak for 30 s", overload},
	{"answers", "the same answers with and without batching", answers},
	{"memory", "resident, idle and under large bodies", memory},
	{"transform", "a batch transform in one process", transform},
	{"models", "many models: a hit, a thousand at once, opening one", models},
	{"isolation", "many models: what a small one notices of others being opened", isolation},
	{"eviction", "many models: which one gives way", eviction},
}

// bench is what every suite is given.
type bench struct {
	serve   string // the built server
	library string // ONNX Runtime's
	cache   string // of generated networks
	dir     string // for files of this run
	begun   time.Time
	rounds  int
	quick   bool
	suite   string // the one that runs
	rows    []row
	bursts  []burst

	programs string       // of the bench, where they are built already
	gpu      *gpuSettings // of bench gpu
}

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "load" {
		return loadCommand(args[1:])
	}
	if len(args) > 0 && args[0] == "codec" {
		return codecCommand(args[1:])
	}
	if len(args) > 0 && args[0] == "gpu" {
		return gpuCommand(args[1:])
	}
	b := &bench{}
	var chosen, results string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&chosen, "suite", "", "suites to run, with commas between; all when empty")
	f.StringVar(&b.serve, "serve", "bin/serve", "the server")
	f.StringVar(&b.library, "library", "bin/libonnxruntime.so.1", "ONNX Runtime's library")
	f.StringVar(&b.cache, "networks", ".cache/networks", "where generated networks are kept")
	f.StringVar(&results, "results", "bench/results", "where the JSON of the run goes")
	f.IntVar(&b.rounds, "rounds", 9, "rounds of what is promised")
	f.BoolVar(&b.quick, "quick", false, "three rounds: to see whether it works, not to compare")
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "Usage: bench [flags]            measure\n       bench load [flags]       send load to any server\n       bench gpu [flags]        measure on a GPU (bench/gpu.sh)\n\nSuites:")
		for _, s := range suites {
			fmt.Fprintf(f.Output(), "  %-10s %s\n", s.name, s.help)
		}
		fmt.Fprintln(f.Output(), "\nFlags:")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.quick {
		b.rounds = 3
	}
	todo, err := choose(suites, chosen)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "clary-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	return b.all(todo, results)
}

func choose(among []suite, names string) ([]suite, error) {
	if names == "" {
		return among, nil
	}
	var todo []suite
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(among, func(s suite) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no suite %q; -h lists them", name)
		}
		todo = append(todo, among[i])
	}
	return todo, nil
}

func (b *bench) all(todo []suite, results string) error {
	b.begun = time.Now()
	if err := b.build(); err != nil {
		return err
	}
	var failed error // one suite's fault leaves the others
	for _, s := range todo {
		fmt.Fprintf(os.Stderr, "%4.0f s  %s: %s\n", time.Since(b.begun).Seconds(), s.name, s.help)
		b.suite = s.name
		if err := s.run(b); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	fmt.Fprintf(os.Stderr, "%4.0f s  done, on %d cores\n", time.Since(b.begun).Seconds(), goruntime.NumCPU())
	if err := b.print(os.Stdout); err != nil {
		return err
	}
	if err := b.write(results); err != nil {
		return err
	}
	if n := b.missed(); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("%d rows missed their limit", n))
	}
	return failed
}
