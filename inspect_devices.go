package clary

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/claryhq/clary/runtime/gpu"
	"github.com/claryhq/clary/runtime/onnx"
)

// inspectDevices prints what models can run on: the library's providers and
// the GPUs that this process may use.
func inspectDevices(w io.Writer) (err error) {
	cfg, err := ParseConfig(nil, os.Environ(), io.Discard)
	if err != nil {
		return usageError{err}
	}
	countByBus()
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) } // tabwriter keeps errors for Flush
	row("cores", strconv.Itoa(cores()))
	if err := onnx.Start(libraryPath(cfg.Library)); err != nil {
		row("onnxruntime", "not found: "+err.Error())
	} else {
		defer func() { err = errors.Join(err, onnx.Stop()) }()
		row("onnxruntime", onnx.Version(), libraryPath(cfg.Library))
		names, err := onnx.Providers()
		if err != nil {
			return err
		}
		row("providers", strings.Join(names, ", "))
		for _, name := range names {
			if name != "cuda" {
				continue
			}
			if err := onnx.CheckCUDA(); err != nil {
				row("cuda", err.Error())
			}
		}
	}
	visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	if set {
		row("CUDA_VISIBLE_DEVICES", visible)
	}
	system, err := gpu.Open("", visible, set)
	switch {
	case errors.Is(err, gpu.ErrNone):
		row("gpus", err.Error())
		return t.Flush()
	case err != nil:
		return errors.Join(err, t.Flush())
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	row("driver", system.Driver)
	for i := range system.Devices {
		d := &system.Devices[i]
		cells := []string{fmt.Sprintf("cuda:%d", d.Index), d.Name, d.UUID}
		if m, err := d.Memory(); err != nil {
			cells = append(cells, err.Error())
		} else {
			cells = append(cells, fmt.Sprintf("%s free of %s", size(m.Free), size(m.Total)))
		}
		if share, err := d.Utilization(); err == nil {
			cells = append(cells, fmt.Sprintf("%.0f%% busy", share*100))
		}
		if d.MIG() {
			cells = append(cells, "part of "+d.Parent)
		}
		row(cells...)
	}
	return t.Flush()
}

// countByBus has CUDA count GPUs as the driver and its tools do, by the bus: in
// another order a model would be on another GPU than the one whose memory is
// looked at. It must be called before CUDA is loaded.
func countByBus() {
	_ = os.Setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID") // fails for no such name
}
