package clary

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/gpu"
	"github.com/claryhq/clary/runtime/onnx"
)

// The memory of a GPU is a pool of its own for a server with many models, named
// as the device is: what the models there have been measured to take, and what
// the driver says is free and nobody was promised.

// pick chooses the GPU that the model goes to, though others may have to give
// way there first.
func (p *prepared) pick() {
	s := p.source.server
	_, choice, want, err := s.wanted(p.artifact, p.source.gpus.apply(p.weights()))
	if err == nil {
		p.gpu, err = s.devices.pick(choice, want)
	}
	if err != nil {
		p.wrong = badModel{err}
		return
	}
	if p.there = want.Estimate; p.gpu.Limit > 0 {
		p.there = p.gpu.Limit // kept for it, used or not
	}
}

// weights is what the model's sessions take before they have run.
func (p *prepared) weights() int64 { return p.steady * int64(cmp.Or(p.artifact.Config.Streams, 1)) }

// pick returns the GPU with the most room; not one where the choice is the CPU.
func (d *devices) pick(c deviceChoice, want gpu.Want) (runtime.Device, error) {
	if onCPU, err := d.choose(c); onCPU || err != nil {
		return runtime.Device{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	device, err := d.best(c, want)
	if errors.Is(err, runtime.ErrMemory) {
		err = nil
	}
	if err == nil {
		d.hold(device.Index)
	}
	return device, err
}

// hold makes CUDA's context on a GPU, some hundred MiB, lest the first model
// there be measured with it. Where that fails, it is.
func (d *devices) hold(index int) {
	if _, held := d.others[index]; held {
		return
	}
	if context, err := onnx.HoldContext(index); err == nil {
		d.contexts = append(d.contexts, context)
	}
	d.others[index], _ = d.used(index)
}

// room is that of a GPU's pool, for the cache: what is free, and what others
// leave of it, who have at most what was ever seen in use.
func (s *source) room(pool string) (free, all int64, bound bool) {
	d := s.server.devices
	number, isGPU := strings.CutPrefix(pool, "cuda:")
	index, err := strconv.Atoi(number)
	if !isGPU || err != nil {
		return 0, 0, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	rooms, err := d.rooms()
	if err != nil {
		return 0, 0, true // a GPU that does not answer has no room
	}
	r := rooms[index]
	d.others[index] = min(d.others[index], r.Total-r.Free)
	return max(r.Left(), 0), r.Total - d.others[index], true
}

// used is how much of a GPU's memory is in use.
func (d *devices) used(index int) (bytes int64, ok bool) {
	m, err := d.system.Devices[index].Memory()
	return m.Used, err == nil
}

// measuredThere runs an opening and returns what the GPU has less of memory
// after it. Where that cannot be known, or cannot be true, it is the estimate,
// and for a model with a part of its own that part.
func (s *source) measuredThere(p *prepared, open func()) int64 {
	runs := s.runs.Load()
	before, ok := s.server.devices.used(p.gpu.Index)
	open()
	after, still := s.server.devices.used(p.gpu.Index)
	took := after - before
	if p.gpu.Limit > 0 {
		return p.gpu.Limit
	}
	if !ok || !still || took < p.there/2 { // others give memory back meanwhile
		return p.there
	}
	if s.runs.Load() == runs {
		s.gpus.learn(p.weights(), took)
	}
	return took
}
