package mme

import "time"

// A Policy says which of the models that nobody uses goes first. The cache
// calls it under its lock.
type Policy interface {
	// Used returns the priority of a model that was just used; the lowest
	// goes first.
	Used(u Use) float64
	// Evicted tells that the model of the lowest priority went.
	Evicted(priority float64)
}

// A Use is what is known of a model when it is used.
type Use struct {
	Count  int64         // uses since it was opened
	Bytes  int64         // what it takes, in all pools
	Reload time.Duration // what opening it took
}

// LRU evicts the least recently used.
type LRU struct{ clock float64 }

// Used counts uses.
func (p *LRU) Used(Use) float64 {
	p.clock++
	return p.clock
}

// Evicted does nothing.
func (p *LRU) Evicted(float64) {}

// GDSF weighs what reloading costs, and how often a model is used, against its
// size: Greedy-Dual-Size-Frequency (Cherkasova, 1998). What is evicted lifts
// the floor under all that are used later, so that old frequencies fade.
type GDSF struct{ floor float64 }

// Used returns the floor plus uses times seconds to reload for each MiB.
func (p *GDSF) Used(u Use) float64 {
	return p.floor + float64(u.Count)*u.Reload.Seconds()/(float64(max(u.Bytes, 1))/(1<<20))
}

// Evicted lifts the floor.
func (p *GDSF) Evicted(priority float64) { p.floor = max(p.floor, priority) }
