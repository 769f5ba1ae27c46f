package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// gpuSuites are what bench/gpu.sh runs, the longest last.
var gpuSuites = []suite{
	{"correct", "every model on the GPU answers as on the CPU", gpuBench(gpuCorrect)},
	{"share", "two models with three tenths of the GPU each", gpuBench(gpuShare)},
	{"trouble", "SIGTERM under load, no memory in a run, a lost GPU", gpuBench(gpuTrouble)},
	{"speed", "networks in this process and through HTTP, beside the raw loop", gpuBench(gpuSpeed)},
}

// gpuSettings are what the GPU's suites know beside the bench: cuda is false in a dry
// run, which does on the CPU what can be done there, and promises nothing.
type gpuSettings struct {
	cuda     bool
	networks []networks.Network
	batches  []int
	clients  []int   // connections, of which the best counts
	seconds  float64 // of a burst
	cycles   int     // of loading and unloading
	failed   []error // of suites
	into     string  // file that one suite's rows are kept in, as they come; "": this is not its process
	kept     error   // what was wrong with that
}

const whatFailed = "FAILED"

// gpuBench has a suite's error in the table, behind what it has measured.
func gpuBench(run func(*bench, *gpuSettings) error) func(*bench) error {
	return func(b *bench) error {
		if err := run(b, b.gpu); err != nil {
			b.report(row{What: whatFailed, Value: strings.ReplaceAll(err.Error(), "\n", "; ")})
			b.gpu.failed = append(b.gpu.failed, fmt.Errorf("%s: %w", b.suite, err))
		}
		return nil
	}
}

// gpuCommand is bench gpu.
func gpuCommand(args []string) error {
	b := &bench{gpu: &gpuSettings{}}
	var chosen, results, device, network, into string
	var limit time.Duration
	var small bool
	var seconds float64
	f := flag.NewFlagSet("bench gpu", flag.ContinueOnError)
	f.StringVar(&chosen, "suite", "", "suites to run, with commas between; all when empty")
	f.StringVar(&device, "device", "cuda", "cuda, or cpu for a dry run of what the CPU can do")
	f.StringVar(&b.serve, "serve", "bin/serve", "the server")
	f.StringVar(&b.library, "library", "bin/libonnxruntime.so.1", "ONNX Runtime's library")
	f.StringVar(&b.programs, "programs", "", "where the built programs of the bench are; they are built when empty")
	f.StringVar(&b.cache, "networks", ".cache/networks", "where generated networks are kept")
	f.StringVar(&results, "results", "bench/results", "where the JSON of the run goes")
	f.StringVar(&network, "network", "", "the network to measure; all when empty")
	f.StringVar(&into, "into", "", "one suite in this process: the file for its rows")
	f.DurationVar(&limit, "limit", 30*time.Minute, "how long a suite may take")
	f.Float64Var(&seconds, "seconds", 1, "how long a burst is")
	f.BoolVar(&small, "small", false, "a small network and few rounds: to see whether it works")
	if err := f.Parse(args); err != nil {
		return err
	}
	if device != "cuda" && device != "cpu" {
		return fmt.Errorf("-device is cuda or cpu, not %q", device)
	}
	*b.gpu = gpuSettings{cuda: device == "cuda", networks: []networks.Network{networks.SqueezeNet, networks.ResNet50},
		batches: []int{1, 8, 32, 128}, clients: []int{1, 4, 16, 64}, seconds: seconds, cycles: 100}
	if b.rounds = 3; small {
		b.rounds = 1
		*b.gpu = gpuSettings{cuda: b.gpu.cuda, networks: []networks.Network{networks.Thumbnail}, batches: []int{1, 8}, clients: []int{1, 4}, seconds: 0.2, cycles: 5}
	}
	if network != "" {
		b.gpu.networks = slices.DeleteFunc(b.gpu.networks, func(n networks.Network) bool { return n.Name != network })
	}
	if len(b.gpu.networks) == 0 {
		return fmt.Errorf("-network is squeezenet or resnet50, not %q", network)
	}
	todo, err := choose(gpuSuites, chosen)
	if err != nil {
		return err
	}
	if into == "" {
		b.gpu = nil
		return b.suitesApart(todo, args, results, limit)
	}
	b.gpu.into = into
	if err := onnx.Start(b.library); err != nil {
		return err
	}
	if b.gpu.cuda {
		if err := onnx.CheckCUDA(); err != nil {
			return errors.Join(err, onnx.Stop())
		}
	}
	if b.dir, err = os.MkdirTemp("", "clary-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err = b.build(); err == nil {
		b.suite = todo[0].name
		err = todo[0].run(b)
	}
	return errors.Join(err, errors.Join(b.gpu.failed...), b.gpu.kept, onnx.Stop())
}

// A precision is what a network is run with.
type precision struct {
	name     string
	float16  bool
	tf32     bool
	tensorRT bool
	graphs   bool
	unbound  bool
}

// options are those of a session on the device, or on the CPU.
func (g *gpuSettings) options(p precision, rows ...int) onnx.Options {
	o := onnx.Options{}
	if !g.cuda {
		return o
	}
	o.Device = runtime.Device{CUDA: true}
	bind := !p.unbound
	o.CUDA = onnx.CUDA{TF32: &p.tf32, ConvSearch: "exhaustive", Bind: &bind}
	if p.graphs {
		o.CUDA.Graphs = rows
	}
	if p.tensorRT {
		yes := true
		o.Providers, o.TensorRT = []string{"tensorrt", "cuda"}, onnx.TensorRT{FP16: &yes}
	}
	return o
}

// raw are the raw loop's arguments for the same.
func (g *gpuSettings) raw(p precision) []string {
	switch {
	case !g.cuda:
		return nil
	case p.tensorRT:
		return []string{"tensorrt", "device_id=0", "trt_fp16_enable=1"}
	}
	tf32 := "use_tf32=0"
	if p.tf32 {
		tf32 = "use_tf32=1"
	}
	return []string{"cuda", "device_id=0", "cudnn_conv_algo_search=EXHAUSTIVE", tf32}
}

// env is the server's.
func (g *gpuSettings) env(p precision, more ...string) []string {
	env := append([]string{"CLARY_DEVICE=cpu", "SAGEMAKER_MAX_REQUEST_SIZE=1073741824"}, more...)
	if !g.cuda {
		return env
	}
	env[0] = "CLARY_DEVICE=cuda:0"
	env = append(env, fmt.Sprintf("CLARY_CUDA=tf32=%v,conv_search=exhaustive", p.tf32))
	if p.tensorRT {
		env = append(env, "CLARY_PROVIDERS=tensorrt,cuda", "CLARY_TENSORRT=fp16=true")
	}
	return env
}

// limit is one that a dry run does not have.
func (g *gpuSettings) limit(l float64) float64 {
	if g.cuda {
		return l
	}
	return 0
}

// skipped says in the table what the CPU cannot do.
func (b *bench) skipped(what string) {
	b.report(row{What: what, Value: "not on the CPU"})
}
