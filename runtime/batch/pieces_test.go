package batch_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

// A large call is run in pieces that are as large as a run is short, and its
// answer is that of one run.
func TestALargeCallIsRunInPieces(t *testing.T) {
	for delay, most := range map[time.Duration]int{time.Second: 8, 100 * time.Microsecond: 1 << 16} {
		synctest.Test(t, func(t *testing.T) {
			m := &model{delay: delay}
			s := wrap(t, batch.NewPool(1), m, batch.Options{Rows: 8})
			in := rows(1, 1003)
			want, err := (&model{}).Run(t.Context(), in, nil)
			if err != nil {
				t.Fatal(err)
			}
			var out []runtime.Tensor
			for range 12 { // the memory of one answer is the next one's
				if out, err = s.Run(t.Context(), in, out); err != nil {
					t.Fatal(err)
				}
				if fmt.Sprint(out) != fmt.Sprint(want) {
					t.Fatalf("in pieces of %v: %.300v, want %.300v", m.sizes, out, want)
				}
			}
			if largest := slices.Max(m.sizes); largest > most || most > 8 && m.sizes[len(m.sizes)-1] != 1003 {
				t.Errorf("runs of %v each have %v rows, want up to %d", delay, m.sizes, most)
			}
			if st := s.Stats(); st.Rows != 12*1003 || int(st.Runs) != len(m.sizes) {
				t.Errorf("%+v after %d runs", st, len(m.sizes))
			}
		})
	}
}

// Pieces that were slow for a while are not small for ever.
func TestPiecesGrowAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		s := wrap(t, batch.NewPool(1), m, batch.Options{Rows: 8})
		for _, spell := range []struct {
			delay time.Duration
			calls int
			want  int // rows of the last piece but one, at least
		}{{100 * time.Microsecond, 20, 1003}, {time.Second, 60, 8}, {100 * time.Microsecond, 200, 1003}} {
			m.delay = spell.delay
			for range spell.calls {
				if _, err := s.Run(t.Context(), rows(1, 1003), nil); err != nil {
					t.Fatal(err)
				}
			}
			if last := m.sizes[max(0, len(m.sizes)-2)]; last < spell.want || spell.want == 8 && last > 16 {
				t.Errorf("after %d calls whose runs took %v, pieces of %d rows, want %d", spell.calls, spell.delay, last, spell.want)
			}
		}
	})
}

// What is wrong in one piece is the call's error, and a call that is cancelled
// runs no further piece.
func TestALargeCallEndsWithItsFirstPieceThatFails(t *testing.T) {
	m := &model{}
	s := wrap(t, batch.NewPool(1), m, batch.Options{Rows: 8})
	in := rows(1, 100)
	in[0].Data.([]float32)[60] = -1
	if _, err := s.Run(t.Context(), in, nil); err != errNegative {
		t.Errorf("%v, want %v", err, errNegative)
	}
	ctx, cancel := context.WithCancel(t.Context())
	held := &model{hold: make(chan struct{})}
	s = wrap(t, batch.NewPool(1), held, batch.Options{Rows: 8})
	go func() { held.hold <- struct{}{}; cancel() }()
	if _, err := s.Run(ctx, rows(1, 100), nil); err == nil || len(held.sizes) > 2 {
		t.Errorf("%v after runs of %v", err, held.sizes)
	}
}

// An output that has not one row for each of the input's is that of one run.
func TestOutputsThatAreNotRowsAreOfOneRun(t *testing.T) {
	m := &model{sums: true}
	s := wrap(t, batch.NewPool(1), m, batch.Options{Rows: 8})
	out, err := s.Run(t.Context(), rows(1, 100), nil)
	if err != nil || len(out[0].Shape) != 1 || m.sizes[len(m.sizes)-1] != 100 {
		t.Errorf("%v (%v), runs of %v", out, err, m.sizes)
	}
}
