package clary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
)

// headerTarget says which step of a direct pipeline is meant.
const headerTarget = "X-Amzn-Sagemaker-Target-Container-Hostname"

// invocations answers POST /invocations: with a model where the request needs
// nothing else, with containers otherwise.
func (c *conductor) invocations(w http.ResponseWriter, r *http.Request) {
	chain := c.chain.Load()
	switch {
	case !c.ready.Load():
		c.serve(w, r, c.theModel) // which says that it is still loading
	case c.whole.Load() != nil:
		c.serve(w, r, c.always(c.whole.Load()))
	case c.conf.Mode == artifact.Direct:
		name := r.Header.Get(headerTarget)
		if l, err := chain.Direct(name); err == nil && l == nil {
			c.pass(w, r, func(ctx context.Context, in *pipeline.Message, accept string) (*pipeline.Message, error) {
				return chain.Send(ctx, name, in, accept)
			})
		} else {
			c.serve(w, r, func(context.Context, *handler.Request) (*live, func(), error) {
				if err != nil {
					return nil, nil, err
				}
				return c.segment(l), func() {}, nil
			})
		}
	default:
		c.pass(w, r, chain.Run)
	}
}

// always is the finder of one model.
func (c *conductor) always(m *live) finder {
	return func(context.Context, *handler.Request) (*live, func(), error) { return m, func() {}, nil }
}

// A sender takes a message to containers and back.
type sender func(ctx context.Context, in *pipeline.Message, accept string) (*pipeline.Message, error)

// pass answers one request with what send makes of it. Bodies stream both
// ways; an error is a status as long as nothing has been written.
func (c *conductor) pass(w http.ResponseWriter, r *http.Request, send sender) {
	x := &exchange{start: time.Now()}
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if timeout := c.timeout(); timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errDeadline)
	}
	defer cancel()
	inside := c.gate.enter()
	if inside {
		defer c.gate.leave()
	}
	out, err := c.begin(ctx, w, r, x, inside, send)
	if gone := clientGone(r.Context()); err != nil && gone != nil && !errors.Is(err, errBody) && !errors.Is(err, errSlow) {
		err = gone
	}
	w.Header()[headerRequestID] = []string{x.req.ID}
	if err != nil {
		if x.req.Attributes != "" {
			w.Header()[headerAttributes] = []string{x.req.Attributes}
		}
		f := failureOf(err, x.req.ID)
		x.status, x.out = f.status, writeFailure(w, f)
	} else {
		x.timing.Run = time.Since(x.start)
		x.status = out.Status
		err = c.reply(w, out, x)
	}
	c.metrics.observe(x.status, x.read, x.queue, x.timing, x.in, x.out)
	c.logExchange(x, err)
	if x.status == statusGone || err != nil && out != nil {
		panic(http.ErrAbortHandler) // what was begun cannot be taken back: no end of the reply
	}
}

// begin takes the request along and returns a reply that has begun to come.
func (c *conductor) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange, inside bool, send sender) (*pipeline.Message, error) {
	if err := x.readHeaders(r); err != nil {
		return nil, err
	}
	if !inside {
		return nil, errDraining
	}
	if r.ContentLength > c.cfg.MaxBody {
		return nil, &http.MaxBytesError{Limit: c.cfg.MaxBody}
	}
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil { // steps may answer before they have read everything
		return nil, err
	}
	header := pipeline.Carried(r.Header)
	header[headerInferenceID] = []string{x.req.ID}
	body := &steadyBody{r: r, body: http.MaxBytesReader(w, r.Body, c.cfg.MaxBody), control: control}
	defer func() { x.in = int(body.got.Load()) }() // what has come by now: a step may still be reading
	out, err := send(ctx, &pipeline.Message{Header: header, Body: body, Length: r.ContentLength}, x.req.Accept)
	if err != nil {
		return nil, err
	}
	if err := out.Begin(); err != nil {
		out.Body.Close()
		return nil, err
	}
	return out, nil
}

