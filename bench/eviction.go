package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/claryhq/clary/mme"
)

// A toy is a model of the trace: it takes memory, and time to open, of which
// only the account is kept.
type toy struct{ bytes, reload int64 }

func (toy) Close() error { return nil }

// A tracer is the source of the trace's models.
type tracer struct {
	toys     []toy
	reloaded time.Duration
	opens    int
}

func (t *tracer) Find(context.Context, string) (mme.Spec, error) { return mme.Spec{Version: "1"}, nil }

func (t *tracer) Prepare(_ context.Context, name string, _ mme.Spec, _ func(int64, int64)) (mme.Prepared[toy], error) {
	var i int
	if _, err := fmt.Sscanf(name, "m%d", &i); err != nil {
		return nil, err
	}
	return opening{t, t.toys[i]}, nil
}

type opening struct {
	tracer *tracer
	toy    toy
}

func (o opening) Estimate() mme.Bytes { return mme.Bytes{"host": o.toy.bytes} }
func (o opening) Discard()            {}
func (o opening) Open(context.Context) (toy, mme.Bytes, error) {
	o.tracer.reloaded += time.Duration(o.toy.reload)
	o.tracer.opens++
	time.Sleep(time.Duration(o.toy.reload / 1000)) // so that the cache sees which take long
	return o.toy, mme.Bytes{"host": o.toy.bytes}, nil
}

// eviction sends a trace of requests to the cache with each policy: 300 models
// of 1 to 300 MB, whose popularity follows Zipf and drifts.
func eviction(b *bench) error {
	const models, requests = 300, 8_000
	r := rand.New(rand.NewPCG(1, 2))
	toys := make([]toy, models)
	var total int64
	for i := range toys {
		size := int64(math.Exp(r.Float64()*math.Log(300))) << 20
		toys[i] = toy{size, size/100*int64(time.Second)/(1<<20) + int64(5*time.Millisecond)} // 100 MB take a second
		total += size
	}
	trace := make([]int, requests)
	zipf := rand.NewZipf(r, 1.1, 2, models-1)
	order := r.Perm(models)
	for i := range trace {
		if i%500 == 0 { // another model becomes popular
			a, z := r.IntN(20), r.IntN(models)
			order[a], order[z] = order[z], order[a]
		}
		trace[i] = order[zipf.Uint64()]
	}
	run := func(p mme.Policy) (*tracer, error) {
		t := &tracer{toys: toys}
		c := mme.New(t, mme.Options{Budget: mme.Bytes{"host": total / 5}, Policy: p, Recheck: time.Hour})
		defer c.Close()
		for _, i := range trace {
			lease, err := c.Acquire(context.Background(), fmt.Sprintf("m%d", i))
			if err != nil {
				return nil, err
			}
			lease.Release()
		}
		return t, nil
	}
	lru, err := run(&mme.LRU{})
	if err != nil {
		return err
	}
	gdsf, err := run(&mme.GDSF{})
	if err != nil {
		return err
	}
	b.report(row{What: "8,000 requests to 300 models, memory for a fifth: seconds of opening, gdsf", Value: fmt.Sprintf("%.0f s, %d openings", gdsf.reloaded.Seconds(), gdsf.opens),
		Against: fmt.Sprintf("%.0f s, %d openings: lru", lru.reloaded.Seconds(), lru.opens), Ratio: gdsf.reloaded.Seconds() / lru.reloaded.Seconds(), Limit: 1})
	return nil
}
