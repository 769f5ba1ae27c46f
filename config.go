package clary

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/pipeline"
	"go.uber.org/zap/zapcore"
)

// Config is what a server can be told. [ParseConfig] fills it; its fields are
// the settings of docs/settings.md, defaults included.
type Config struct {
	Host    string // address to listen on; empty is every interface
	Port    int    // 0 picks a free one
	Model   string // a .onnx file, a directory or a model.tar.gz
	Library string // ONNX Runtime's shared library; empty: beside the binary, then the system's

	Workers        int           // requests decoded, run and encoded at the same time; 0: the model's, else one per core
	Queue          int           // requests that may wait for a worker
	Timeout        time.Duration // per request; 0 is none
	StartupTimeout time.Duration // for loading and warming the model
	DrainTimeout   time.Duration // for finishing requests after SIGTERM
	MaxBody        int64         // bytes of a request's body
	Accept         string        // used where a request has none, or */*
	Batch          bool          // batch transform: row formats end in a newline, long bodies are taken in parts
	Placeholder    bool          // a bad record is answered by itself, not with an error for all
	OmitStrategy   bool          // from the execution parameters
	SpoolBytes     int64         // of a reply that waits on disk for a client that sends first

	Pipeline string             // a pipeline.yaml; empty: the model folder's, if any; none: not even that
	Ports    pipeline.PortRange // that a pipeline's commands may listen on
	Environ  []string           // what was given, for a pipeline's commands

	InferenceOutput []string      // what XGBoost's clients select; nil: the model's reply style
	SparkML         *codec.Schema // of requests that bring none along; nil: none

	MultiModel    bool          // many models, registered by POST /models
	ModelRoots    []string      // where registered models may lie
	ModelStore    string        // a folder or s3://bucket/prefix whose models are found by name; empty: none
	DiskCache     string        // where the store's models are unpacked; empty: a private temporary folder
	DiskCacheSize amount        // 0: half of what is free
	ModelMemory   amount        // for all models together; 0: the limit of the control group less a reserve
	ModelPatience time.Duration // that an opening waits for models in use
	ModelIdle     time.Duration // after which an unused model is closed; 0: never
	StoreRecheck  time.Duration // how often the store is asked whether a model in use has changed
	ModelPinned   []string      // never evicted
	ModelPreload  []string      // opened at start
	Eviction      string        // lru or gdsf
	ModelMetrics  bool          // series for each of many models

	Device      deviceChoice // where models run; auto also where nothing is said
	GPUFraction float64      // of a GPU's memory for each model; 0: the model's
	GPUMemory   string       // the same as an amount
	Providers   []string     // nil: the model's
	Fallback    bool         // a provider that cannot be had is left out
	CUDA        string       // options of the providers: key=value with commas between
	TensorRT    string
	OpenVINO    string

	IntraOpThreads int           // per Run; 0: the model's, else cores / workers
	Batching       string        // auto, on or off; empty: the model's, else auto
	BatchRows      int           // rows of a batch; 0: defaultRows; the model's wins
	LatencyTarget  time.Duration // for a Run with its wait; 0 is none; the model's wins
	ElasticOff     bool          // whether a lone caller never gets all cores
	QueueBytes     int64         // of bodies that are held at the same time

	Optimization string // of the graph: off, basic, extended, all; empty: the model's, else all
	LogLevel     zapcore.Level

	// Ignored lists environment variables of other containers that were set
	// and mean nothing here; the server logs them once.
	Ignored []string
}

// ManyModels reports whether the server is for many models.
func (c *Config) ManyModels() bool { return c.MultiModel || c.ModelStore != "" }

// errHelp is returned by ParseConfig after --help.
var errHelp = flag.ErrHelp

// ParseConfig reads flags from args, then the environment ("KEY=value"
// strings as of os.Environ), then defaults: the first that says something
// wins. What remains of args is a model, or nothing. An unknown CLARY_
// variable, an unknown flag and a value that cannot be read are errors that
// say what was given and what is wanted. Usage goes to out.
func ParseConfig(args, environ []string, out io.Writer) (Config, error) {
	p := &parsed{batchBody: 100 << 20}
	p.Environ = environ
	env := environment(environ)
	for _, s := range settings {
		if err := s.set(p, s.def); s.def != "" && err != nil {
			return Config{}, fmt.Errorf("default of %s: %w", s.name(), err)
		}
	}
	for _, s := range settings {
		v, ok := env[s.env]
		if !ok || v == "" && s.emptyIsUnset {
			continue
		}
		if err := s.set(p, v); err != nil {
			return Config{}, fmt.Errorf("%s=%q: %w", s.env, v, err)
		}
	}
	if err := unknownClary(env); err != nil {
		return Config{}, err
	}
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	for _, s := range settings {
		if s.flag != "" {
			fs.Func(s.flag, s.help, func(v string) error { return s.set(p, v) })
		}
	}
	rest, err := parseInterspersed(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		writeUsage(out)
		return Config{}, errHelp
	}
	if err != nil {
		return Config{}, fmt.Errorf("%w (serve --help lists the settings)", err)
	}
	if len(rest) > 1 {
		return Config{}, fmt.Errorf("one model at most, got %s", strings.Join(rest, " "))
	}
	if len(rest) == 1 {
		p.Model = rest[0]
	}
	return p.finish(env), nil
}