// reply writes what a chain has answered, as it comes. What is not known to
// end soon is flushed: somebody may be waiting for the first of many answers.
func (c *conductor) reply(w http.ResponseWriter, out *pipeline.Message, x *exchange) error {
	defer out.Body.Close()
	h := w.Header()
	for name, values := range out.Header {
		h[name] = values
	}
	if h[headerAttributes] == nil && x.req.Attributes != "" {
		h[headerAttributes] = []string{x.req.Attributes}
	}
	if out.Length >= 0 && out.Status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(out.Length, 10)}
	}
	w.WriteHeader(out.Status)
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // as in write
	buf := make([]byte, 32<<10)
	for {
		n, err := out.Body.Read(buf)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(patience)) // as in write
			written, err := w.Write(buf[:n])
			x.out += written
			if err != nil {
				x.status = statusGone
				return fmt.Errorf("%w: %w", errGone, err)
			}
			if out.Length < 0 {
				_ = control.Flush() // the next Write says what is wrong
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("after %d bytes of the reply: %w", x.out, err)
		}
	}
}

// local takes a message of a chain to models in this process.
func (c *conductor) local(ctx context.Context, l *pipeline.Linked, in *pipeline.Message, accept string) (*pipeline.Message, error) {
	mine := func(err error) error { return &pipeline.StepError{Step: l.Steps()[0], Err: err} }
	m := c.segment(l)
	if in.Length > c.cfg.MaxBody {
		return nil, mine(&http.MaxBytesError{Limit: c.cfg.MaxBody})
	}
	body, err := io.ReadAll(io.LimitReader(in.Body, c.cfg.MaxBody+1))
	if err == nil && int64(len(body)) > c.cfg.MaxBody {
		err = mine(&http.MaxBytesError{Limit: c.cfg.MaxBody})
	}
	if err != nil {
		return nil, err // whose it is stands in it
	}
	if _, err := m.admission.acquire(ctx); err != nil {
		if errors.Is(err, errBusy) {
			err = mine(err)
		}
		return nil, err
	}
	defer m.admission.release()
	req := handler.Request{ID: in.Header.Get(headerInferenceID), Model: m.name, Inputs: m.inputs, Outputs: m.outputs,
		ContentType: cmp.Or(in.Header.Get("Content-Type"), "application/json"), Accept: cmp.Or(accept, m.accept, "application/json"),
		Unasked: accept == "", Default: m.accept, Attributes: in.Header.Get(headerAttributes), Options: m.formats, Headers: in.Header, Trailing: c.cfg.Batch}
	if n := in.Header.Get(headerV2JSON); n != "" && n != "0" {
		req.ContentType = v2Binary + n
	}
	reply, err := c.stages(handler.WithRequest(ctx, &req), m, body)
	header := http.Header{}
	if req.Attributes != "" {
		header[headerAttributes] = []string{req.Attributes}
	}
	switch {
	case emptyIsFine(err, req.ContentType):
		out := pipeline.Whole(header, nil)
		out.Status = http.StatusNoContent
		return out, nil
	case err != nil:
		return nil, err
	}
	header["Content-Type"] = []string{reply.ContentType}
	return pipeline.Whole(header, reply.Body), nil
}

// A steadyBody is a request's body that is read as it comes, and must keep
// coming as one that is read whole must; the time that nobody asks for it does
// not count.
type steadyBody struct {
	r       *http.Request
	body    io.ReadCloser
	control *http.ResponseController
	waited  time.Duration
	got     atomic.Int64
}

func (b *steadyBody) Read(p []byte) (int, error) {
	begin := time.Now()
	left := patience + time.Duration(b.got.Load()/slowest)*time.Second - b.waited
	if err := b.control.SetReadDeadline(begin.Add(left)); err != nil {
		return 0, fmt.Errorf("%w: %w", errBody, err)
	}
	n, err := b.body.Read(p)
	b.got.Add(int64(n))
	b.waited += time.Since(begin)
	var large *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &large):
		return n, err
	case err == io.EOF:
		// As in readAll.
		if late := b.control.SetReadDeadline(time.Time{}); late != nil {
			err = fmt.Errorf("%w: %w", errBody, late)
		}
		return n, err
	}
	return n, bodyError(b.r, int(b.got.Load()), err)
}

func (b *steadyBody) Close() error { return b.body.Close() }

// ping is 200 when every step is ready, as SageMaker has it (contract §5.1).
func (c *conductor) ping(w http.ResponseWriter) {
	err := error(errStarting)
	if chain := c.chain.Load(); chain != nil {
		err = chain.Ready()
	}
	if err == nil && !c.ready.Load() {
		err = errStarting
	}
	if err != nil {
		writeFailure(w, failureOf(err, ""))
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
