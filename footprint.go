package clary

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"

	"github.com/claryhq/clary/runtime/onnx"
)

// measured runs an opening and returns what the process has more of memory
// after it, less what Go's own heap has grown by. Where that cannot be known,
// or cannot be true, it is the estimate.
func (s *source) measured(p *prepared, open func()) int64 {
	runs, heap := s.runs.Load(), goHeap()
	before, ok := residentBytes()
	open()
	peak, _ := residentBytes() // before the trim: near to the highest
	onnx.Trim()
	after, _ := residentBytes()
	if !ok {
		return p.steady
	}
	grown := max(goHeap()-heap, 0)
	if s.runs.Load() == runs {
		s.learner.learn(p.peak, peak-before-grown)
	}
	took := after - before - grown
	// Runs of other models give and take memory meanwhile.
	if took < p.steady/2 || took > 2*p.peak {
		return p.steady
	}
	return took
}

// goHeap is what Go's heap takes of memory.
func goHeap() int64 {
	return heapBytes("/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes")
}

func heapBytes(names ...string) (sum int64) {
	samples := make([]metrics.Sample, len(names))
	for i := range samples {
		samples[i].Name = names[i]
	}
	metrics.Read(samples)
	for i := range samples {
		sum += int64(samples[i].Value.Uint64())
	}
	return sum
}

// littleHeap is what Go's heap may hold on to after a model has gone.
const littleHeap = 12 << 20

// giveBack returns to the system what Go has of memory and does not need, if
// that may be much: opening and closing models leaves garbage that would
// otherwise wait for the next collection, and the platform looks at resident
// memory.
func giveBack() {
	if heapBytes("/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes", "/memory/classes/heap/free:bytes") > littleHeap {
		debug.FreeOSMemory()
	}
}

// A learner corrects estimates by what earlier models have taken.
type learner struct {
	mu     sync.Mutex
	factor float64 // 0: nothing learned
}

// Only openings of this size teach anything: what else goes on in the process
// is small beside them.
const telling = 32 << 20

func (l *learner) apply(estimate int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.factor == 0 {
		return estimate
	}
	return int64(min(float64(estimate)*l.factor, math.MaxInt64/2))
}

// learn raises the factor at once and lowers it slowly, within bounds: to
// expect too little may cost the process, too much an eviction.
func (l *learner) learn(estimate, took int64) {
	if estimate < telling || took <= 0 {
		return
	}
	ratio := min(max(float64(took)/float64(estimate), 0.8), 3)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.factor == 0:
		l.factor = max(ratio, 1)
	case ratio > l.factor:
		l.factor = ratio
	default:
		l.factor += (ratio - l.factor) / 8
	}
}
