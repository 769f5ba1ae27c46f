// Package gpu knows which GPUs this process may use, how much of their memory
// is free, and which of them a model goes to.
//
// It asks NVIDIA's management library, which comes with the driver and is
// loaded at run time: where it is missing there is no GPU, and that is an
// error that says so, never a crash. What it lists is what CUDA will see, in
// CUDA's order: CUDA_VISIBLE_DEVICES decides, in all its forms.
package gpu

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// ErrNone says that there is no GPU that this process may use.
var ErrNone = errors.New("no GPU")

// A Device is a GPU, or a MIG instance of one, that CUDA lets this process
// use.
type Device struct {
	Index  int    // CUDA's number
	UUID   string // GPU-... or MIG-...
	Name   string
	Parent string // of a MIG instance, the UUID of its GPU; "" of a GPU

	system *System
	handle nvml.Device
}

// Memory is a device's, in bytes. Used is all processes' together.
type Memory struct {
	Total, Used, Free int64
}

// A System is the machine's GPUs, as its driver tells.
type System struct {
	Driver  string // its version
	Devices []Device

	lib    nvml.Interface
	mu     sync.Mutex // guards closed, and the library against being unloaded while it is asked
	closed bool
}

// Open loads the driver's management library and lists the GPUs that visible,
// the value of CUDA_VISIBLE_DEVICES, lets CUDA see; without set that is all of
// them. library is a path, or a name that the system's loader finds; "" is
// libnvidia-ml.so.1. The error wraps ErrNone where there is no driver or no
// GPU that is visible.
func Open(library, visible string, set bool) (*System, error) {
	var options []nvml.LibraryOption
	if library != "" {
		options = append(options, nvml.WithLibraryPath(library))
	}
	lib := nvml.New(options...)
	switch r := lib.Init(); {
	case r == nvml.ERROR_LIBRARY_NOT_FOUND:
		return nil, fmt.Errorf("%w: NVIDIA's driver is not here (its library libnvidia-ml.so.1 cannot be loaded)", ErrNone)
	case r != nvml.SUCCESS:
		return nil, fmt.Errorf("%w: NVIDIA's driver does not start: %v", ErrNone, message(lib, r))
	}
	s := &System{lib: lib}
	if err := s.list(visible, set); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// message is what the library calls an error; go-nvml knows it only while the
// library is loaded.
func message(lib nvml.Interface, r nvml.Return) string {
	return fmt.Sprintf("%s (NVML error %d)", lib.ErrorString(r), int(r))
}

func (s *System) failed(what string, r nvml.Return) error {
	if r == nvml.SUCCESS {
		return nil
	}
	return fmt.Errorf("gpu: %s: %s", what, message(s.lib, r))
}

// list fills Devices.
func (s *System) list(visible string, set bool) error {
	if version, r := s.lib.SystemGetDriverVersion(); r == nvml.SUCCESS {
		s.Driver = version
	}
	n, r := s.lib.DeviceGetCount()
	if err := s.failed("counting GPUs", r); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: NVIDIA's driver %s finds none", ErrNone, s.Driver)
	}
	var all []physical
	var handles []Device
	for i := range n {
		p, devices, err := s.physical(i)
		if err != nil {
			return err
		}
		p.at = len(handles)
		all, handles = append(all, p), append(handles, devices...)
	}
	chosen, why := choose(all, visible, set)
	for index, at := range chosen {
		d := handles[at]
		d.Index = index
		s.Devices = append(s.Devices, d)
	}
	if len(chosen) == 0 {
		return fmt.Errorf("%w: %s", ErrNone, why)
	}
	return nil
}

