package clary

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

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

// A flow takes a body through a model in parts: its rows are read, run and
// given on, in their order, while it is still arriving.
type flow struct {
	*rowWise
	server  *Server
	live    *live
	x       *exchange       // what is counted
	request handler.Request // what that of each part begins as
	parts   parts
	to      taker
	line    chan *part // in the order of the body, each being run; as many as run at the same time
	failed  atomic.Bool

	ctx  context.Context
	stop context.CancelCauseFunc
	bad  int // records with a placeholder
}

// A taker takes the replies to the parts of a body, in their order.
type taker interface {
	put(reply []byte) error
	// ended says that the body has.
	ended()
	// interrupt is called when the flow's context has ended before the flow.
	interrupt(cause error)
	// end says that nothing more is put, with err that something is missing,
	// and returns when everything has been taken.
	end(err error) error
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

// flow returns what takes a body in parts, all that it needs being in x.req.
func (s *Server) flow(x *exchange, m *live, how *rowWise, from origin, to taker) *flow {
	return &flow{rowWise: how, server: s, live: m, x: x, request: x.req, to: to,
		parts: parts{from: from, cut: how.cut, request: &how.request, limit: s.cfg.MaxBody}}
}

// through takes the body through the model.
func (f *flow) through(ctx context.Context) error {
	s := f.server
	more := f.live.workers
	if !s.plain {
		more = 0 // a handler of the user's runs as many as there are places
	}
	held, err := s.hold.take(ctx, int64(more+2)*partSize)
	if err != nil {
		return err
	}
	defer s.hold.give(held)
	f.line = make(chan *part, more)
	f.ctx, f.stop = context.WithCancelCause(ctx)
	defer f.stop(nil)
	defer context.AfterFunc(f.ctx, func() { f.to.interrupt(context.Cause(f.ctx)) })()

	collected := make(chan error, 1)
	go func() { collected <- f.collect() }()
	err = f.feed()
	close(f.line)
	if failed := <-collected; failed != nil {
		err = failed
	}
	if err != nil {
		f.abort(err)
	}
	if failed := f.to.end(err); err == nil {
		err = failed
	}
	f.x.in = int(f.parts.total)
	if f.bad > 0 {
		s.logBad(f.x, f.bad)
	}
	return err
}

// logBad says how many records of a request were answered with a placeholder.
func (s *Server) logBad(x *exchange, records int) {
	s.log.Warn("records were answered with a placeholder", zap.String("request_id", x.req.ID), zap.Int("records", records))
}

// feed reads the body and sends its parts on their way.
func (f *flow) feed() error {
	for {
		buf := f.server.bodies.get()
		at := f.parts.total - int64(len(f.parts.rest))
		data, err := f.parts.next(*buf)
		if data != nil {
			*buf = data
		}
		if err != nil || data == nil || f.failed.Load() {
			f.server.bodies.give(buf)
			if err == nil {
				f.to.ended()
			}
			return err
		}
		p := &part{data: buf, at: at, done: make(chan struct{})}
		select {
		case f.line <- p:
			go f.run(p)
		case <-f.ctx.Done():
			f.server.bodies.give(buf)
			return context.Cause(f.ctx)
		}
	}
}

// run takes a part through the model.
func (f *flow) run(p *part) {
	defer close(p.done)
	s := f.server
	p.scratch = s.scratch()
	ctx := f.ctx
	if f.live.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.live.timeout, errDeadline)
		defer cancel()
	}
	call := &call{server: s, live: f.live, template: &f.request, scratch: p.scratch}
	p.outcome, p.err = call.do(ctx, *p.data)
	if p.err != nil && s.cfg.Placeholder && mendable(p.err) {
		p.outcome, p.err = f.mend(ctx, call, *p.data, len(f.parts.head), p.err)
	}
}

// collect gives the replies on in the order of the parts. It takes all parts,
// and keeps the first error.
func (f *flow) collect() error {
	var failed error
	for p := range f.line {
		<-p.done
		if failed == nil {
			if failed = f.reply(p); failed != nil {
				f.abort(failed)
			}
		}
		f.server.bodies.give(p.data)
		f.server.giveScratch(p.scratch)
	}
	return failed
}

// reply gives the reply to a part on, behind those before it.
func (f *flow) reply(p *part) error {
	x := f.x
	x.timing.Decode += p.reply.Timing.Decode
	x.timing.Run += p.reply.Timing.Run
	x.timing.Encode += p.reply.Timing.Encode
	x.queue += p.queue
	f.bad += p.bad
	switch {
	case emptyIsFine(p.err, x.req.ContentType):
		return nil
	case p.err != nil && p.at > 0:
		return fmt.Errorf("after byte %d of the body: %w", p.at, p.err)
	case p.err != nil:
		return p.err
	case !x.begun:
		x.begun, x.req.Attributes, x.replyType[0] = true, p.attributes, p.reply.ContentType
	case p.reply.ContentType != x.replyType[0]:
		return fmt.Errorf("the handler answers a part of it with %s after others with %s", p.reply.ContentType, x.replyType[0])
	}
	x.out += len(p.reply.Body)
	return f.to.put(p.reply.Body)
}

// abort ends what waits for this body, once the reply has begun; else its
// error can still be told, and whoever sends sends on until then.
func (f *flow) abort(err error) {
	f.failed.Store(true)
	if f.x.begun {
		f.stop(err)
	}
}
