package clary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	goruntime "runtime"
	"strings"
	"syscall"

	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// Version is Clary's own; the build sets it.
var Version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the server or a subcommand failed
	exitUsage  = 2 // the command line or the settings are wrong
)

// A command is a subcommand of serve other than serving.
type command struct {
	name string
	run  func(args []string, stdout io.Writer) error
}

var commands = []command{
	{"inspect", inspect},
	{"package", pack},
	{"version", version},
	{"settings", func(_ []string, w io.Writer) error { writeSettings(w); return nil }},
}

// Main is a server's whole main function: it reads the command line and the
// environment, serves models with h until SIGTERM or SIGINT, and exits. The
// argument "serve", which SageMaker passes, may stand first.
func Main(h handler.Handler) { os.Exit(run(h, os.Args[1:])) }

func run(h handler.Handler, args []string) int {
	if len(args) > 0 && args[0] == "serve" {
		return serve(h, args[1:])
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return serve(h, args)
	}
	if args[0] == "transform" {
		return exit(transformCommand(h, args[1:], os.Stdout))
	}
	for _, c := range commands {
		if c.name == args[0] {
			return exit(c.run(args[1:], os.Stdout))
		}
	}
	if !modelLike(args[0]) {
		fmt.Fprintf(os.Stderr, "serve: unknown command %q; there are serve, transform, inspect, package, version, and serve MODEL for a .onnx file, a folder or a .tar.gz\n", args[0])
		return exitUsage
	}
	return serve(h, args)
}

// modelLike tells a model's path from a mistyped command.
func modelLike(arg string) bool {
	if strings.ContainsRune(arg, os.PathSeparator) || strings.HasSuffix(arg, ".onnx") || strings.HasSuffix(arg, ".tar.gz") || strings.HasSuffix(arg, ".tgz") {
		return true
	}
	_, err := os.Stat(arg)
	return err == nil
}

// usageError is a command line that cannot be followed.
type usageError struct{ error }

func exit(err error) int {
	var u usageError
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitOK
	case errors.As(err, &u):
		fmt.Fprintln(os.Stderr, "serve:", err)
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "serve:", err)
	return exitFailed
}

// serve runs a server until a signal. SIGTERM and SIGINT drain it; a second
// one ends the process at once.
func serve(h handler.Handler, args []string) int {
	cfg, err := ParseConfig(args, os.Environ(), os.Stdout)
	if err != nil {
		if !errors.Is(err, errHelp) {
			err = usageError{err}
		}
		return exit(err)
	}
	log, stop := newLogger(os.Stdout, cfg.LogLevel)
	defer stop()
	logIgnored(log, cfg.Ignored)

	placesForRuns()
	ballast := make([]byte, ballastSize)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	context.AfterFunc(ctx, cancel) // back to the default: the next signal kills

	if _, ok := h.(handler.Transformer); ok {
		log.Info("the handler has a TransformFn: InputFn, PredictFn and OutputFn are not called")
	}
	server, err := New(cfg, h, log)
	if err == nil {
		err = server.Run(ctx)
	}
	goruntime.KeepAlive(ballast)
	if err != nil {
		log.Error("stopped", zap.Error(err))
		return exitFailed
	}
	log.Info("stopped")
	return exitOK
}

// placesForRuns sets Go's scheduler up for Runs, each of which holds one of its
// places for as long as it takes: without places beyond theirs the network would
// wait for their end, and more than that cost a small request the threads that
// they wake.
func placesForRuns() {
	goruntime.GOMAXPROCS(cores() + (cores()+1)/2)
	calmMonitor()
}

// ballastSize is of memory that is never touched, so that the system never
// gives it: the collector lets the heap double before it collects, and one of
// a few MB would double a hundred times a second.
const ballastSize = 24 << 20

func logIgnored(log *zap.Logger, names []string) {
	var rest []string
	for _, name := range names {
		if name == "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT" {
			log.Warn("Elastic Inference is retired; SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT is ignored")
			continue
		}
		rest = append(rest, name)
	}
	if len(rest) > 0 {
		log.Info("these variables mean nothing here and are ignored", zap.Strings("variables", rest))
	}
}

// version prints the versions of Clary, Go and, where it loads, ONNX Runtime.
func version(args []string, w io.Writer) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("version takes no arguments, got %q", args)}
	}
	cfg, err := ParseConfig(nil, os.Environ(), w)
	if err != nil {
		return usageError{err}
	}
	ort := ""
	if err := onnx.Start(libraryPath(cfg.Library)); err != nil {
		ort = "not found: " + err.Error()
	} else {
		ort = onnx.Version()
		defer func() { _ = onnx.Stop() }() // the process ends here
	}
	_, err = fmt.Fprintf(w, "clary %s\ngo %s %s/%s\nonnxruntime %s\n", Version, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH, ort)
	return err
}