// physical describes GPU i and its MIG instances.
func (s *System) physical(i int) (p physical, devices []Device, err error) {
	h, r := s.lib.DeviceGetHandleByIndex(i)
	if err = s.failed(fmt.Sprintf("GPU %d", i), r); err != nil {
		return p, nil, err
	}
	d := Device{system: s, handle: h}
	if d.UUID, r = h.GetUUID(); r != nvml.SUCCESS {
		return p, nil, s.failed(fmt.Sprintf("GPU %d: its UUID", i), r)
	}
	d.Name, _ = h.GetName() // for people
	p.uuid, devices = d.UUID, []Device{d}
	if !s.has("nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex") {
		return p, devices, nil // a driver from before MIG
	}
	current, _, r := h.GetMigMode()
	if p.mig = r == nvml.SUCCESS && current == nvml.DEVICE_MIG_ENABLE; !p.mig {
		return p, devices, nil
	}
	n, r := h.GetMaxMigDeviceCount()
	if err = s.failed(fmt.Sprintf("GPU %d: its MIG instances", i), r); err != nil {
		return p, nil, err
	}
	for j := range n {
		m, r := h.GetMigDeviceHandleByIndex(j)
		if r == nvml.ERROR_NOT_FOUND {
			continue // there is room for one that was not made
		}
		instance := Device{system: s, handle: m, Parent: d.UUID, Name: d.Name + " MIG"}
		if r == nvml.SUCCESS {
			instance.UUID, r = m.GetUUID()
		}
		if err = s.failed(fmt.Sprintf("GPU %d: MIG instance %d", i, j), r); err != nil {
			return p, nil, err
		}
		if name, r := m.GetName(); r == nvml.SUCCESS && name != "" {
			instance.Name = name
		}
		p.instances = append(p.instances, instanceOf(s, m, instance.UUID))
		devices = append(devices, instance)
	}
	return p, devices, nil
}

// instanceOf says by which names a MIG instance may be called.
func instanceOf(s *System, m nvml.Device, uuid string) instance {
	in := instance{uuid: uuid, gi: -1, ci: -1}
	if s.has("nvmlDeviceGetGpuInstanceId", "nvmlDeviceGetComputeInstanceId") {
		if id, r := m.GetGpuInstanceId(); r == nvml.SUCCESS {
			in.gi = id
		}
		if id, r := m.GetComputeInstanceId(); r == nvml.SUCCESS {
			in.ci = id
		}
	}
	return in
}

// has reports whether the library has these functions: calling one that it
// lacks would end the process.
func (s *System) has(names ...string) bool {
	for _, name := range names {
		if s.lib.Extensions().LookupSymbol(name) != nil {
			return false
		}
	}
	return true
}

// Close unloads the driver's library.
func (s *System) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.failed("closing NVML", s.lib.Shutdown())
}

// ask runs f while the library is loaded.
func (d *Device) ask(what string, f func() nvml.Return) error {
	d.system.mu.Lock()
	defer d.system.mu.Unlock()
	if d.system.closed {
		return fmt.Errorf("gpu: %s of cuda:%d after Close", what, d.Index)
	}
	return d.system.failed(fmt.Sprintf("%s of cuda:%d", what, d.Index), f())
}

// Memory asks for the device's memory as it is now.
func (d *Device) Memory() (m Memory, err error) {
	err = d.ask("memory", func() nvml.Return {
		raw, r := d.handle.GetMemoryInfo()
		m = Memory{Total: int64(raw.Total), Used: int64(raw.Used), Free: int64(raw.Free)}
		return r
	})
	return m, err
}

// Utilization is the share of the last moments in which something ran on the
// GPU, 0 to 1. Of a MIG instance nobody knows it.
func (d *Device) Utilization() (share float64, err error) {
	err = d.ask("utilization", func() nvml.Return {
		u, r := d.handle.GetUtilizationRates()
		share = float64(u.Gpu) / 100
		return r
	})
	return share, err
}

// Lost reports whether the device no longer answers: it fell off the bus, or
// its driver wants a reset.
func (d *Device) Lost() bool {
	lost := false
	_ = d.ask("health", func() nvml.Return {
		_, r := d.handle.GetMemoryInfo()
		lost = r == nvml.ERROR_GPU_IS_LOST || r == nvml.ERROR_RESET_REQUIRED
		return r
	})
	return lost
}

// MIG reports whether the device is a MIG instance.
func (d *Device) MIG() bool { return strings.HasPrefix(d.UUID, "MIG-") }
