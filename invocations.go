package clary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// An exchange is one invocation on its way through the server.
type exchange struct {
	start  time.Time
	req    handler.Request
	live   *live         // the model; nil when there was none
	read   time.Duration // spent on the body
	queue  time.Duration // spent waiting for a worker
	timing pipeline.Timing
	in     int           // bytes of the body
	out    int           // bytes of the reply
	took   time.Duration // in all
	status int
	begun  bool  // a stream's reply has been begun
	named  bool  // the client gave the id
	err    error // what the line says went wrong

	waiting waiting
	scratch *scratch // nil until the body is there
	id      [32]byte // the text of an id that was made here
	// Values of the reply's headers, each of which is a slice of one.
	replyID, replyAttributes, replyType [1]string
}

// A scratch is memory that one request after another uses.
type scratch struct {
	stages handler.Scratch
}

// A finder says which model a request is for. The model stays open until
// release is called; a finder that fails returns nothing to release.
type finder func(ctx context.Context, req *handler.Request) (m *live, release func(), err error)

// invocations answers POST /invocations.
func (s *Server) invocations(w http.ResponseWriter, r *http.Request) {
	if s.many != nil {
		s.serve(w, r, s.many.target(r))
		return
	}
	if s.conductor != nil {
		s.conductor.invocations(w, r)
		return
	}
	s.serve(w, r, s.theModel)
}

// theModel is the finder of a server with one model, which closes it only when
// nobody is inside any more.
func (s *Server) theModel(context.Context, *handler.Request) (*live, func(), error) {
	m := s.model.Load()
	if m == nil {
		return nil, nil, errStarting
	}
	return m, func() {}, nil
}

// serve takes one request to the model that find finds, and answers it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, find finder) {
	x := &exchange{start: time.Now()}
	reply, err := s.answer(w, r, x, find)
	// Reading a body that fails ends the context too, though the client is there.
	if err != nil && !x.begun && !errors.Is(err, errBody) && !errors.Is(err, errSlow) {
		err = cmp.Or(clientGone(r.Context()), err)
	}
	if !x.begun {
		x.setHeaders(w.Header())
	}
	switch {
	case x.begun && err == nil:
		x.status = http.StatusOK
	case x.begun:
		x.status = failureOf(err, x.req.ID).status
	case err == nil:
		x.status, x.out = http.StatusOK, len(reply.Body)
		x.write(w, reply)
	case emptyIsFine(err, x.req.ContentType):
		x.status, err = http.StatusNoContent, nil
		w.WriteHeader(x.status)
	default:
		f := failureOf(err, x.req.ID)
		x.status, x.out = f.status, writeFailure(w, f)
	}
	s.noteLost(err)
	if x.live != nil {
		x.live.metrics.observe(x.status, x.read, x.queue, x.timing, x.in, x.out)
	}
	s.logExchange(x, err)
	if x.status == statusGone || x.begun && err != nil {
		panic(http.ErrAbortHandler) // net/http would send an empty 200, or end the reply as if it were whole
	}
	if x.scratch != nil {
		s.giveScratch(x.scratch)
	}
}

// scratch returns a scratch to be given back.
func (s *Server) scratch() *scratch {
	if c, ok := s.scratches.Get().(*scratch); ok {
		return c
	}
	return new(scratch)
}

func (s *Server) giveScratch(c *scratch) {
	c.stages.Reset()
	s.scratches.Put(c)
}

// setHeaders says whose reply it is, and of a stream what kind.
func (x *exchange) setHeaders(h http.Header) {
	x.replyID[0] = x.req.ID
	h[headerRequestID] = x.replyID[:]
	if x.req.Attributes != "" {
		x.replyAttributes[0] = x.req.Attributes
		h[headerAttributes] = x.replyAttributes[:]
	}
	if x.begun {
		h["Content-Type"] = x.replyType[:]
	}
}

// answer takes the request to the model and back, without writing anything.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange, find finder) (pipeline.Reply, error) {
	if err := x.readHeaders(r); err != nil {
		return pipeline.Reply{}, err
	}
	if !s.gate.enter() {
		return pipeline.Reply{}, errDraining
	}
	defer s.gate.leave()
	m, release, err := find(r.Context(), &x.req)
	if err != nil {
		return pipeline.Reply{}, err
	}
	defer release()
	x.live = m
	if m.admission.full() {
		return pipeline.Reply{}, errBusy
	}
	x.prepare(s, m)
	how := s.inParts(m, &x.req)
	if how != nil && s.cfg.Batch && (r.ContentLength < 0 || r.ContentLength > partSize) {
		return pipeline.Reply{}, s.stream(r.Context(), w, r, x, m, how)
	}
	ctx := r.Context()
	if m.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, m.timeout, errDeadline)
		defer cancel()
	}

	if size := s.large(r); size > 0 {
		held, err := s.hold.take(ctx, size)
		if err != nil {
			return pipeline.Reply{}, err
		}
		defer s.hold.give(held)
	}
	body, err := s.bodies.read(w, r, s.cfg.MaxBody)
	x.read = time.Since(x.start)
	if err != nil {
		return pipeline.Reply{}, err
	}
	defer s.bodies.give(body)
	x.in = len(*body)

	if x.queue, err = m.admission.acquire(ctx); err != nil {
		return pipeline.Reply{}, err
	}
	defer m.admission.release()

	// Not before there is a body: as many are in use as have room for theirs.
	x.scratch = s.scratch()
	if s.plain {
		x.req.Scratch = &x.scratch.stages
	}
	x.waiting.Context = ctx
	reply, err := s.stages(handler.WithRequest(&x.waiting, &x.req), m, *body)
	x.ran(reply.Timing)
	if err != nil && how != nil && s.cfg.Placeholder && mendable(err) {
		return s.mended(ctx, x, m, how, *body, err)
	}
	return reply, err
}

