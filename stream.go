package clary

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"go.uber.org/zap"
)

// rowWise is what is needed to take a request through the model in parts.
type rowWise struct {
	cut     codec.Splitter
	join    codec.Joiner
	request codec.Request // what cut has to know
}

// inParts returns how a request for m is taken in parts; nil where its rows
// are not known to be independent, or a format is not one of records.
func (s *Server) inParts(m *live, req *handler.Request) *rowWise {
	if !s.cfg.Batch && !s.cfg.Placeholder || m.linked != nil || !s.independent(m) {
		return nil
	}
	c, params, err := codec.For(req.ContentType)
	cut, splits := c.(codec.Splitter)
	if err != nil || !splits {
		return nil
	}
	c, accepted, _, err := codec.Negotiate(req.Accept, m.accept, req.ContentType)
	join, joins := c.(codec.Joiner)
	if err != nil || !joins || !join.Joins(&codec.Reply{Params: accepted, Options: m.formats}) {
		return nil
	}
	return &rowWise{cut, join, codec.Request{Want: m.inputs, Params: params, Options: m.formats}}
}

// independent reports whether the rows of a request to m are.
func (s *Server) independent(m *live) bool {
	if h, ok := s.handler.(handler.RowWise); ok {
		return h.RowWise()
	}
	if !s.plain || len(m.sessions) != 1 || !m.sessions[0].Batches() {
		return false
	}
	for _, in := range m.inputs {
		// How wide a row is must not depend on the others.
		if in.Unranked || len(in.Shape) == 0 || slices.ContainsFunc(in.Shape[1:], func(d int) bool { return d < 0 }) {
			return false
		}
	}
	return true
}

// A stream is a request of batch transform whose rows are read, run and
// answered while its body is still arriving (contract §6.1). The client may
// read meanwhile or send everything before it reads: the body is read on in
// any case, and what the client does not take waits in a spool. What goes
// wrong after the reply has begun aborts the connection.
type stream struct {
	*rowWise
	server  *Server
	live    *live
	w       http.ResponseWriter
	control *http.ResponseController
	x       *exchange
	request handler.Request // what that of each part begins as
	parts   parts
	line    chan *part // in the order of the body, each being run; as many as run at the same time
	failed  atomic.Bool
	ended   atomic.Bool // the body has

	ctx    context.Context
	stop   context.CancelCauseFunc
	spool  *spool
	sender sync.WaitGroup
	bad    int // records with a placeholder
}

// A part is on its way through the model.
type part struct {
	data *[]byte
	at   int64         // where in the body it begins
	done chan struct{} // closed when it has been through; what follows is set then

	outcome
	scratch *scratch // that may hold the reply
	err     error
}

// stream answers a request in parts, all that it needs being in x.req. After
// an error the reply has begun if x.begun.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange, m *live, how *rowWise) error {
	t := &stream{rowWise: how, server: s, live: m, w: w, control: http.NewResponseController(w), x: x, request: x.req, spool: newSpool(s.cfg.SpoolBytes)}
	if err := t.control.EnableFullDuplex(); err != nil {
		return fmt.Errorf("the connection cannot be read and written at the same time: %w", err)
	}
	t.parts = parts{r: r, control: t.control, cut: how.cut, request: &how.request, limit: s.cfg.MaxBody}
	more := m.workers
	if !s.plain {
		more = 0 // a handler of the user's runs as many as there are places
	}
	held, err := s.hold.take(ctx, int64(more+2)*partSize)
	if err != nil {
		return err
	}
	defer s.hold.give(held)
	t.line = make(chan *part, more)
	t.ctx, t.stop = context.WithCancelCause(ctx)
	defer t.stop(nil)
	defer context.AfterFunc(t.ctx, t.interrupt)()

	collected := make(chan error, 1)
	go func() { collected <- t.collect() }()
	err = t.feed()
	close(t.line)
	if failed := <-collected; failed != nil {
		err = failed
	}
	if err != nil {
		t.abort(err)
	}
	t.spool.end(err)
	t.sender.Wait()
	if failed := t.spool.close(); err == nil {
		err = failed
	}
	x.in = int(t.parts.total)
	if t.bad > 0 {
		s.logBad(x, t.bad)
	}
	switch {
	case x.begun:
		return errors.Join(err, t.control.SetWriteDeadline(time.Time{}))
	case err == nil:
		return codec.ErrEmpty
	case ctx.Err() == nil:
		t.parts.discard()
	}
	return err
}

