package batch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

// A model doubles its rows of two floats; a negative first element fails the
// whole run. What it does can be watched and held up.
type model struct {
	delay time.Duration
	hold  chan struct{} // nil, or what each run receives from
	mixes bool          // each row's answer depends on the first's
	sums  bool          // the answer is one number

	closed atomic.Bool

	mu      sync.Mutex // guards what follows
	sizes   []int      // rows of each run
	now     int        // runs going on
	most    int
	cancels int
}

var errNegative = errors.New("negative")

// panics is an element that the model panics on.
const panics = -1e6

func (m *model) Inputs() []runtime.Info {
	return []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 2}}}
}

func (m *model) Outputs() []runtime.Info {
	return []runtime.Info{{Name: "y", DType: runtime.Float32, Shape: []int{-1, 2}}, {Name: "text", DType: runtime.String, Shape: []int{-1}}}
}

func (m *model) Close() error { m.closed.Store(true); return nil }

func (m *model) Run(ctx context.Context, in, _ []runtime.Tensor) ([]runtime.Tensor, error) {
	x := in[0].Data.([]float32)
	m.mu.Lock()
	m.sizes = append(m.sizes, len(x)/2)
	m.now++
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.now--; m.mu.Unlock() }()
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			m.mu.Lock()
			m.cancels++
			m.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
	if m.delay > 0 {
		time.Sleep(m.delay)
	}
	if m.sums {
		return []runtime.Tensor{{Name: "y", Shape: []int{1}, Data: x[:1]}}, nil
	}
	y, text := make([]float32, len(x)), make([]string, len(x)/2)
	for i, v := range x {
		if v == panics {
			panic("as it was asked to")
		}
		if v < 0 {
			return nil, errNegative
		}
		if y[i] = 2 * v; m.mixes {
			y[i] += x[0]
		}
		text[i/2] = fmt.Sprint(y[i])
	}
	return []runtime.Tensor{{Name: "y", Shape: []int{len(x) / 2, 2}, Data: y}, {Name: "text", Shape: []int{len(x) / 2}, Data: text}}, nil
}

// rows is an input of n rows that begin at v.
func rows(v float32, n int) []runtime.Tensor {
	data := make([]float32, 2*n)
	for i := range data {
		data[i] = v + float32(i)
	}
	return []runtime.Tensor{{Name: "x", Shape: []int{n, 2}, Data: data}}
}

// answered checks the answer to rows(v, n).
func answered(t *testing.T, out []runtime.Tensor, v float32, n int) {
	t.Helper()
	if len(out) != 2 || len(out[0].Shape) != 2 || out[0].Shape[0] != n || out[1].Shape[0] != n {
		t.Errorf("%v, %d rows: got %v", v, n, out)
		return
	}
	for i, got := range out[0].Data.([]float32) {
		if want := 2 * (v + float32(i)); got != want {
			t.Errorf("%v, %d rows: element %d is %v, want %v", v, n, i, got, want)
		}
	}
	for i, got := range out[1].Data.([]string) {
		if want := fmt.Sprint(2 * (v + float32(2*i+1))); got != want {
			t.Errorf("%v, %d rows: text %d is %q, want %q", v, n, i, got, want)
		}
	}
}

// occupied returns a session of one permit whose model is in a run that ends
// when something is received from hold; another 64 runs know what it takes.
func occupied(t *testing.T, m *model, o batch.Options) (s *batch.Session, first chan error) {
	s = wrap(t, batch.NewPool(1), m, o)
	for range 8 {
		if _, err := s.Run(t.Context(), rows(1, 1), nil); err != nil {
			t.Fatal(err)
		}
	}
	m.hold, m.sizes = make(chan struct{}), nil
	first = make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), rows(0, 1), nil)
		first <- err
	}()
	synctest.Wait()
	return s, first
}

func wrap(t *testing.T, p *batch.Pool, s runtime.Session, o batch.Options) *batch.Session {
	t.Helper()
	b, err := p.Wrap(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
