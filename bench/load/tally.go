package load

import (
	"slices"
	"strconv"
)

// A tally counts answers. They are sorted by what they are in the end: a
// list for each of a thousand kinds would be cold whenever one comes.
type tally struct {
	answered int
	good     int
	timed    []timed
}

// A timed answer is how long one took.
type timed struct {
	took   int64 // nanoseconds
	kind   int32
	status int32
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
	t.timed = append(t.timed, timed{took: took, kind: int32(kind), status: int32(status)})
}

// result sums up the answers to so many kinds of requests.
func (t *tally) result(seconds float64, kinds int) Result {
	r := Result{Seconds: seconds, Requests: t.answered, PerSecond: float64(t.good) / seconds, ByStatus: map[string]Latency{}}
	var all samples
	byKind, byStatus := make([]samples, kinds), map[int32]samples{}
	for _, a := range t.timed {
		byStatus[a.status] = append(byStatus[a.status], a.took)
		if a.status/100 == 2 {
			byKind[a.kind] = append(byKind[a.kind], a.took)
			all = append(all, a.took)
		}
	}
	for status, s := range byStatus {
		r.ByStatus[strconv.Itoa(int(status))] = s.summary()
	}
	for _, s := range byKind {
		r.ByRequest = append(r.ByRequest, s.summary())
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
