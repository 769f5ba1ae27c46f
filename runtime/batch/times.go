package batch

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// A table is what runs have taken, by the number of rows: entry i is of those
// with up to 1<<i rows.
type table [24]entry

type entry struct {
	took  time.Duration // recent runs more; 0 is not known
	least time.Duration // of the first tries
	runs  int
}

// tries is how many runs of a size it takes to know it: the first ones pay for
// memory that later ones find.
const tries = 6

// learn takes a run into account.
func (t *table) learn(rows int, took time.Duration) {
	e := &t[size(rows)]
	took = max(took, 1) // a clock may stand still
	e.runs++
	if e.runs == 1 || e.runs <= tries && took < e.least {
		e.least = took
	}
	if e.runs <= tries {
		e.took = e.least
		return
	}
	e.took += (took - e.took) / 8
}

// doubt makes runs look a little shorter: where there are none, only runs can
// show that a slow spell is over.
func (e *entry) doubt() { e.took -= e.took / 16 }

// size is the entry for so many rows.
func size(rows int) int { return min(bits.Len(uint(rows-1)), len(table{})-1) }

// of is what a run of so many rows is expected to take: as the nearest size
// that is known, in proportion where that is larger. 0 is not known.
func (t *table) of(rows int) time.Duration {
	at := t.nearest(rows)
	if at < 0 {
		return 0
	}
	return t[at].took << max(size(rows)-at, 0) // no smaller batch is faster by the row
}

// nearest is the entry that tells most of a run of so many rows; -1 is none.
func (t *table) nearest(rows int) int {
	at := size(rows)
	for i := at; i >= 0; i-- {
		if t[i].took > 0 {
			return i
		}
	}
	for i := at + 1; i < len(t); i++ {
		if t[i].took > 0 {
			return i
		}
	}
	return -1
}

// short is a run that no caller minds waiting for, so that it is as large as
// may be: batches save more than the model's time.
const short = 2 * time.Millisecond

// worth is up to how many rows a batch should have: while it is expected to be
// short, and beyond that while twice as many rows take a tenth less each. A size
// that is not known yet is tried when the one below it is known.
func (t *table) worth(most int) int {
	if t.of(1) == 0 {
		return 1
	}
	for i := range size(most) {
		small, large := &t[i], &t[i+1]
		switch {
		case t.of(2<<i) < short:
		case small.runs < tries, large.runs >= tries && large.least > small.least*18/10:
			return 1 << i
		case large.runs < tries:
			return min(2<<i, most)
		}
	}
	return most
}

// crowd is how many calls wait for each permit where it does not matter to any
// of them in which order they are run, but only how many are in a second.
const crowd = 4

// spell is how long one permit may be for calls that are run one after the other.
const spell = 50 * time.Millisecond

// spree is how many calls like c the holder of a permit runs one after the other,
// whose callers are answered together. In a crowd of long runs that changes
// threads a fourth as often, and what answering and the next requests cost comes
// at once; no caller waits longer than in the line where it is anyway. Not where
// batches are worth it, where another model waits for the permit, or where
// somebody's time is limited.
func (s *Session) spree(c *call) int {
	others := func(o *Session) bool { return o != s }
	if len(s.waiting) < crowd*s.pool.total || slices.ContainsFunc(s.pool.turns, others) || !c.due.IsZero() || s.times.worth(s.options.Rows) > 1 {
		return 1
	}
	took := s.times.of(c.rows)
	if took == 0 {
		return 1
	}
	return min(crowd, int(spell/took))
}

// pairs reports whether two rows take hardly longer together than one after
// the other, as far as is known.
func (t *table) pairs() bool {
	return t[1].runs >= tries && t[1].least <= t[0].least*21/10
}

// due is when a call that comes now must have ended; zero is never.
func (s *Session) due(ctx context.Context) time.Time {
	at, ok := ctx.Deadline()
	if t := s.options.Target; t > 0 {
		if last := time.Now().Add(t); !ok || last.Before(at) {
			return last
		}
	}
	return at
}

// late refuses a call that is not expected to end in time.
func (s *Session) late(c *call) error {
	if c.due.IsZero() {
		return nil
	}
	if c.ctx.Err() != nil {
		return fmt.Errorf("batch: %w", context.Cause(c.ctx))
	}
	expect := s.times.of(c.rows)
	waits := s.rows > 0 || s.pool.free == 0
	if waits {
		// What waits before it, in batches as large as may be, on its share of
		// the permits; and what runs now, half of which is over.
		most := max(s.times.worth(s.options.Rows), 1)
		whole := (s.rows + c.rows + most - 1) / most
		each := s.times.of(min(s.rows+c.rows, most))
		expect = each*time.Duration(whole)/time.Duration(max(s.options.Runs, 1)) + each/2
		expect = max(expect, s.times.of(c.rows))
	}
	if left := time.Until(c.due); expect > left {
		if at := s.times.nearest(c.rows); !waits && at >= 0 {
			s.times[at].doubt()
		}
		return fmt.Errorf("batch: %w: it is expected to take %v, %v are left", ErrLate, expect.Round(time.Microsecond), left.Round(time.Microsecond))
	}
	return nil
}

// most is how many rows the batch that c leads may have: as many as make it
// faster, and no more than are expected to end in time where c itself is. In a
// crowd runs that are too long for a spree are of two rows, which gain nothing in
// the model, but change threads half as often.
func (s *Session) most(c *call) int {
	most := s.times.worth(s.options.Rows)
	if most == 1 && s.options.Rows > 1 && len(s.waiting) >= crowd*s.pool.total && s.times.pairs() {
		most = 2
	}
	if !c.due.IsZero() {
		if left := time.Until(c.due); s.times.of(c.rows) <= left {
			for most > c.rows && s.times.of(most) > left {
				most /= 2
			}
		}
	}
	return max(most, c.rows)
}

// gathers reports whether a caller that could run at once should let others
// catch up: those that are on their way here join it without any delay. Where
// nobody came the last times, only some of them do.
func (s *Session) gathers() bool {
	const patient, rarely = 8, 32
	if s.times.worth(s.options.Rows) < 2 {
		return false
	}
	s.lonely++
	return s.lonely <= patient || s.lonely%rarely == 0
}
