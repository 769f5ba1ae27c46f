package artifact

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config is what clary.yaml may say about one model (docs/clary-yaml.md). The
// zero value of a field means that it does not say; the server's settings
// decide then.
type Config struct {
	Name    string        `yaml:"name"`    // the model's name in replies and metrics
	Model   string        `yaml:"model"`   // the ONNX file's path inside the artifact
	Session SessionConfig `yaml:"session"` // how ONNX Runtime runs it
	Workers int           `yaml:"workers"` // runs at the same time
	Timeout time.Duration `yaml:"timeout"` // for one request

	Batching BatchingConfig `yaml:"batching"` // how requests are run together
	Accept   string         `yaml:"accept"`   // the media type of replies to requests without an Accept
	Warmup   *bool          `yaml:"warmup"`   // whether to run once before /ping answers 200
	Post     []PostStep     `yaml:"post"`     // what is done to the outputs, in this order (docs/post.md)
	Reply    ReplyConfig    `yaml:"reply"`    // the form of replies (docs/post.md)
	Image    ImageConfig    `yaml:"image"`    // how an image becomes the input
	LibSVM   LibSVMConfig   `yaml:"libsvm"`   // how text/libsvm counts
	Sparse   SparseConfig   `yaml:"sparse"`   // what rows that name only some of their columns leave out
	Device   string         `yaml:"device"`   // where it runs: auto, cpu, cuda, cuda:1 or cuda:0,2 (docs/gpu.md)

	GPUFraction float64        `yaml:"gpu_fraction"` // of a GPU's memory that it may take
	GPUMemory   string         `yaml:"gpu_memory"`   // the same as an amount, such as 2GiB
	Streams     int            `yaml:"streams"`      // sessions of it, each with a stream of its own on the GPU
	Batches     []int          `yaml:"batches"`      // rows that it is warmed with, beside one
	Providers   []string       `yaml:"providers"`    // what runs it, the most wanted first
	Fallback    *bool          `yaml:"fallback"`     // whether a provider that cannot be had is left out
	CUDA        CUDAConfig     `yaml:"cuda"`         // options of the provider cuda
	TensorRT    TensorRTConfig `yaml:"tensorrt"`     // of tensorrt
	OpenVINO    OpenVINOConfig `yaml:"openvino"`     // of openvino
}

// SessionConfig is the part of clary.yaml that ONNX Runtime is given.
type SessionConfig struct {
	IntraOpThreads int               `yaml:"intra_op_threads"` // threads inside one operator
	InterOpThreads int               `yaml:"inter_op_threads"` // operators at the same time
	Spinning       *bool             `yaml:"spinning"`         // whether idle threads spin
	Optimization   string            `yaml:"optimization"`     // off, basic, extended or all
	Config         map[string]string `yaml:"config"`           // session configuration entries, as ONNX Runtime names them
}

// BatchingConfig is how rows of concurrent requests are run together.
type BatchingConfig struct {
	Mode   string        `yaml:"mode"`   // auto, on or off
	Rows   int           `yaml:"rows"`   // of a batch, at most
	Target time.Duration `yaml:"target"` // for a Run with its wait
	Fill   bool          `yaml:"fill"`   // up to the next of batches
	Pad    Pairs         `yaml:"pad"`    // inputs whose rows may differ in length: what shorter ones are padded with
}

var batchingModes = []string{"auto", "on", "off"}

var optimizations = []string{"off", "basic", "extended", "all"}

const maxConfig = 1 << 20

// readConfig reads the clary.yaml in dir; without one it is the zero value.
func readConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigName)
	data, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) {
		if other := filepath.Join(dir, "clary.yml"); isFile(other) {
			return Config{}, fmt.Errorf("%s would not be read: name it %s", other, ConfigName)
		}
		return Config{}, nil
	}
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(path, data)
}

// readLimited reads a file of settings.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxConfig)
	}
	return data, err
}

// ParseConfig reads the text of a clary.yaml. A key that Config does not have
// and a value of the wrong type are errors that give file, line and what was
// wanted; file appears in them and nowhere else.
func ParseConfig(file string, text []byte) (Config, error) {
	var c Config
	d, err := decode(file, ConfigName, text, &c)
	if err == nil {
		err = d.check(c)
	}
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// check holds the values against what they may be.
func (d *decoder) check(c Config) error {
	for _, count := range []struct {
		path string
		n    int
	}{
		{"workers", c.Workers},
		{"batching.rows", c.Batching.Rows},
		{"session.intra_op_threads", c.Session.IntraOpThreads},
		{"session.inter_op_threads", c.Session.InterOpThreads},
	} {
		if line, set := d.lines[count.path]; set && count.n < 1 {
			return d.errorf(line, "%s is at least 1, not %d", count.path, count.n)
		}
	}
	if line, set := d.lines["timeout"]; set && c.Timeout <= 0 {
		return d.errorf(line, "timeout is longer than nothing, not %v", c.Timeout)
	}
	if line, set := d.lines["batching.target"]; set && c.Batching.Target <= 0 {
		return d.errorf(line, "batching.target is longer than nothing, not %v", c.Batching.Target)
	}
	if c.Batching.Fill && len(c.Batches) == 0 {
		return d.errorf(d.lines["batching.fill"], "batching.fill is up to the next of batches, which are not set")
	}
	if m := c.Batching.Mode; m != "" && !slices.Contains(batchingModes, m) {
		return d.errorf(d.lines["batching.mode"], "batching.mode is one of %s, not %q", strings.Join(batchingModes, ", "), m)
	}
	if o := c.Session.Optimization; o != "" && !slices.Contains(optimizations, o) {
		return d.errorf(d.lines["session.optimization"], "session.optimization is one of %s, not %q", strings.Join(optimizations, ", "), o)
	}
	if c.Model != "" && (!filepath.IsLocal(c.Model) || !isModel(c.Model)) {
		return d.errorf(d.lines["model"], "model is the path of a .onnx file inside the artifact, not %q", c.Model)
	}
	for i := range c.Post {
		if err := d.checkStep(fmt.Sprintf("post[%d]", i), &c.Post[i]); err != nil {
			return err
		}
	}
	if err := d.checkReply(&c.Reply); err != nil {
		return err
	}
	if err := d.checkDevice(&c); err != nil {
		return err
	}
	return d.checkFormats(&c)
}
