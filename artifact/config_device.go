package artifact

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CUDAConfig, TensorRTConfig and OpenVINOConfig are what clary.yaml, or a
// setting of the server, says of a provider (docs/gpu.md).
type CUDAConfig struct {
	ConvSearch    string            `yaml:"conv_search"`
	ConvWorkspace *bool             `yaml:"conv_workspace"`
	TF32          *bool             `yaml:"tf32"`
	CopyStream    *bool             `yaml:"copy_stream"`
	NHWC          *bool             `yaml:"nhwc"`
	Bind          *bool             `yaml:"bind"`
	Graphs        bool              `yaml:"graphs"`  // for one row and each of batches
	Options       map[string]string `yaml:"options"` // by ONNX Runtime's names
}

// TensorRTConfig is of the provider tensorrt.
type TensorRTConfig struct {
	FP16        *bool             `yaml:"fp16"`
	INT8        *bool             `yaml:"int8"`
	Calibration string            `yaml:"calibration"`
	Workspace   string            `yaml:"workspace"` // an amount
	Engines     string            `yaml:"engines"`
	Timings     *bool             `yaml:"timings"`
	Options     map[string]string `yaml:"options"`
}

// OpenVINOConfig is of the provider openvino.
type OpenVINOConfig struct {
	Device    string            `yaml:"device"`
	Precision string            `yaml:"precision"`
	Threads   int               `yaml:"threads"`
	Cache     string            `yaml:"cache"`
	Options   map[string]string `yaml:"options"`
}

var providers = []string{"cuda", "tensorrt", "openvino", "cpu"}

var devicePattern = regexp.MustCompile(`^(auto|cpu|cuda(:\d{1,4}(,\d{1,4})*)?)$`)

// CheckDevice holds a device's name against the form that it has.
func CheckDevice(name string) error {
	if !devicePattern.MatchString(name) {
		return fmt.Errorf("want auto, cpu, cuda, cuda:1 or cuda:0,2")
	}
	return nil
}

// CheckProviders refuses names of providers that there are not.
func CheckProviders(names []string) error {
	for _, name := range names {
		if slices.Contains(providers, name) {
			continue
		}
		if near := Nearest(name, providers); near != "" {
			return fmt.Errorf("there is no provider %q; did you mean %s?", name, near)
		}
		return fmt.Errorf("there is no provider %q; there are %s", name, strings.Join(providers, ", "))
	}
	return nil
}

// AddProviderOptions sets what a setting says of one provider, such as
// "tf32=true,conv_search=heuristic", on top of what c says already. name, the
// setting's, appears in errors.
func AddProviderOptions(c *Config, name, provider, text string) error {
	if text == "" {
		return nil
	}
	var lines strings.Builder
	fmt.Fprintf(&lines, "%s:\n", provider)
	for _, pair := range strings.Split(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%s: want key=value with commas between, not %q", name, pair)
		}
		fmt.Fprintf(&lines, "  %s: %s\n", strings.TrimSpace(key), strings.TrimSpace(value))
	}
	d, err := decode(name, name, []byte(lines.String()), c)
	if err == nil {
		err = d.checkDevice(c)
	}
	return err
}

func (d *decoder) checkDevice(c *Config) error {
	if c.Device != "" {
		if err := CheckDevice(c.Device); err != nil {
			return d.errorf(d.lines["device"], "device is %q: %v", c.Device, err)
		}
	}
	if line, set := d.lines["gpu_fraction"]; set && !(c.GPUFraction > 0 && c.GPUFraction <= 1) {
		return d.errorf(line, "gpu_fraction is more than 0 and at most 1, not %v", c.GPUFraction)
	}
	if line, set := d.lines["streams"]; set && (c.Streams < 1 || c.Streams > 64) {
		return d.errorf(line, "streams is 1 to 64, not %d", c.Streams)
	}
	for _, n := range c.Batches {
		if n < 1 {
			return d.errorf(d.lines["batches"], "batches are whole numbers, 1 or more, not %d", n)
		}
	}
	if err := CheckProviders(c.Providers); err != nil {
		return d.errorf(d.lines["providers"], "providers: %v", err)
	}
	searches := []string{"heuristic", "exhaustive", "default"}
	if s := c.CUDA.ConvSearch; s != "" && !slices.Contains(searches, s) {
		return d.errorf(d.lines["cuda.conv_search"], "cuda.conv_search is one of %s, not %q", strings.Join(searches, ", "), s)
	}
	if line, set := d.lines["openvino.threads"]; set && c.OpenVINO.Threads < 1 {
		return d.errorf(line, "openvino.threads is at least 1, not %d", c.OpenVINO.Threads)
	}
	return nil
}
