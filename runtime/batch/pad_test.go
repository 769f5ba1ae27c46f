package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

// ragged answers tokens with themselves doubled, and each row with its sum;
// what is padded must be masked by zeros.
type ragged struct {
	model
	unnamed bool
	shapes  [][]int // of the first input, of each run
}

func (r *ragged) dims() []string {
	if r.unnamed {
		return []string{"", ""}
	}
	return []string{"batch", "tokens"}
}

func (r *ragged) Inputs() []runtime.Info {
	return []runtime.Info{{Name: "ids", DType: runtime.Int64, Shape: []int{-1, -1}, Dims: r.dims()}, {Name: "mask", DType: runtime.Int64, Shape: []int{-1, -1}, Dims: r.dims()}}
}

func (r *ragged) Outputs() []runtime.Info {
	return []runtime.Info{{Name: "twice", DType: runtime.Int64, Shape: []int{-1, -1, 2}, Dims: append(r.dims(), "")}, {Name: "sum", DType: runtime.Int64, Shape: []int{-1}, Dims: []string{"batch"}}}
}

func (r *ragged) Run(ctx context.Context, in, out []runtime.Tensor) ([]runtime.Tensor, error) {
	r.mu.Lock()
	r.shapes = append(r.shapes, slices.Clone(in[0].Shape))
	r.mu.Unlock()
	if !slices.Equal(in[0].Shape, in[1].Shape) {
		return nil, errors.New("shapes differ")
	}
	if r.hold != nil {
		<-r.hold
	}
	n, length := in[0].Shape[0], in[0].Shape[1]
	ids, mask := in[0].Data.([]int64), in[1].Data.([]int64)
	twice, sum := make([]int64, 2*len(ids)), make([]int64, n)
	for i := range ids {
		if mask[i] == 0 && ids[i] != 7 {
			return nil, fmt.Errorf("element %d is padded with %d", i, ids[i])
		}
		twice[2*i], twice[2*i+1] = ids[i], 2*ids[i]
		sum[i/length] += mask[i] * ids[i]
	}
	return []runtime.Tensor{{Name: "twice", Shape: []int{n, length, 2}, Data: twice}, {Name: "sum", Shape: []int{n}, Data: sum}}, nil
}

// tokens are n rows of so many tokens that count from v.
func tokens(v int64, n, length int) []runtime.Tensor {
	ids, mask := make([]int64, n*length), make([]int64, n*length)
	for i := range ids {
		ids[i], mask[i] = v+int64(i), 1
	}
	return []runtime.Tensor{{Name: "ids", Shape: []int{n, length}, Data: ids}, {Name: "mask", Shape: []int{n, length}, Data: mask}}
}

var padWithSeven = map[string]any{"ids": []int64{7}, "mask": []int64{0}}

// busy runs what ask does while the only permit is taken, so that its calls
// wait for each other.
func busy(t *testing.T, r *ragged, s *batch.Session, ask ...func()) {
	t.Helper()
	r.hold = make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { _, _ = s.Run(t.Context(), tokens(1, 1, 1), nil) })
	synctest.Wait()
	for _, f := range ask {
		group.Go(f)
	}
	synctest.Wait()
	close(r.hold)
	group.Wait()
}

func TestRaggedRowsArePaddedAndCutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ragged{}
		s := wrap(t, batch.NewPool(1), r, batch.Options{Rows: 64, Pad: padWithSeven})
		for range 2 {
			if _, err := s.Run(t.Context(), tokens(1, 1, 1), nil); err != nil {
				t.Fatal(err)
			}
		}
		var asks []func()
		for i := range 9 {
			asks = append(asks, func() {
				in := tokens(int64(100*i), i%3+1, i+1)
				got, err := s.Run(t.Context(), in, nil)
				want, _ := (&ragged{}).Run(t.Context(), in, nil)
				if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("call %d: %v (%v), want %v", i, got, err, want)
				}
			})
		}
		busy(t, r, s, asks...)
		if last := r.shapes[len(r.shapes)-1]; len(r.shapes) != 4 || last[0] != 18 || last[1] != 9 {
			t.Errorf("runs of %v, want the last one of 18 rows of 9", r.shapes)
		}
		if st := s.Stats(); st.Alone != 0 || st.Merged != 9 {
			t.Errorf("%+v", st)
		}
	})
}

// What would be an error alone is one beside others, and none for them.
func TestACallThatDisagreesWithItselfIsNotPadded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ragged{}
		s := wrap(t, batch.NewPool(1), r, batch.Options{Rows: 64, Pad: padWithSeven})
		odd := tokens(1, 1, 3)
		odd[1] = tokens(1, 1, 5)[1]
		good := func() {
			if _, err := s.Run(t.Context(), tokens(1, 1, 5), nil); err != nil {
				t.Error(err)
			}
		}
		busy(t, r, s, good, good, func() {
			if _, err := s.Run(t.Context(), odd, nil); err == nil {
				t.Error("three tokens with a mask of five were run")
			}
		})
		if st := s.Stats(); st.Alone != 0 || st.Merged != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWithoutPaddingRaggedRowsAreRunsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ragged{}
		s := wrap(t, batch.NewPool(1), r, batch.Options{Rows: 64})
		var asks []func()
		for i := range 4 {
			asks = append(asks, func() {
				if _, err := s.Run(t.Context(), tokens(1, 1, i+1), nil); err != nil {
					t.Error(err)
				}
			})
		}
		busy(t, r, s, asks...)
		if len(r.shapes) != 5 {
			t.Errorf("runs of %v", r.shapes)
		}
	})
}

func TestPaddingThatCannotBeIsAnError(t *testing.T) {
	for want, c := range map[string]struct {
		unnamed bool
		pad     map[string]any
	}{
		"no input \"id\"": {false, map[string]any{"id": []int64{0}}},
		"has no name":     {true, padWithSeven},
		"padded with":     {false, map[string]any{"ids": []float32{0}}},
	} {
		if _, err := batch.NewPool(1).Wrap(&ragged{unnamed: c.unnamed}, batch.Options{Rows: 8, Pad: c.pad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Where runs of some numbers of rows are the best, a batch has one of them, a
// call by itself too; one row is run as it is, and so are more than there is a
// number for.
func TestBatchesAreFilledUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s := wrap(t, batch.NewPool(1), m, batch.Options{Rows: 64, Fill: []int{4, 8}})
		for _, n := range []int{1, 2, 4, 5, 9} {
			out, err := s.Run(t.Context(), rows(3, n), nil)
			if err != nil {
				t.Fatal(err)
			}
			answered(t, out, 3, n)
		}
		if want := []int{1, 4, 4, 8, 9}; !slices.Equal(m.sizes, want) {
			t.Errorf("runs of %v rows, want %v", m.sizes, want)
		}
		if st := s.Stats(); st.Rows != 21 || st.Merged != 0 {
			t.Errorf("%+v", st)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s, first := occupied(t, m, batch.Options{Rows: 64, Fill: []int{4, 8}})
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				out, err := s.Run(t.Context(), rows(float32(10*i), 2), nil)
				if err != nil {
					t.Error(err)
					return
				}
				answered(t, out, float32(10*i), 2)
			})
		}
		synctest.Wait()
		close(m.hold)
		group.Wait()
		<-first
		if want := []int{1, 8}; !slices.Equal(m.sizes, want) {
			t.Errorf("runs of %v rows, want %v", m.sizes, want)
		}
	})
}
