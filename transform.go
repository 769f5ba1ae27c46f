package clary

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime/onnx"
	"github.com/claryhq/clary/transform"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A transformation is what the command line of serve transform says.
type transformation struct {
	transform.Job
	model, endpoint                               string
	split, strategy, assemble, join, zip, shardOf string
	payload                                       int             // MiB; 0: without end
	concurrent                                    int             // 0: as many as there are cores, or as the endpoint says
	timeout                                       int             // seconds
	given                                         map[string]bool // the flags that are
}

func parseTransform(args, environ []string, out io.Writer) (*transformation, error) {
	t := &transformation{given: map[string]bool{}}
	fs := flag.NewFlagSet("serve transform", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	env := environment(environ)
	fs.StringVar(&t.model, "model-dir", "", "the model: a .onnx file, a folder or a model.tar.gz; default: as of serve")
	fs.StringVar(&t.endpoint, "endpoint", "", "`URL` of a server that is asked in the place of a model in this process")
	fs.StringVar(&t.Input, "input", "", "a file, a folder, s3://bucket/prefix or s3://bucket/key")
	fs.StringVar(&t.Output, "output", "", "a folder or s3://bucket/prefix; every object of the input gets one with .out behind its name")
	fs.StringVar(&t.State, "state", "", "folder of what is needed to go on after a stop; default: .clary-transform in the output, or in the temporary folder for s3://")
	fs.StringVar(&t.ContentType, "content-type", "text/csv", "of the records")
	fs.StringVar(&t.Accept, "accept", "", "what the model is asked for")
	fs.StringVar(&t.split, "split-type", "None", "None, Line, RecordIO or TFRecord")
	fs.StringVar(&t.strategy, "strategy", "MultiRecord", "MultiRecord or SingleRecord: records of a request; default of an endpoint: what its /execution-parameters says")
	fs.IntVar(&t.payload, "max-payload-mb", 6, "MiB of a request, 1 to 100, or 0: an object is one request of any length; default of an endpoint: what its /execution-parameters says")
	fs.IntVar(&t.concurrent, "max-concurrent", 0, "requests at the same time; default: one per core, or what the endpoint's /execution-parameters says")
	fs.StringVar(&t.assemble, "assemble-with", "None", "None or Line")
	fs.StringVar(&t.InputFilter, "input-filter", "$", "JSONPath of what the model gets of each record")
	fs.StringVar(&t.OutputFilter, "output-filter", "$", "JSONPath of what is kept of each record")
	fs.StringVar(&t.join, "join-source", "None", "None or Input")
	fs.StringVar(&t.zip, "compression", "None", "None or Gzip")
	fs.BoolVar(&t.InferenceID, "generate-inference-id", false, "append SageMakerInferenceId and SageMakerInferenceTime to each record")
	fs.StringVar(&t.shardOf, "shard", "", "`i/n`, this machine's part: 0/n to n-1/n; default: JOB_COMPLETION_INDEX/JOB_COMPLETIONS, if they are set")
	fs.IntVar(&t.Retries, "retries", 3, "of a request that failed for a passing reason")
	fs.IntVar(&t.timeout, "timeout", 600, "seconds of one request")
	rest, err := parseInterspersed(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(out, "Usage: serve transform --input LOCATION --output LOCATION [flags]")
		fs.SetOutput(out)
		fs.PrintDefaults()
		return nil, errHelp
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("transform takes flags alone, got %q", rest)
	}
	fs.Visit(func(f *flag.Flag) { t.given[f.Name] = true })
	if err == nil {
		err = t.finish(env)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("%w (serve transform --help lists the flags)", err)}
	}
	return t, nil
}

// finish reads what the flags' texts say.
func (t *transformation) finish(env map[string]string) (err error) {
	if t.Input == "" || t.Output == "" {
		return errors.New("want --input and --output")
	}
	if t.Split, err = transform.ParseSplit(t.split); err != nil {
		return fmt.Errorf("--split-type %w", err)
	}
	for _, choice := range []struct {
		flag, given, yes, no string
		set                  *bool
	}{
		{"strategy", t.strategy, "MultiRecord", "SingleRecord", &t.Multi},
		{"assemble-with", t.assemble, "Line", "None", &t.AssembleLine},
		{"join-source", t.join, "Input", "None", &t.Join},
		{"compression", t.zip, "Gzip", "None", &t.Gzip},
	} {
		if choice.given != choice.yes && choice.given != choice.no {
			return fmt.Errorf("--%s %q: want %s or %s", choice.flag, choice.given, choice.no, choice.yes)
		}
		*choice.set = choice.given == choice.yes
	}
	if t.payload < 0 || t.payload > transform.MostInFlightMB {
		return fmt.Errorf("--max-payload-mb %d: want 1 to %d, or 0 for requests without end", t.payload, transform.MostInFlightMB)
	}
	if t.concurrent < 0 || t.Retries < 0 || t.timeout < 0 {
		return errors.New("--max-concurrent, --retries and --timeout: want 0 or more")
	}
	if n := t.payload * t.concurrent; t.endpoint != "" && n > transform.MostInFlightMB && t.given["max-payload-mb"] {
		return fmt.Errorf("--max-concurrent %d of --max-payload-mb %d are %d MB at the same time: SageMaker takes %d", t.concurrent, t.payload, n, transform.MostInFlightMB)
	}
	t.MaxPayload, t.Timeout = t.payload<<20, time.Duration(t.timeout)*time.Second
	if index := env["JOB_COMPLETION_INDEX"]; t.shardOf == "" && index != "" {
		if env["JOB_COMPLETIONS"] == "" {
			return errors.New("JOB_COMPLETION_INDEX is set, and JOB_COMPLETIONS is not: set it to the Job's spec.completions, or give --shard")
		}
		t.shardOf = index + "/" + env["JOB_COMPLETIONS"]
	}
	if t.shardOf != "" {
		index, count, _ := strings.Cut(t.shardOf, "/")
		i, err := strconv.Atoi(index)
		n, err2 := strconv.Atoi(count)
		if err != nil || err2 != nil || i < 0 || i >= n {
			return fmt.Errorf("--shard %q: want i/n with i from 0 to n-1", t.shardOf)
		}
		t.Shard, t.Shards = i, n
	}
	return nil
}