// logBad says how many records of a request were answered with a placeholder.
func (s *Server) logBad(x *exchange, records int) {
	s.log.Warn("records were answered with a placeholder", zap.String("request_id", x.req.ID), zap.Int("records", records))
}

// feed reads the body and sends its parts on their way.
func (t *stream) feed() error {
	for {
		buf := t.server.bodies.get()
		at := t.parts.total - int64(len(t.parts.rest))
		data, err := t.parts.next(*buf)
		if data != nil {
			*buf = data
		}
		if err != nil || data == nil || t.failed.Load() {
			t.server.bodies.give(buf)
			if err == nil {
				t.wait()
			}
			return err
		}
		p := &part{data: buf, at: at, done: make(chan struct{})}
		select {
		case t.line <- p:
			go t.run(p)
		case <-t.ctx.Done():
			t.server.bodies.give(buf)
			return context.Cause(t.ctx)
		}
	}
}

// run takes a part through the model.
func (t *stream) run(p *part) {
	defer close(p.done)
	s := t.server
	p.scratch = s.scratch()
	ctx := t.ctx
	if t.live.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.live.timeout, errDeadline)
		defer cancel()
	}
	call := &call{server: s, live: t.live, template: &t.request, scratch: p.scratch}
	p.outcome, p.err = call.do(ctx, *p.data)
	if p.err != nil && s.cfg.Placeholder && mendable(p.err) {
		p.outcome, p.err = t.mend(ctx, call, *p.data, len(t.parts.head), p.err)
	}
}

// collect takes the replies in the order of the parts to the spool. It takes
// all parts, and keeps the first error.
func (t *stream) collect() error {
	var failed error
	for p := range t.line {
		<-p.done
		if failed == nil {
			if failed = t.reply(p); failed != nil {
				t.abort(failed)
			}
		}
		t.server.bodies.give(p.data)
		t.server.giveScratch(p.scratch)
	}
	return failed
}

// reply puts the reply to a part behind those before it.
func (t *stream) reply(p *part) error {
	x := t.x
	x.timing.Decode += p.reply.Timing.Decode
	x.timing.Run += p.reply.Timing.Run
	x.timing.Encode += p.reply.Timing.Encode
	x.queue += p.queue
	t.bad += p.bad
	switch {
	case emptyIsFine(p.err, x.req.ContentType):
		return nil
	case p.err != nil && p.at > 0:
		return fmt.Errorf("after byte %d of the body: %w", p.at, p.err)
	case p.err != nil:
		return p.err
	case !x.begun:
		x.begun, x.req.Attributes, x.replyType[0] = true, p.attributes, p.reply.ContentType
		t.sender.Go(t.send)
	case p.reply.ContentType != x.replyType[0]:
		return fmt.Errorf("the handler answers a part of the request with %s after others with %s", p.reply.ContentType, x.replyType[0])
	}
	x.out += len(p.reply.Body)
	return t.spool.put(p.reply.Body)
}

// send writes to the client what is in the spool, until its end.
func (t *stream) send() {
	t.x.setHeaders(t.w.Header())
	for {
		b, err := t.spool.take()
		if b == nil || err != nil {
			return
		}
		if t.ended.Load() {
			t.hurry(int64(len(b)))
		}
		if _, err = t.w.Write(b); err == nil {
			err = t.control.Flush()
		}
		if err != nil {
			t.spool.end(errGone)
			t.stop(errGone)
			return
		}
	}
}

// wait follows the end of the body: the client has nothing left to do but to
// read, and has to.
func (t *stream) wait() {
	t.ended.Store(true)
	t.hurry(t.spool.wait())
}

// hurry gives the client time to take n bytes.
func (t *stream) hurry(n int64) {
	// It does not fail on a connection of net/http; if it did, the reply would
	// only be unbounded in time.
	_ = t.control.SetWriteDeadline(time.Now().Add(patience + time.Duration(n/slowest)*time.Second))
}

// abort ends what the request waits for, once the reply has begun; else its
// error can still be written, and the client sends on until then.
func (t *stream) abort(err error) {
	t.failed.Store(true)
	if t.x.begun {
		t.stop(err)
		_ = t.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// interrupt ends the wait for more of the body, and for the client to take
// what it has got, when the request is over.
func (t *stream) interrupt() {
	_ = t.control.SetReadDeadline(time.Unix(1, 0)) // as in hurry
	t.spool.end(context.Cause(t.ctx))
}
