package clary

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/codec"
)

// A stream is a request of batch transform whose rows are answered while its
// body is still arriving (contract §6.1): the taker of a flow. The client may
// read meanwhile or send everything before it reads: the body is read on in
// any case, and what the client does not take waits in a spool. What goes
// wrong after the reply has begun aborts the connection.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	x       *exchange
	spool   *spool
	sender  sync.WaitGroup
	sends   bool        // there is one
	all     atomic.Bool // of the body has come
	lost    func(cause error)
}

// stream answers a request in parts, all that it needs being in x.req. After
// an error the reply has begun if x.begun.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange, m *live, how *rowWise) error {
	if _, err := m.admission.acquire(ctx); err != nil {
		return err
	}
	defer m.admission.release()
	t := &stream{w: w, control: http.NewResponseController(w), x: x, spool: newSpool(s.cfg.SpoolBytes)}
	if err := t.control.EnableFullDuplex(); err != nil {
		return fmt.Errorf("the connection cannot be read and written at the same time: %w", err)
	}
	ctx, t.lost = context.WithCancelCause(ctx)
	defer t.lost(nil)
	f := s.flow(x, m, how, &sent{r, t.control}, t)
	err := f.through(ctx)
	switch {
	case x.begun:
		return errors.Join(err, t.control.SetWriteDeadline(time.Time{}))
	case err == nil:
		return codec.ErrEmpty
	case ctx.Err() == nil:
		f.parts.discard()
	}
	return err
}

// put adds a reply to what the client has yet to take.
func (t *stream) put(reply []byte) error {
	if !t.sends {
		t.sends = true
		t.sender.Go(t.send)
	}
	return t.spool.put(reply)
}

// send writes to the client what is in the spool, until its end.
func (t *stream) send() {
	t.x.setHeaders(t.w.Header())
	for {
		b, err := t.spool.take()
		if b == nil || err != nil {
			return
		}
		if t.all.Load() {
			t.hurry(int64(len(b)))
		}
		if _, err = t.w.Write(b); err == nil {
			err = t.control.Flush()
		}
		if err != nil {
			t.spool.end(errGone)
			t.lost(errGone)
			return
		}
	}
}

// ended says that the client has nothing left to do but to read, and has to.
func (t *stream) ended() {
	t.all.Store(true)
	t.hurry(t.spool.wait())
}

// hurry gives the client time to take n bytes.
func (t *stream) hurry(n int64) {
	// It does not fail on a connection of net/http; if it did, the reply would
	// only be unbounded in time.
	_ = t.control.SetWriteDeadline(time.Now().Add(patience + time.Duration(n/slowest)*time.Second))
}

// interrupt ends the wait for more of the body, and for the client to take
// what it has got.
func (t *stream) interrupt(cause error) {
	_ = t.control.SetReadDeadline(time.Unix(1, 0)) // as in hurry
	_ = t.control.SetWriteDeadline(time.Unix(1, 0))
	t.spool.end(cause)
}

// end waits until the client has everything.
func (t *stream) end(err error) error {
	t.spool.end(err)
	t.sender.Wait()
	return t.spool.close()
}