// transformCommand is serve transform.
func transformCommand(h handler.Handler, args []string, stdout io.Writer) (err error) {
	t, err := parseTransform(args, os.Environ(), stdout)
	if err != nil {
		return err
	}
	calmMonitor()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	context.AfterFunc(ctx, cancel) // back to the default: the next signal kills
	if !strings.Contains(t.Output, "://") {
		if err := os.MkdirAll(t.Output, 0o777); err != nil {
			return err
		}
	}
	if t.endpoint != "" {
		e := transform.NewEndpoint(t.endpoint)
		t.heed(e.Parameters(ctx))
		t.Model, t.Invoke, t.Stream = t.endpoint, e.Invoke, e.Stream
	} else {
		t.MaxConcurrent = cmp.Or(t.concurrent, cores())
		close, err := t.inProcess(ctx, h)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, close()) }()
	}
	t.Report, t.Columns = os.Stderr, columns(os.Stderr)
	s, err := t.Run(ctx)
	if s.Objects > 0 {
		fmt.Fprintf(stdout, "%d objects, %d of them done before, %d failed; %d rows, %s in %.1f s, %.0f rows/s",
			s.Objects, s.Resumed, s.Failed, s.Records, size(s.Bytes), s.Took.Seconds(), float64(s.Records)/max(s.Took.Seconds(), 1e-9))
		if most, ok := mostResidentBytes(); ok {
			fmt.Fprintf(stdout, "; %s of memory at most", size(most))
		}
		fmt.Fprintln(stdout)
		for _, f := range s.Failures {
			fmt.Fprintf(stdout, "failed: %s: %v\n", f.Object, f.Err)
		}
	}
	if err == nil && s.Failed > 0 {
		err = fmt.Errorf("%d of %d objects failed", s.Failed, s.Objects)
	}
	return err
}

// heed takes an endpoint's word where the command line has none (contract
// §6.1).
func (t *transformation) heed(p transform.Parameters) {
	const most = transform.MostInFlightMB
	if !t.given["max-payload-mb"] {
		if t.Advised = true; p.MaxPayloadInMB > 0 {
			t.payload = min(p.MaxPayloadInMB, most)
		}
		t.payload = min(t.payload, max(1, most/max(1, t.concurrent)))
		t.MaxPayload = t.payload << 20
	}
	if !t.given["strategy"] && t.payload > 0 {
		t.Advised, t.Multi = true, p.BatchStrategy != "SINGLE_RECORD"
	}
	t.MaxConcurrent = cmp.Or(t.concurrent, max(1, min(p.MaxConcurrentTransforms, most/max(1, t.payload))))
}

// inProcess opens the model here: no HTTP, one thread a Run, and as many Runs
// as there are cores.
func (t *transformation) inProcess(ctx context.Context, h handler.Handler) (close func() error, err error) {
	cfg, err := ParseConfig(nil, os.Environ(), io.Discard)
	if err != nil {
		return nil, usageError{err}
	}
	if t.model != "" {
		cfg.Model = t.model
	}
	cfg.Pipeline, cfg.MultiModel, cfg.ModelStore, cfg.Batch = "none", false, "", true
	cfg.IntraOpThreads = cmp.Or(cfg.IntraOpThreads, 1)
	cfg.Workers = cmp.Or(cfg.Workers, cores())
	cfg.ElasticOff = true
	s := newServer(cfg, h, zap.NewNop())
	if err := s.startRuntime(); err != nil {
		return nil, err
	}
	m, err := s.open(ctx, cfg.Model)
	if err != nil {
		return nil, errors.Join(err, onnx.Stop())
	}
	t.Model = cfg.Model
	if info, err := os.Stat(cmp.Or(m.artifact.Model, m.artifact.Dir)); err == nil {
		t.Model = fmt.Sprintf("%s %d %d", cfg.Model, info.Size(), info.ModTime().UnixNano())
	}
	l := s.local(m, t.ContentType, t.Accept)
	if t.Split == transform.SplitLine && l.how != nil && l.how.cut.Head(nil, &l.how.request) == 0 {
		t.Part = localPart
	}
	t.Invoke, t.Stream = l.invoke, l.stream
	return func() error { return errors.Join(m.Close(), onnx.Stop()) }, nil
}

// localPart is how many bytes of rows are enough for one request in this
// process, where nobody can tell how many requests there were: what is read,
// run and written at the same time stays small.
const localPart = 256 << 10

// columns returns what tells the width of a terminal; nil where f is none.
func columns(f *os.File) func() int {
	ask := func() (*unix.Winsize, error) { return unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ) }
	if _, err := ask(); err != nil {
		return nil
	}
	return func() int {
		size, err := ask()
		if err != nil { // it has gone
			return 0
		}
		return int(size.Col)
	}
}
