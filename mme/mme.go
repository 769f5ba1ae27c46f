// Package mme keeps many models within one memory budget: registered by name,
// resident while there is room, leased to requests.
//
// A registration is what a client knows: a name and where its model is. A
// residency is one opening and the life that follows. A lease points to a
// residency, so nothing that a request uses can change under it; evicting a
// residency never makes a registered name unknown: the next request opens it
// again.
//
// The package knows neither ONNX nor files: a [Source] finds, prepares and
// opens. Waiting is for the caller's context, opening is not: whoever leaves
// early does not take the model from the others.
package mme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// What the cache's errors mean, for errors.Is.
var (
	ErrUnknown = errors.New("no such model")
	ErrLoaded  = errors.New("the model is loaded already")
	ErrMemory  = errors.New("no memory for the model")
	ErrClosed  = errors.New("the cache is closed")
	// ErrRoom is wrapped by Open's error where there was too little room for a
	// model and its next Estimate says how much more it wants: it is opened again,
	// and is ErrMemory where that cannot be had.
	ErrRoom = fmt.Errorf("%w in the room that it was expected to take", ErrMemory)
	// ErrPassing is wrapped by a Source's errors that say nothing of the model
	// itself, such as a store that does not answer: they are not remembered.
	ErrPassing = errors.New("try again")
)

// Bytes are amounts of memory by pool: "host", "cuda:0".
type Bytes map[string]int64

// A Spec says where a model is. It is the Source's own business but for
// Version: what has another version is another model.
type Spec struct {
	URL     string
	Version string
}

// A Source is where models come from. Its methods may be called concurrently;
// the cache holds no lock over them.
type Source[M io.Closer] interface {
	// Find looks for a model that nobody registered; ErrUnknown if there is
	// none.
	Find(ctx context.Context, name string) (Spec, error)
	// Prepare makes a model ready to be opened: fetched, unpacked. Several
	// run at a time, beside an opening. progress may be called with the
	// bytes that came, of how many.
	Prepare(ctx context.Context, name string, s Spec, progress func(done, total int64)) (Prepared[M], error)
}

// A Prepared model is opened or discarded, once.
type Prepared[M io.Closer] interface {
	// Estimate is what opening takes at its peak. It is asked just before
	// Open, by which time earlier openings have ended.
	Estimate() Bytes
	// Open opens the model and tells what it takes from now on. One runs at
	// a time. Whether it succeeds or fails, what was prepared is its own.
	Open(ctx context.Context) (M, Bytes, error)
	// Discard gives up what was prepared.
	Discard()
}

// Options say how a Cache behaves. The zero value has no bound and forgets
// nothing.
type Options struct {
	Budget Bytes // a pool that neither it nor Room knows has no bound
	// Room asks how much of a pool is free at this moment, and how much of it
	// models may have in all, for pools whose bound is what others leave, such
	// as a GPU's; nil: there are none. It is called under no lock.
	Room   func(pool string) (free, all int64, bound bool)
	Policy Policy // who is evicted; nil: the least recently used
	// Patience is how long an opening waits for models in use to become idle
	// when it does not fit otherwise; then it is ErrMemory.
	Patience time.Duration
	// Idle evicts models that nobody has used for so long; 0: never.
	Idle time.Duration
	// Recheck is how old the knowledge of a found model's version may be
	// before the Source is asked again, beside the requests.
	Recheck time.Duration
	// Pinned reports whether a model is never evicted; nil: none is.
	Pinned func(name string) bool
	// Prepares is how many models are prepared at the same time; 0: 4.
	Prepares int
}

// A State is how far a model is.
type State string

// The states of a model.
const (
	Fetching State = "fetching" // being prepared
	Loading  State = "loading"  // waiting for its turn and for memory, or being opened
	Ready    State = "ready"
	Evicted  State = "evicted" // registered; the next request opens it again
	Failed   State = "failed"
)

// Info describes a model for whoever asks.
type Info struct {
	Name     string
	URL      string
	Version  string
	State    State
	Reason   string        // of Failed
	Done     int64         // bytes fetched, of Total
	Total    int64         // 0 where nobody knows
	Estimate Bytes         // the peak that was expected of its last opening
	Bytes    Bytes         // what it takes now; nil when it is not resident
	Leases   int           // requests that use it
	Loaded   time.Time     // when it was opened last
	Used     time.Time     // when it was leased last
	Took     time.Duration // preparing, waiting and opening
	Found    bool          // by the Source, not registered
	Retry    time.Time     // when a Failed one is tried again
}

// Stats count what has happened since the cache was made.
type Stats struct {
	Loads, Failures   int64 // openings that succeeded, and that did not
	Unloads           int64
	Hits, Misses      int64 // leases of models that were ready, and that had to be opened or waited for
	EvictedForMemory  int64
	EvictedIdle       int64
	EvictedChanged    int64
	NoMemory          int64         // ErrMemory
	LoadTime          time.Duration // of all Loads
	WaitTime          time.Duration // of all Misses
	Registered, Ready int           // now
	Used              Bytes         // now
	Budget            Bytes
}
