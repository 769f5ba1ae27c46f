package clary

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/claryhq/clary/mme"
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
	_, choice, want, err := s.wanted(p.artifact, cmp.Or(p.source.sizes.of(p.spec), p.source.gpus.apply(p.weights())))
	if err == nil {
		p.gpu, err = s.devices.pick(choice, want, s.many.cache.Spare)
	}
	if errors.Is(err, runtime.ErrDevice) {
		p.wrong = err
		return
	} else if err != nil {
		p.wrong = badModel{err}
		return
	}
	p.there = want.Estimate
	if part := p.gpu.Limit; part > 0 {
		p.there = part // kept for it, used or not
		if weights := p.weights(); part < weights {
			p.wrong = fmt.Errorf("%w: its weights are %d MiB, and its part of %v is %d MiB", mme.ErrMemory, weights>>20, p.gpu, part>>20)
		}
	}
}

// weights is what the model's sessions take before they have run.
func (p *prepared) weights() int64 { return p.steady * int64(cmp.Or(p.artifact.Config.Streams, 1)) }

// pick returns the GPU with the most room, and where none has enough, the one that
// has the most once what is spare there has gone; not one where the choice is the
// CPU.
func (d *devices) pick(c deviceChoice, want gpu.Want, spare func() mme.Bytes) (runtime.Device, error) {
	if onCPU, err := d.choose(c); onCPU || err != nil {
		return runtime.Device{}, err
	}
	bytes := spare() // asks models, whose places are looked at under the lock
	d.mu.Lock()
	defer d.mu.Unlock()
	rooms, err := d.rooms()
	if err != nil {
		return runtime.Device{}, err
	}
	want.Among = c.among
	device, err := gpu.Place(rooms, want)
	if errors.Is(err, runtime.ErrMemory) {
		for i := range rooms {
			rooms[i].Free += bytes[runtime.Device{CUDA: true, Index: i}.String()]
		}
		if device, err = gpu.Place(rooms, want); errors.Is(err, runtime.ErrMemory) {
			err = nil // the cache says what is lacking
		}
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
// after it, but for what the models there have grown by meanwhile. Where that
// cannot be known, or cannot be true, it is the estimate, and for a model with a
// part of its own that part.
func (s *source) measuredThere(p *prepared, open func()) int64 {
	d, runs := s.server.devices, s.runs.Load()
	arenas := d.arenasOn(p.gpu.Index)
	before, ok := d.used(p.gpu.Index)
	open()
	after, still := d.used(p.gpu.Index)
	took, now := after-before, d.arenasOn(p.gpu.Index)
	for other, had := range arenas {
		took -= now[other] - had // of one that was closed, nothing
	}
	if p.gpu.Limit > 0 {
		return p.gpu.Limit
	}
	if !ok || !still || took < p.there/2 { // other processes give memory back meanwhile
		return p.there
	}
	if s.runs.Load() == runs {
		s.gpus.learn(p.weights(), took)
	}
	return took
}

// Grown is what the model has taken of its GPU since it was opened. One with a
// part of its own is charged that from the beginning.
func (m *live) Grown() mme.Bytes {
	if !m.device.CUDA || m.place.device.Limit > 0 {
		return nil
	}
	return mme.Bytes{m.device.String(): max(m.place.arenas()-m.arena, 0)}
}

var _ mme.Grower = (*live)(nil)

// wantsMore remembers that a model that could not be opened wants so much of its
// GPU, if others may give way for it, or have: nobody shall twice for what does
// not fit. For a while only; the GPU may have been another process's.
func (s *source) wantsMore(p *prepared, bytes int64, err error) error {
	spare := s.server.many.cache.Spare()[p.gpu.String()] > 0
	if spare || s.sizes.tried(p.spec) {
		s.sizes.set(p.spec, sized{bytes, time.Now().Add(sizeTime)})
	}
	if spare {
		err = fmt.Errorf("%w: %w", mme.ErrRoom, err)
	}
	return err
}
