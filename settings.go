package clary

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/pipeline"
)

// A setting is one thing that a server can be told, by an environment
// variable (SageMaker can pass nothing else) or by a flag. --help,
// docs/settings.md and ParseConfig all read the one table below.
type setting struct {
	env, flag    string
	def          string // as one would write it; empty: see help
	help         string
	emptyIsUnset bool // an empty variable counts as none
	set          func(p *parsed, v string) error
}

func (s setting) name() string {
	if s.env != "" {
		return s.env
	}
	return "--" + s.flag
}

// settings, in the order in which they are printed. The SAGEMAKER_ and SM_
// names are AWS's (contract §1.3).
var settings = []setting{
	{env: "SAGEMAKER_BIND_TO_PORT", flag: "port", def: "8080", emptyIsUnset: true,
		help: "port to listen on; 0 picks a free one and logs it",
		set: func(p *parsed, v string) (err error) {
			if p.Port, err = number(v, 0); err == nil && p.Port > 65535 {
				err = errors.New("want a port, 0 to 65535")
			}
			return err
		}},
	{env: "SAGEMAKER_SAFE_PORT_RANGE", flag: "safe-port-range", def: "25000-25999", emptyIsUnset: true,
		help: "ports that the commands of a pipeline may listen on, the first and the last; a server without any listens on one port alone",
		set: func(p *parsed, v string) (err error) {
			p.Ports, err = pipeline.ParsePortRange(v)
			return err
		}},
	{env: "CLARY_PIPELINE", flag: "pipeline", emptyIsUnset: true,
		help: "a pipeline.yaml, which is served in the place of a model; default: the one in the model's folder, if there is one; none serves that folder as a model all the same",
		set:  func(p *parsed, v string) error { p.Pipeline = v; return nil }},
	{env: "CLARY_HOST", flag: "host",
		help: "address to listen on; empty is every interface",
		set:  func(p *parsed, v string) error { p.Host = v; return nil }},
	{env: "SAGEMAKER_BASE_DIR", flag: "base-dir", def: "/opt/ml", emptyIsUnset: true,
		help: "the model is in its folder model, unless named otherwise",
		set:  func(p *parsed, v string) error { p.baseDir = v; return nil }},
	{env: "SM_MODEL_DIR", flag: "model-dir", emptyIsUnset: true,
		help: "the model: a .onnx file, a directory or a model.tar.gz; an argument wins",
		set:  func(p *parsed, v string) error { p.Model = v; return nil }},
	{env: "ORT_DYLIB_PATH", flag: "onnxruntime", emptyIsUnset: true,
		help: "ONNX Runtime's shared library; default: beside the binary, then the system's",
		set:  func(p *parsed, v string) error { p.Library = v; return nil }},
	{env: "SAGEMAKER_MODEL_SERVER_WORKERS", flag: "workers", emptyIsUnset: true,
		help: "Runs at the same time; with a handler of your own, requests worked on; default: clary.yaml's workers, else one per core",
		set: func(p *parsed, v string) (err error) {
			p.Workers, err = number(v, 1)
			return err
		}},
	{env: "SAGEMAKER_MODEL_JOB_QUEUE_SIZE", flag: "queue", def: "100", emptyIsUnset: true,
		help: "requests that may wait for a worker; one more is a 503 at once",
		set: func(p *parsed, v string) (err error) {
			p.Queue, err = number(v, 0)
			return err
		}},
	{env: "SAGEMAKER_MODEL_SERVER_TIMEOUT", flag: "timeout", emptyIsUnset: true,
		help: "seconds a request may take, waiting included; default: clary.yaml's timeout, else no limit",
		set: func(p *parsed, v string) (err error) {
			p.Timeout, err = seconds(v)
			return err
		}},
	{env: "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", emptyIsUnset: true,
		help: "the same; wins",
		set: func(p *parsed, v string) (err error) {
			p.Timeout, err = seconds(v)
			return err
		}},
	{env: "SAGEMAKER_STARTUP_TIMEOUT", flag: "startup-timeout", def: "600", emptyIsUnset: true,
		help: "seconds for loading the model; longer ends the process",
		set: func(p *parsed, v string) (err error) {
			p.StartupTimeout, err = seconds(v)
			return err
		}},
	{env: "CLARY_DRAIN_TIMEOUT", flag: "drain-timeout", def: "25",
		help: "seconds for finishing requests after SIGTERM; SageMaker kills after 30",
		set: func(p *parsed, v string) (err error) {
			p.DrainTimeout, err = seconds(v)
			return err
		}},
	{env: "SAGEMAKER_MAX_REQUEST_SIZE", flag: "max-request-size", emptyIsUnset: true,
		help: "bytes of a request's body; default 26214400, in batch transform 104857600",
		set: func(p *parsed, v string) error {
			n, err := number(v, 1)
			p.maxSize = int64(n)
			return err
		}},
	{env: "SAGEMAKER_MAX_PAYLOAD_IN_MB", emptyIsUnset: true,
		help: "the same in MiB; SAGEMAKER_MAX_REQUEST_SIZE wins; 0 is the default",
		set: func(p *parsed, v string) error {
			n, err := number(v, 0)
			if err == nil && n > 1<<20 {
				err = errors.New("want MiB, 1048576 at most")
			}
			p.maxMB = int64(n)
			return err
		}},
	{env: "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", flag: "accept", emptyIsUnset: true,
		help: "reply's media type where a request has no Accept, or */*; default: clary.yaml's accept, else application/json",
		set: func(p *parsed, v string) (err error) {
			p.Accept, err = mediaRange(v)
			return err
		}},
	{env: "SAGEMAKER_INFERENCE_OUTPUT", flag: "inference-output", emptyIsUnset: true,
		help: "what clients of AWS's XGBoost container get, with commas between: predicted_label, labels, probability, probabilities, raw_score, raw_scores, predicted_score; default: clary.yaml's reply",
		set: func(p *parsed, v string) error {
			keys := strings.Split(strings.ToLower(strings.ReplaceAll(v, " ", "")), ",")
			if contains(keys, "") {
				return errors.New("want names with commas between, such as predicted_label,probabilities")
			}
			p.InferenceOutput = keys
			return nil
		}},
	{env: "SAGEMAKER_SPARKML_SCHEMA", flag: "sparkml-schema", emptyIsUnset: true,
		help: "of rows of CSV and JSON's data, as AWS's SparkML container takes it; a request's own goes before it",
		set: func(p *parsed, v string) (err error) {
			p.SparkML, err = codec.ParseSchema([]byte(v))
			return err
		}},
	{env: "SAGEMAKER_BATCH", flag: "batch", def: "false",
		help: "true in a batch transform job: bodies to 100 MiB, those of records of any length, row formats end in a newline",
		set: func(p *parsed, v string) (err error) {
			p.Batch, err = boolean(v)
			return err
		}},
	{env: "CLARY_BAD_RECORD", flag: "bad-record", def: "fail",
		help: "what a record that cannot be answered does where rows are independent: fail, an error for the request, or placeholder, in its place a line ERROR in CSV and {\"error\":...} in JSON Lines",
		set: func(p *parsed, v string) error {
			if !contains([]string{"fail", "placeholder"}, v) {
				return errors.New("want fail or placeholder")
			}
			p.Placeholder = v == "placeholder"
			return nil
		}},
	{env: "CLARY_OMIT_BATCH_STRATEGY", flag: "omit-batch-strategy", def: "false",
		help: "true leaves BatchStrategy out of GET /execution-parameters: the SageMaker SDK's local mode does not know the names that SageMaker itself documents",
		set: func(p *parsed, v string) (err error) {
			p.OmitStrategy, err = boolean(v)
			return err
		}},
	{env: "CLARY_SPOOL_BYTES", flag: "spool-bytes", def: "4294967296",
		help: "batch transform: bytes of a reply that wait in the temporary folder while the client sends and does not read; more ends the connection",
		set: func(p *parsed, v string) error {
			n, err := number(v, 0)
			p.SpoolBytes = int64(n)
			return err
		}},
	{env: "CLARY_INTRA_OP_THREADS", flag: "intra-op-threads", emptyIsUnset: true,
		help: "threads inside one Run; default: clary.yaml's, else cores / workers. At 1 answers are the same bits at any batch size",
		set: func(p *parsed, v string) (err error) {
			p.IntraOpThreads, err = number(v, 1)
			return err
		}},
	{env: "CLARY_BATCHING", flag: "batching", emptyIsUnset: true,
		help: "whether rows of concurrent requests are run together: auto (where a check at load finds them independent), on or off; default: clary.yaml's, else auto",
		set: func(p *parsed, v string) error {
			if !contains([]string{"auto", "on", "off"}, v) {
				return errors.New("want auto, on or off")
			}
			p.Batching = v
			return nil
		}},
	{env: "CLARY_BATCH_ROWS", flag: "batch-rows", def: "64",
		help: "rows that are run together, at most; clary.yaml's wins",
		set: func(p *parsed, v string) (err error) {
			p.BatchRows, err = number(v, 1)
			return err
		}},
	{env: "CLARY_LATENCY_TARGET", flag: "latency-target", emptyIsUnset: true,
		help: "seconds for a Run with its wait: batches are made no larger than that allows, and a request that cannot meet it, or its timeout, is a 503 at once; clary.yaml's wins; default: no target",
		set: func(p *parsed, v string) (err error) {
			p.LatencyTarget, err = seconds(v)
			return err
		}},
	{env: "CLARY_ELASTIC", flag: "elastic", def: "on",
		help: "whether a lone caller of a model that takes over 1 ms gets all cores, by a second session that is opened for it; off saves its memory. Only where there is memory for it, and neither workers nor threads are set",
		set: func(p *parsed, v string) error {
			on, err := boolean(v)
			p.ElasticOff = !on
			return err
		}},
	{env: "CLARY_QUEUE_BYTES", flag: "queue-bytes", def: "33554432",
		help: "bytes of the bodies that are held at the same time; more are read when there is room. One body is always let in",
		set: func(p *parsed, v string) error {
			n, err := number(v, 1)
			p.QueueBytes = int64(n)
			return err
		}},
	{env: "CLARY_OPTIMIZATION", flag: "optimization", emptyIsUnset: true,
		help: "of the graph: off, basic, extended or all; default: clary.yaml's, else all",
		set: func(p *parsed, v string) error {
			if !contains([]string{"off", "basic", "extended", "all"}, v) {
				return errors.New("want off, basic, extended or all")
			}
			p.Optimization = v
			return nil
		}},
	{env: "CLARY_DEVICE", flag: "device", emptyIsUnset: true,
		help: "where models run: auto, cpu, cuda, cuda:1 or cuda:0,2; default: clary.yaml's device, else auto, which is a GPU where there is one",
		set: func(p *parsed, v string) (err error) {
			p.Device, err = parseDevice(v)
			return err
		}},
	{env: "CLARY_GPU_FRACTION", flag: "gpu-fraction", emptyIsUnset: true,
		help: "of a GPU's memory that each model may take, such as 0.3; default: clary.yaml's, else no limit",
		set: func(p *parsed, v string) (err error) {
			p.GPUFraction, err = fraction(v)
			return err
		}},
	{env: "CLARY_GPU_MEMORY", flag: "gpu-memory", emptyIsUnset: true,
		help: "the same as an amount, such as 2GiB; wins",
		set: func(p *parsed, v string) error {
			_, err := gpuAmount(v)
			p.GPUMemory = v
			return err
		}},
	{env: "CLARY_PROVIDERS", flag: "providers", emptyIsUnset: true,
		help: "what runs models, the most wanted first, with commas between: cuda, tensorrt, openvino, cpu; default: clary.yaml's, else cuda on a GPU",
		set: func(p *parsed, v string) (err error) {
			if p.Providers, err = list(v); err == nil {
				err = artifact.CheckProviders(p.Providers)
			}
			return err
		}},
	{env: "CLARY_FALLBACK", flag: "fallback", def: "false",
		help: "true: a provider that cannot be had is left out, and the log says so; else it is an error",
		set: func(p *parsed, v string) (err error) {
			p.Fallback, err = boolean(v)
			return err
		}},
	{env: "CLARY_CUDA", flag: "cuda", emptyIsUnset: true,
		help: "options of the provider cuda, by clary.yaml's names: tf32=false,conv_search=exhaustive",
		set: func(p *parsed, v string) error {
			p.CUDA = v
			return artifact.AddProviderOptions(new(artifact.Config), "CLARY_CUDA", "cuda", v)
		}},
	{env: "CLARY_TENSORRT", flag: "tensorrt", emptyIsUnset: true,
		help: "of tensorrt: fp16=true,engines=/cache",
		set: func(p *parsed, v string) error {
			p.TensorRT = v
			return artifact.AddProviderOptions(new(artifact.Config), "CLARY_TENSORRT", "tensorrt", v)
		}},
	{env: "CLARY_OPENVINO", flag: "openvino", emptyIsUnset: true,
		help: "of openvino: threads=4,cache=/cache",
		set: func(p *parsed, v string) error {
			p.OpenVINO = v
			return artifact.AddProviderOptions(new(artifact.Config), "CLARY_OPENVINO", "openvino", v)
		}},
	{env: "SAGEMAKER_CONTAINER_LOG_LEVEL", flag: "log-level", def: "info", emptyIsUnset: true,
		help: "debug, info, warning or error, or Python's 10, 20, 30, 40",
		set: func(p *parsed, v string) (err error) {
			p.LogLevel, err = logLevel(v)
			return err
		}},
	{env: "SAGEMAKER_MULTI_MODEL", flag: "multi-model", def: "false", emptyIsUnset: true,
		help: "true: start without a model, and serve those that POST /models registers",
		set: func(p *parsed, v string) (err error) {
			p.MultiModel, err = boolean(v)
			return err
		}},
	{env: "CLARY_MODEL_ROOTS", flag: "model-roots", emptyIsUnset: true,
		help: "folders below which registered models must lie, with colons between; default: SAGEMAKER_BASE_DIR and its folders models and model",
		set: func(p *parsed, v string) error {
			p.ModelRoots = filepath.SplitList(v)
			return nil
		}},
	{env: "CLARY_MODEL_STORE", flag: "model-store", emptyIsUnset: true,
		help: "a folder or s3://bucket/prefix: X-Amzn-SageMaker-Target-Model names a .tar.gz or .onnx file in it, which is fetched and served",
		set:  func(p *parsed, v string) error { p.ModelStore = v; return nil }},
	{env: "CLARY_DISK_CACHE", flag: "disk-cache", emptyIsUnset: true,
		help: "folder in which the store's models are unpacked, and found again after a restart; default: a private temporary one",
		set:  func(p *parsed, v string) error { p.DiskCache = v; return nil }},
	{env: "CLARY_DISK_CACHE_SIZE", flag: "disk-cache-size", emptyIsUnset: true,
		help: "its bound, such as 20GiB or 80% of what is free; default: half of what is free",
		set: func(p *parsed, v string) (err error) {
			p.DiskCacheSize, err = parseAmount(v)
			return err
		}},
	{env: "CLARY_MODEL_MEMORY", flag: "model-memory", emptyIsUnset: true,
		help: "for all models together, such as 2GiB or 80% of the limit; default: the limit of the control group, else the machine's memory, less what the server takes and a tenth, 64 MiB at least",
		set: func(p *parsed, v string) (err error) {
			p.ModelMemory, err = parseAmount(v)
			return err
		}},
	{env: "CLARY_MODEL_EVICTION", flag: "model-eviction", def: "lru",
		help: "which unused model makes room: lru, the least recently used, or gdsf, which weighs reloading time and use against size",
		set: func(p *parsed, v string) error {
			if v != "lru" && v != "gdsf" {
				return errors.New("want lru or gdsf")
			}
			p.Eviction = v
			return nil
		}},
	{env: "CLARY_MODEL_PATIENCE", flag: "model-patience", def: "10",
		help: "seconds that a model waits for memory of models in use; then it is a 507",
		set: func(p *parsed, v string) (err error) {
			p.ModelPatience, err = seconds(v)
			return err
		}},
	{env: "CLARY_MODEL_IDLE", flag: "model-idle", def: "0",
		help: "seconds after which an unused model is closed, to be opened again by its next request; 0: never",
		set: func(p *parsed, v string) (err error) {
			p.ModelIdle, err = seconds(v)
			return err
		}},
	{env: "CLARY_MODEL_PINNED", flag: "model-pinned", emptyIsUnset: true,
		help: "names of models that are never closed for others, with commas between",
		set:  func(p *parsed, v string) (err error) { p.ModelPinned, err = list(v); return err }},
	{env: "CLARY_MODEL_PRELOAD", flag: "model-preload", emptyIsUnset: true,
		help: "names of the store's models that are opened at start, with commas between",
		set:  func(p *parsed, v string) (err error) { p.ModelPreload, err = list(v); return err }},
	{env: "CLARY_STORE_RECHECK", flag: "store-recheck", def: "10",
		help: "seconds after which the store is asked again whether a model in use has changed",
		set: func(p *parsed, v string) (err error) {
			p.StoreRecheck, err = seconds(v)
			return err
		}},
	{env: "CLARY_MODEL_METRICS", flag: "model-metrics", def: "false",
		help: "true: of many models each has metrics of its own",
		set: func(p *parsed, v string) (err error) {
			p.ModelMetrics, err = boolean(v)
			return err
		}},
}