// parsed is a Config while its settings still depend on each other.
type parsed struct {
	Config
	baseDir   string
	maxSize   int64 // SAGEMAKER_MAX_REQUEST_SIZE, wins
	maxMB     int64
	batchBody int64
}

func (p *parsed) finish(env map[string]string) Config {
	if p.Model == "" {
		p.Model = filepath.Join(p.baseDir, "model")
	}
	switch {
	case p.maxSize > 0:
		p.MaxBody = p.maxSize
	case p.maxMB > 0:
		p.MaxBody = p.maxMB << 20
	case p.Batch:
		p.MaxBody = p.batchBody
	default:
		p.MaxBody = 25 << 20
	}
	if len(p.ModelRoots) == 0 {
		p.ModelRoots = defaultRoots(p.baseDir)
	}
	p.Ignored = ignored(env)
	return p.Config
}

// parseInterspersed lets flags stand after the model as well as before it.
func parseInterspersed(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	return env
}

// unknownClary refuses CLARY_ variables that are no setting: a typo must not
// pass for a default. Kubernetes injects some for a service named clary.
func unknownClary(env map[string]string) error {
	var known []string
	for _, s := range settings {
		known = append(known, s.env)
	}
	for k := range env {
		if !strings.HasPrefix(k, "CLARY_") || kubernetesInjects(k) || contains(known, k) {
			continue
		}
		if near := artifact.Nearest(k, known); near != "" {
			return fmt.Errorf("%s is no setting; did you mean %s? (serve --help lists them)", k, near)
		}
		return fmt.Errorf("%s is no setting (serve --help lists them)", k)
	}
	return nil
}

// kubernetesInjects reports whether k is of the form that Kubernetes sets for
// services named clary or clary-something, unless enableServiceLinks is false.
func kubernetesInjects(k string) bool {
	rest := strings.TrimPrefix(k, "CLARY_")
	if strings.HasPrefix(rest, "PORT") || strings.HasPrefix(rest, "SERVICE_") {
		return true
	}
	return strings.HasSuffix(rest, "_SERVICE_HOST") || strings.Contains(rest, "_SERVICE_PORT") || strings.HasSuffix(rest, "_PORT") || strings.Contains(rest, "_PORT_")
}

// ignored lists variables of AWS's containers that have no meaning here.
func ignored(env map[string]string) []string {
	var names []string
	for k := range env {
		if !strings.HasPrefix(k, "SAGEMAKER_") {
			continue
		}
		known := false
		for _, s := range settings {
			known = known || s.env == k
		}
		if !known {
			names = append(names, k)
		}
	}
	return names
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// cores is how many threads may run at once: Go reads the affinity mask and
// the cgroup's quota, which ONNX Runtime does not. It is asked once, before
// serve changes what Go is allowed.
var cores = sync.OnceValue(func() int { return goruntime.GOMAXPROCS(0) })

// The readers of single values. Each error says what is wanted.

func number(v string, lowest int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil || n < lowest {
		return 0, fmt.Errorf("want a whole number, %d or more", lowest)
	}
	return n, nil
}

func seconds(v string) (time.Duration, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(n >= 0 && n <= 1e6) {
		return 0, errors.New("want seconds, such as 60 or 2.5")
	}
	return time.Duration(n * float64(time.Second)), nil
}

func fraction(v string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(f > 0 && f <= 1) {
		return 0, errors.New("want a number above 0 and at most 1, such as 0.3")
	}
	return f, nil
}

// boolean reads what SageMaker (true), its local mode (True) and people (1)
// write (contract §1.3).
func boolean(v string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off", "":
		return false, nil
	}
	return false, errors.New("want true or false")
}

// logLevel reads a name or one of Python's numbers, which is what the
// SageMaker SDK passes.
func logLevel(v string) (zapcore.Level, error) {
	if n, err := strconv.Atoi(v); err == nil {
		switch {
		case n < 20:
			return zapcore.DebugLevel, nil
		case n < 30:
			return zapcore.InfoLevel, nil
		case n < 40:
			return zapcore.WarnLevel, nil
		}
		return zapcore.ErrorLevel, nil
	}
	switch strings.ToLower(v) {
	case "debug":
		return zapcore.DebugLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "warn", "warning":
		return zapcore.WarnLevel, nil
	case "error", "critical":
		return zapcore.ErrorLevel, nil
	}
	return 0, errors.New("want debug, info, warning, error, or Python's 10, 20, 30, 40")
}

func mediaRange(v string) (string, error) {
	if _, _, _, err := codec.Negotiate(v, "application/json", ""); err != nil {
		return "", err
	}
	return v, nil
}

// list reads names with commas between.
func list(v string) ([]string, error) {
	names := strings.Split(v, ",")
	for i := range names {
		if names[i] = strings.TrimSpace(names[i]); names[i] == "" {
			return nil, errors.New("want names with commas between")
		}
	}
	return names, nil
}
