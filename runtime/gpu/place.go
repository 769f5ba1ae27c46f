package gpu

import (
	"fmt"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// A Room is a GPU's memory when a model is to be placed.
type Room struct {
	Index int
	Total int64
	Free  int64 // as the driver sees it
	Kept  int64 // promised to models that are placed there, and not used by them yet
}

// Left is what nobody uses and nobody was promised.
func (r Room) Left() int64 { return r.Free - r.Kept }

// A Want is what a model asks for.
type Want struct {
	Among    []int   // of these GPUs; nil: of all
	Fraction float64 // of a GPU's memory; 0: not said
	Bytes    int64   // the same in bytes, which wins; 0: not said
	Estimate int64   // what it will take where neither is said
}

// limit is what the model may take of a GPU of that size; 0: no limit.
func (w Want) limit(total int64) int64 {
	if w.Bytes > 0 {
		return w.Bytes
	}
	if w.Fraction <= 0 {
		return 0
	}
	return max(int64(w.Fraction*float64(total)), 1)
}

// Place returns the GPU that a model goes to: the one with the most memory
// that is neither used nor promised, the first of equals, and the limit of what
// it may take there. Where it does not fit, the error wraps runtime.ErrMemory.
func Place(rooms []Room, w Want) (runtime.Device, error) {
	best := -1
	for i, r := range rooms {
		if w.Among != nil && !slices.Contains(w.Among, r.Index) {
			continue
		}
		if best < 0 || r.Left() > rooms[best].Left() {
			best = i
		}
	}
	if best < 0 {
		return runtime.Device{}, fmt.Errorf("gpu: no GPU among %v; there are %d, counted from 0", w.Among, len(rooms))
	}
	r := rooms[best]
	d := runtime.Device{CUDA: true, Index: r.Index, Limit: w.limit(r.Total)}
	if need := max(d.Limit, w.Estimate); d.Limit > 0 && d.Limit < w.Estimate {
		return d, fmt.Errorf("gpu: %w: the model takes about %s, and its part of %v is %s", runtime.ErrMemory, mib(w.Estimate), d, mib(d.Limit))
	} else if need > r.Left() {
		return d, fmt.Errorf("gpu: %w: the model needs %s, and %v, which has the most room, has %s of %s that is neither used nor promised",
			runtime.ErrMemory, mib(need), d, mib(max(r.Left(), 0)), mib(r.Total))
	}
	return d, nil
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