// large is how much of a body has to be asked room for: nothing of a small one,
// nor of one that is refused.
func (s *Server) large(r *http.Request) int64 {
	size := r.ContentLength
	if size < 0 {
		size = s.cfg.MaxBody
	}
	if size <= small || size > s.cfg.MaxBody {
		return 0
	}
	return size
}

// ran tells a Run from its wait for a permit.
func (x *exchange) ran(t pipeline.Timing) {
	x.timing = t
	x.timing.Run -= x.waiting.took
	x.queue += x.waiting.took
}

// prepare tells the request what the model is.
func (x *exchange) prepare(s *Server, m *live) {
	x.req.Model, x.req.Inputs, x.req.Outputs, x.req.Trailing = m.name, m.inputs, m.outputs, s.cfg.Batch
	x.req.Default, x.req.Options = m.accept, m.formats
	if x.req.Unasked = x.req.Accept == "" || x.req.Accept == "*/*"; x.req.Unasked {
		x.req.Accept = cmp.Or(m.accept, "application/json")
	}
}

// stages runs the pipeline; a panic in the handler is an error that carries
// its stack.
func (s *Server) stages(ctx context.Context, m *live, body []byte) (reply pipeline.Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	if m.linked != nil {
		return pipeline.Run(ctx, m.linked, nil, body)
	}
	return pipeline.Run(ctx, s.handler, m.model, body)
}

// counted is up to how many bytes net/http holds a reply back to count it.
const counted = 2 << 10

// write sends a reply. A large one must keep leaving, like a body that must
// keep coming.
func (x *exchange) write(w http.ResponseWriter, reply pipeline.Reply) {
	h := w.Header()
	x.replyType[0] = reply.ContentType
	h["Content-Type"] = x.replyType[:]
	if n, ok := strings.CutPrefix(reply.ContentType, v2Binary); ok {
		h[headerV2JSON] = []string{n}
	}
	if len(reply.Body) >= counted {
		h["Content-Length"] = []string{strconv.Itoa(len(reply.Body))}
	}
	if len(reply.Body) > step {
		control := http.NewResponseController(w)
		// Neither call fails on a connection of net/http; if one did, the
		// reply would only be unbounded in time.
		_ = control.SetWriteDeadline(time.Now().Add(patience + time.Duration(len(reply.Body)/slowest)*time.Second))
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	}
	_, _ = w.Write(reply.Body) // the client may have gone; there is nobody left to tell
}

// clientGone tells the end of a connection from the end of the server.
func clientGone(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), errCut) {
		return errCut
	}
	return errGone
}

// emptyIsFine reports whether err is an empty body of a format that is made
// of records: no records are no mistake (contract §3.3), and the SageMaker
// SDK's local transform sends such requests.
func emptyIsFine(err error, contentType string) bool {
	if !errors.Is(err, codec.ErrEmpty) {
		return false
	}
	c, _, lookup := codec.For(contentType)
	if lookup != nil {
		return false
	}
	switch c.MediaTypes()[0] {
	case "text/csv", "application/jsonlines", "text/libsvm", "application/x-recordio-protobuf":
		return true
	}
	return false
}

// logExchange writes the one line that each request gets.
func (s *Server) logExchange(x *exchange, err error) {
	level := zap.InfoLevel
	if x.status >= 500 && x.status != http.StatusServiceUnavailable {
		level = zap.ErrorLevel
	}
	x.err, x.took = err, time.Since(x.start)
	if s.lines != nil {
		s.lines.request(level, x)
		return
	}
	s.log.Log(level, "request", zap.Inline(x))
}

// MarshalLogObject writes the line into a logger's fields.
func (x *exchange) MarshalLogObject(e zapcore.ObjectEncoder) error {
	x.describe(e)
	return nil
}

// describe says what the line says.
func (x *exchange) describe(e interface {
	AddString(key, value string)
	AddInt(key string, value int)
	AddDuration(key string, value time.Duration)
}) {
	e.AddString("request_id", x.req.ID)
	e.AddInt("status", x.status)
	e.AddString("content_type", x.req.ContentType)
	e.AddInt("bytes_in", x.in)
	e.AddInt("bytes_out", x.out)
	e.AddDuration("ms", x.took)
	e.AddDuration("queue_ms", x.queue)
	e.AddDuration("decode_ms", x.timing.Decode)
	e.AddDuration("run_ms", x.timing.Run)
	e.AddDuration("encode_ms", x.timing.Encode)
	if x.named {
		e.AddString("inference_id", x.req.ID)
	}
	if x.req.TargetModel != "" {
		e.AddString("target_model", x.req.TargetModel)
	}
	if x.err != nil {
		e.AddString("error", x.err.Error())
	}
}
