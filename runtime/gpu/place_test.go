package gpu

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/runtime"
)

func TestPlace(t *testing.T) {
	const gib = 1 << 30
	rooms := []Room{
		{Index: 0, Total: 16 * gib, Free: 6 * gib},
		{Index: 1, Total: 16 * gib, Free: 15 * gib, Kept: 7 * gib},
		{Index: 2, Total: 8 * gib, Free: 8 * gib, Kept: 1 * gib},
		{Index: 3, Total: 16 * gib, Free: 8 * gib},
	}
	for _, test := range []struct {
		want  Want
		index int
		limit int64
		fails string
	}{
		{Want{}, 1, 0, ""}, // 8 GiB are neither used nor promised; 3 has as much and comes later
		{Want{Estimate: gib}, 1, 0, ""},
		{Want{Among: []int{0, 2}}, 2, 0, ""},
		{Want{Among: []int{0}, Fraction: 0.25}, 0, 4 * gib, ""},
		{Want{Fraction: 0.5}, 1, 8 * gib, ""},
		{Want{Fraction: 0.6}, 1, 0, "cuda:1, which has the most room, has 8192 MiB of 16384 MiB"},
		{Want{Bytes: 2 * gib, Fraction: 0.9}, 1, 2 * gib, ""},
		{Want{Fraction: 1e-12, Estimate: gib}, 1, 0, "its part of cuda:1 is 0 MiB"}, // not no part
		{Want{Bytes: gib, Estimate: 2 * gib}, 1, 0, "takes about 2048 MiB, and its part of cuda:1 is 1024 MiB"},
		{Want{Estimate: 9 * gib}, 1, 0, "needs 9216 MiB"},
		{Want{Among: []int{7}}, 0, 0, "no GPU among [7]; there are 4"},
	} {
		d, err := Place(rooms, test.want)
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%+v: %v, want %s", test.want, err, test.fails)
			}
			if memory := !strings.Contains(test.fails, "among"); errors.Is(err, runtime.ErrMemory) != memory {
				t.Errorf("%+v: %v is the wrong kind of error", test.want, err)
			}
			continue
		}
		if want := (runtime.Device{CUDA: true, Index: test.index, Limit: test.limit}); err != nil || d != want {
			t.Errorf("%+v: %+v, %v, want %+v", test.want, d, err, want)
		}
	}
}

// TestSpread: models of one size go to the GPUs by turns, until none is left.
func TestSpread(t *testing.T) {
	rooms := []Room{{Index: 0, Total: 100, Free: 100}, {Index: 1, Total: 100, Free: 90}}
	var order []int
	for {
		d, err := Place(rooms, Want{Fraction: 0.3})
		if err != nil {
			break
		}
		order = append(order, d.Index)
		rooms[d.Index].Kept += d.Limit
	}
	if want := []int{0, 1, 0, 1, 0, 1}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}
