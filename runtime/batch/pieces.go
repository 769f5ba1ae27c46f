package batch

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/claryhq/clary/runtime"
)

// A call of more rows than a batch may have is run in pieces. What lies between
// a model's nodes grows with the rows of a run, beyond the processor's caches
// and without bound, and nothing is gained by more rows than keep a run busy
// for this long.
const (
	pieceTime = time.Millisecond
	pieceRows = 1 << 16 // at most
)

// piece is how many rows of a large call are run at a time: least at least,
// and as many as are expected to take pieceTime. More are tried again after a
// while: they may have been slow once only.
func (t *table) piece(least int) int {
	rows := least
	for rows < pieceRows {
		if took := t.of(2 * rows); took == 0 || took > pieceTime {
			t[size(2*rows)].doubt()
			break
		}
		rows *= 2
	}
	return rows
}

// run runs one call on session, whose runs take so many permits of the pool, in
// pieces where it is large.
func (s *Session) run(session runtime.Session, c *call, permits int) ([]runtime.Tensor, error) {
	if c.rows > max(1, s.options.Rows) {
		if out, err := s.pieces(session, c, permits); out != nil || err != nil {
			return out, err
		}
	}
	return s.once(session, c.ctx, c.rows, c.in, c.out, permits)
}

// pieces runs a call in pieces; no outputs and no error are returned where it
// has to be run as a whole.
func (s *Session) pieces(session runtime.Session, c *call, permits int) ([]runtime.Tensor, error) {
	in, at := make([]runtime.Tensor, len(c.in)), 0
	var out, views []runtime.Tensor // of the call, of the piece
	for at < c.rows {
		s.pool.mu.Lock()
		n := s.times.piece(s.options.Rows * permits)
		s.pool.mu.Unlock()
		if n = min(n, c.rows-at); n == c.rows {
			return nil, nil
		}
		for i := range c.in {
			in[i] = view(in[i], &c.in[i], at, n)
		}
		for i := range out {
			views[i] = view(views[i], &out[i], at, n)
		}
		got, err := s.once(session, c.ctx, n, in, slices.Clone(views), permits)
		if err != nil {
			return nil, err
		}
		if at == 0 {
			out = whole(c.out, got, n, c.rows)
			views = make([]runtime.Tensor, len(out))
		}
		if out == nil || !put(out, got, at, n) {
			return nil, nil
		}
		at += n
	}
	return out, nil
}

// once runs the model once.
func (s *Session) once(session runtime.Session, ctx context.Context, rows int, in, out []runtime.Tensor, permits int) ([]runtime.Tensor, error) {
	began := time.Now()
	out, err := try(ctx, session, in, out)
	s.ran(rows, time.Since(began), err == nil && permits == 1)
	return out, err
}

// try runs a session whose panic is an error: the permit is given back, and
// who waits goes on.
func try(ctx context.Context, session runtime.Session, in, out []runtime.Tensor) (_ []runtime.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("batch: panic in the model: %v\n%s", p, debug.Stack())
		}
	}()
	return session.Run(ctx, in, out)
}

// view is n rows of t from row at on, in t's memory; dst's shape is used.
func view(dst runtime.Tensor, t *runtime.Tensor, at, n int) runtime.Tensor {
	each := runtime.Len(t.Data) / t.Shape[0]
	dst.Name, dst.Shape = t.Name, append(append(dst.Shape[:0], n), t.Shape[1:]...)
	if text, ok := t.Data.([]string); ok {
		dst.Data = text[at*each : (at+n)*each]
		return dst
	}
	b := runtime.Bytes(t.Data)
	size := len(b) / t.Shape[0]
	dst.Data = runtime.View(t.DType(), b[at*size:(at+n)*size])
	return dst
}

// whole makes the outputs of a call of so many rows, of which n gave first, in
// out's memory where it fits; nil where they are not made of rows.
func whole(out, first []runtime.Tensor, n, rows int) []runtime.Tensor {
	all := make([]runtime.Tensor, len(first))
	copy(all, out)
	for i := range first {
		t := &first[i]
		if t.Kind() != runtime.KindTensor || len(t.Shape) == 0 || t.Shape[0] != n {
			return nil
		}
		all[i].Name = t.Name
		all[i].Shape = append(append(all[i].Shape[:0], rows), t.Shape[1:]...)
		all[i].Data = room(all[i].Data, t.DType(), runtime.Len(t.Data)/n*rows)
	}
	return all
}

// put lays a piece's outputs into the call's from row at on, where the model
// may have written them itself. It reports whether their rows are alike.
func put(out, got []runtime.Tensor, at, n int) bool {
	if len(got) != len(out) {
		return false
	}
	for i := range out {
		o, g := &out[i], &got[i]
		if g.DType() != o.DType() || len(g.Shape) == 0 || g.Shape[0] != n || !slices.Equal(g.Shape[1:], o.Shape[1:]) {
			return false
		}
		move(o.Data, at*(runtime.Len(o.Data)/o.Shape[0]), g.Data, 0, runtime.Len(g.Data))
	}
	return true
}
