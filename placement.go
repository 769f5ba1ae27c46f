package clary

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/gpu"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// A placement is a model's place on a GPU, from before it is opened until it is
// closed.
type placement struct {
	of       *devices
	device   runtime.Device
	sessions []*onnx.Session // as soon as it is open; guarded by the devices' lock
}

// arenas is what the model has taken there.
func (p *placement) arenas() (bytes int64) {
	for _, s := range p.sessions {
		bytes += s.Arena()
	}
	return bytes
}

// rooms is the memory of the GPUs as it is. One that does not answer has none.
func (d *devices) rooms() ([]gpu.Room, error) {
	rooms, errs := make([]gpu.Room, len(d.system.Devices)), make([]error, len(d.system.Devices))
	for i := range d.system.Devices {
		m, err := d.system.Devices[i].Memory()
		rooms[i], errs[i] = gpu.Room{Index: i, Total: m.Total, Free: m.Free}, err
		if err != nil {
			rooms[i] = gpu.Room{Index: i}
		}
	}
	if !slices.Contains(errs, nil) {
		return nil, fmt.Errorf("%w: %w", runtime.ErrDevice, errors.Join(errs...))
	}
	for p := range d.places {
		if p.device.Limit > 0 {
			rooms[p.device.Index].Kept += max(p.device.Limit-p.arenas(), 0)
		}
	}
	return rooms, nil
}

// place returns where a model is to run, and keeps its part of a GPU for it
// until release.
func (d *devices) place(c deviceChoice, want gpu.Want) (*placement, error) {
	p := &placement{of: d}
	if onCPU, err := d.choose(c); onCPU || err != nil {
		return p, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	rooms, err := d.rooms()
	if err != nil {
		return p, err
	}
	want.Among = c.among
	if p.device, err = gpu.Place(rooms, want); err == nil {
		d.places[p] = true
	}
	return p, err
}

// choose reports whether the choice is the CPU, and what is wrong with it.
func (d *devices) choose(c deviceChoice) (onCPU bool, err error) {
	if c.cpu || d.system == nil && !c.cuda {
		return true, nil
	}
	if err = d.none; d.system != nil {
		err = d.there(c.among)
	}
	if err != nil {
		err = fmt.Errorf("device %s: %w", c.name, err)
	}
	return false, err
}

// settle tells what a placed model has opened. One that takes more than its part
// is told so: ONNX Runtime's own limit is of what weights leave.
func (p *placement) settle(sessions []*onnx.Session) error {
	if !p.device.CUDA {
		return nil
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.sessions = sessions
	if took := p.arenas(); p.device.Limit > 0 && took > p.device.Limit {
		return fmt.Errorf("%w: the model took %d MiB of %v, of which its part is %d MiB", runtime.ErrMemory, took>>20, p.device, p.device.Limit>>20)
	}
	return nil
}

func (p *placement) release() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	delete(p.of.places, p)
}

// arenasOn is what each model on a GPU has taken there.
func (d *devices) arenasOn(index int) map[*placement]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := map[*placement]int64{}
	for p := range d.places {
		if p.device.Index == index {
			taken[p] = p.arenas()
		}
	}
	return taken
}

// placed gives a model its device, of those in among where that is not nil, until
// its place is released: it completes the options.
func (s *Server) placed(a *artifact.Artifact, options *onnx.Options, among []int) (*placement, error) {
	c, choice, want, err := s.wanted(a, gpuEstimate(a))
	if err != nil {
		return nil, err
	}
	if among != nil {
		choice.among = among
	}
	workspace, err := gpuAmount(c.TensorRT.Workspace)
	if err != nil {
		return nil, fmt.Errorf("tensorrt.workspace is %q: want an amount such as 1GiB", c.TensorRT.Workspace)
	}
	p, err := s.devices.place(choice, want)
	if err != nil {
		return nil, err
	}
	t := c.TensorRT
	options.Device = p.device
	options.Device.Limit /= int64(cmp.Or(a.Config.Streams, 1)) // each session has an arena of its own
	options.Providers = c.Providers
	options.Fallback = c.Fallback != nil && *c.Fallback
	if name := onGPU(c.Providers); name != "" && !p.device.CUDA && !options.Fallback {
		return p, fmt.Errorf("%s %w: it runs on a GPU, and the model was given the CPU: %w", name, onnx.ErrProvider,
			cmp.Or(s.devices.none, fmt.Errorf("device is %s", c.Device)))
	}
	options.Fell = func(provider string, why error) {
		s.log.Warn("a provider is left out", zap.String("model", a.Name), zap.String("provider", provider), zap.Error(why))
	}
	options.CUDA = cudaOptions(c, p.device)
	options.OpenVINO = onnx.OpenVINO(c.OpenVINO)
	options.TensorRT = onnx.TensorRT{FP16: t.FP16, INT8: t.INT8, Calibration: t.Calibration, Workspace: workspace,
		Engines: t.Engines, Timings: t.Timings, Options: t.Options}
	return p, nil
}

// onGPU is the first of the providers that runs on a GPU; "" where none does.
// What comes behind the CPU is never asked.
func onGPU(providers []string) string {
	for _, name := range providers {
		switch name {
		case "cuda", "tensorrt":
			return name
		case "cpu":
			return ""
		}
	}
	return ""
}

func cudaOptions(c artifact.Config, device runtime.Device) onnx.CUDA {
	o := onnx.CUDA{ConvSearch: c.CUDA.ConvSearch, ConvWorkspace: c.CUDA.ConvWorkspace, TF32: c.CUDA.TF32, CopyStream: c.CUDA.CopyStream,
		NHWC: c.CUDA.NHWC, Bind: c.CUDA.Bind, Options: c.CUDA.Options}
	if c.CUDA.Graphs && device.CUDA {
		o.Graphs = append([]int{1}, c.Batches...)
	}
	return o
}

// gpuEstimate is what a model's weights will take of a GPU's memory; 0 where
// its handler alone knows its model.
func gpuEstimate(a *artifact.Artifact) int64 {
	if a.Model == "" {
		return 0
	}
	g, err := onnx.Read(a.Model, a.Dir)
	if err != nil {
		return 0 // what is wrong with the file is for Open to say
	}
	return g.Steady() * int64(cmp.Or(a.Config.Streams, 1))
}
