package clary

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/runtime/gpu"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// A deviceChoice is what CLARY_DEVICE or clary.yaml's device asks for. The
// zero value is auto.
type deviceChoice struct {
	name  string // as it was written
	cpu   bool
	cuda  bool
	among []int // GPUs; nil: all
}

// parseDevice reads auto, cpu, cuda, cuda:1 or cuda:0,2.
func parseDevice(name string) (deviceChoice, error) {
	if err := artifact.CheckDevice(name); err != nil {
		return deviceChoice{}, err
	}
	c := deviceChoice{name: name, cpu: name == "cpu", cuda: strings.HasPrefix(name, "cuda")}
	if list, ok := strings.CutPrefix(name, "cuda:"); ok {
		for _, text := range strings.Split(list, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || slices.Contains(c.among, n) {
				return deviceChoice{}, errors.New("want different GPUs, counted from 0")
			}
			c.among = append(c.among, n)
		}
	}
	return c, nil
}

// devices are what models can run on: the CPU, and the GPUs there are.
type devices struct {
	system *gpu.System // nil: no GPU is used
	why    string      // of the choice, for people
	none   error       // why there is no GPU; nil where there is

	mu       sync.Mutex          // guards what follows
	places   map[*placement]bool // of the models on GPUs
	others   map[int]int64       // at most in use by others, of the GPUs that models of many were placed on
	contexts []*onnx.Context

	stop func() // ends the watch over the GPUs; nil where there is none
}

// findDevices looks for GPUs as far as the choice needs them; the library must
// have been loaded. What was asked for by name and is not there is an error
// that says whether the GPU or the library lacks it, and what to do.
func findDevices(c deviceChoice, library string) (*devices, error) {
	d := &devices{places: map[*placement]bool{}, others: map[int]int64{}}
	if c.cpu {
		d.why, d.none = "CLARY_DEVICE=cpu", errors.New("CLARY_DEVICE is cpu")
		return d, nil
	}
	d.none = d.find(library)
	switch {
	case d.none == nil:
		d.why = fmt.Sprintf("%d GPUs, driver %s", len(d.system.Devices), d.system.Driver)
	case c.cuda:
		return nil, fmt.Errorf("CLARY_DEVICE=%s: %w", c.name, d.none)
	default:
		d.why = d.none.Error()
		return d, nil
	}
	if err := d.there(c.among); err != nil {
		return nil, errors.Join(fmt.Errorf("CLARY_DEVICE=%s: %w", c.name, err), d.close())
	}
	return d, nil
}

// find opens the system of GPUs where models can run on them.
func (d *devices) find(library string) error {
	have, err := onnx.Providers()
	if err != nil {
		return err
	}
	if !slices.Contains(have, "cuda") {
		return fmt.Errorf("the ONNX Runtime library %s has no CUDA provider (it has %s): give ORT_DYLIB_PATH one that has, such as that of the package onnxruntime-gpu, which the image of Dockerfile.gpu carries, or CLARY_DEVICE=cpu",
			library, strings.Join(have, ", "))
	}
	visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	system, err := gpu.Open("", visible, set)
	if err != nil && !errors.Is(err, gpu.ErrNone) {
		return fmt.Errorf("%w: nvidia-smi tells more, and a GPU that is lost wants a reset; or CLARY_DEVICE=cpu", err)
	}
	if err != nil {
		return fmt.Errorf("%w: give the container one (docker run --gpus all, with the NVIDIA container toolkit), or CLARY_DEVICE=cpu", err)
	}
	if err := onnx.CheckCUDA(); err != nil {
		return errors.Join(fmt.Errorf("%w: the library has the CUDA provider, but CUDA's own libraries beside it are missing or do not fit: install CUDA and cuDNN of the release that it was built for, or CLARY_DEVICE=cpu", err), system.Close())
	}
	d.system = system
	return nil
}