const usage = `Usage: serve [serve] [MODEL] [flags]    serve a model: a .onnx file, a directory or a model.tar.gz
       serve transform [flags]          take a data set through a model; serve transform --help
       serve inspect MODEL              print its inputs, outputs, metadata and a curl line
       serve inspect --devices          print the library's providers and the GPUs
       serve package DIR -o FILE        make a model.tar.gz of a directory
       serve version                    print versions

Settings, as flag and as environment variable; the flag wins:
`

// writeUsage prints what --help prints.
func writeUsage(w io.Writer) {
	fmt.Fprint(w, usage)
	for _, s := range settings {
		name := "    " + s.env
		if s.flag != "" {
			name = fmt.Sprintf("  --%s, %s", s.flag, s.env)
		}
		fmt.Fprintf(w, "\n%s\n        %s\n", name, s.help)
		if s.def != "" {
			fmt.Fprintf(w, "        default %s\n", s.def)
		}
	}
}

// writeSettings prints docs/settings.md.
func writeSettings(w io.Writer) {
	fmt.Fprint(w, `# Settings

Every setting is an environment variable and, where it says so, a flag; the flag wins.
An unknown `+"`CLARY_`"+` variable stops the start with the nearest known name; of AWS's variables
the ones that mean nothing here are logged once and ignored.
A model's own settings are in [clary.yaml](clary-yaml.md); what is set here wins over it.

<!-- written by make docs from the table that serve --help prints -->

| variable | flag | default | |
|---|---|---|---|
`)
	for _, s := range settings {
		flag, def := "", ""
		if s.flag != "" {
			flag = "`--" + s.flag + "`"
		}
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", s.env, flag, def, strings.ReplaceAll(s.help, "*/*", "`*/*`"))
	}
}
