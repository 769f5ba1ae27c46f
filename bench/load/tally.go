package load

import (
	"slices"
	"strconv"
)

// A tally counts answers.
type tally struct {
	answered int
	good     int
	statuses map[int]*samples
	kinds    []samples // of 2xx, by the request's kind
}

func newTally(kinds int) tally {
	return tally{statuses: map[int]*samples{}, kinds: make([]samples, kinds)}
}

// answer counts one that came in the time that is measured.
func (t *tally) answer(status int) {
	t.answered++
	if status/100 == 2 {
		t.good++
	}
}

// latency counts how long one took, in nanoseconds.
func (t *tally) latency(kind, status int, took int64) {
	s := t.statuses[status]
	if s == nil {
		s = new(samples)
		t.statuses[status] = s
	}
	*s = append(*s, took)
	if status/100 == 2 {
		t.kinds[kind] = append(t.kinds[kind], took)
	}
}

func (t *tally) result(seconds float64) Result {
	r := Result{Seconds: seconds, Requests: t.answered, PerSecond: float64(t.good) / seconds, ByStatus: map[string]Latency{}}
	for status, s := range t.statuses {
		r.ByStatus[strconv.Itoa(status)] = s.summary()
	}
	var all samples
	for _, s := range t.kinds {
		r.ByRequest = append(r.ByRequest, s.summary())
		all = append(all, s...)
	}
	r.Latency = all.summary()
	return r
}

// samples are latencies in nanoseconds.
type samples []int64

func (s samples) summary() Latency {
	n := len(s)
	if n == 0 {
		return Latency{}
	}
	slices.Sort(s)
	sum := 0.0
	for _, v := range s {
		sum += float64(v)
	}
	at := func(q float64) float64 { return float64(s[min(int(q*float64(n)), n-1)]) / 1e9 }
	return Latency{Count: n, P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: float64(s[n-1]) / 1e9, Mean: sum / float64(n) / 1e9}
}