// there reports GPUs that are wanted and not there.
func (d *devices) there(among []int) error {
	for _, n := range among {
		if n >= len(d.system.Devices) {
			return fmt.Errorf("there is no GPU %d: this process may use %d, counted from 0 (serve inspect --devices lists them)", n, len(d.system.Devices))
		}
	}
	return nil
}

func (d *devices) close() error {
	if d == nil || d.system == nil {
		return nil
	}
	if d.stop != nil {
		d.stop()
	}
	for _, context := range d.contexts {
		context.Close()
	}
	return d.system.Close()
}

// startDevices chooses the devices and says so once.
func (s *Server) startDevices() (err error) {
	if s.devices, err = findDevices(s.cfg.Device, libraryPath(s.cfg.Library)); err != nil {
		return err
	}
	fields := []zap.Field{zap.String("device", "cpu"), zap.String("why", s.devices.why)}
	if system := s.devices.system; system != nil {
		var names []string
		for _, d := range system.Devices {
			names = append(names, fmt.Sprintf("cuda:%d %s %s", d.Index, d.Name, d.UUID))
		}
		fields[0] = zap.String("device", "cuda")
		fields = append(fields, zap.Strings("gpus", names))
		s.registry.MustRegister(&gpuMetrics{system: system})
		s.devices.watch(s.cfg.Device.among, s.lose)
	}
	s.log.Info("device", fields...)
	return nil
}

// deviceConfig is what the settings and clary.yaml say together of where a
// model runs; the settings win.
func (s *Server) deviceConfig(a *artifact.Artifact) (artifact.Config, error) {
	c, cfg := a.Config, &s.cfg
	c.Device = cmp.Or(cfg.Device.name, c.Device, "auto")
	c.GPUFraction = cmp.Or(cfg.GPUFraction, c.GPUFraction)
	if c.GPUMemory = cmp.Or(cfg.GPUMemory, c.GPUMemory); cfg.GPUMemory == "" && cfg.GPUFraction > 0 {
		c.GPUMemory = "" // the model's amount wins over the model's fraction, not over the server's
	}
	if cfg.Providers != nil {
		c.Providers = cfg.Providers
	}
	if cfg.Fallback {
		c.Fallback = &cfg.Fallback
	}
	err := errors.Join(
		artifact.AddProviderOptions(&c, "CLARY_CUDA", "cuda", cfg.CUDA),
		artifact.AddProviderOptions(&c, "CLARY_TENSORRT", "tensorrt", cfg.TensorRT),
		artifact.AddProviderOptions(&c, "CLARY_OPENVINO", "openvino", cfg.OpenVINO))
	if c.TensorRT.Engines == "" {
		c.TensorRT.Engines = filepath.Join(os.TempDir(), "clary-engines")
	}
	return c, err
}

// wanted is what a model asks for of a device. estimate is what it will take of
// memory.
func (s *Server) wanted(a *artifact.Artifact, estimate int64) (c artifact.Config, choice deviceChoice, want gpu.Want, err error) {
	if c, err = s.deviceConfig(a); err != nil {
		return c, choice, want, err
	}
	if choice, err = parseDevice(c.Device); err != nil {
		return c, choice, want, err
	}
	if c.Providers != nil && onGPU(c.Providers) == "" {
		if choice.cuda {
			return c, choice, want, fmt.Errorf("device is %s, and none of the providers %s runs on a GPU: add cuda, or let device be cpu", c.Device, strings.Join(c.Providers, ", "))
		}
		choice.cpu = true
	}
	want = gpu.Want{Fraction: c.GPUFraction, Estimate: estimate}
	if want.Bytes, err = gpuAmount(c.GPUMemory); err != nil {
		err = fmt.Errorf("gpu_memory is %q: %w", c.GPUMemory, err)
	}
	return c, choice, want, err
}

// gpuAmount reads an amount of a GPU's memory, of which a share is said
// otherwise.
func gpuAmount(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	a, err := parseAmount(text)
	if err != nil || a.bytes == 0 {
		return 0, errors.New("want an amount such as 2GiB; gpu_fraction is for shares")
	}
	return a.bytes, nil
}
