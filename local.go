package clary

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/transform"
)

// A local answers a batch transform's requests in this process.
type local struct {
	server *Server
	live   *live
	req    handler.Request // what each begins as
	how    *rowWise        // nil where rows are not known to be independent
}

func (s *Server) local(m *live, contentType, accept string) *local {
	x := &exchange{req: handler.Request{ContentType: contentType, Accept: accept}}
	x.prepare(s, m)
	return &local{s, m, x.req, s.inParts(m, &x.req)}
}

func (l *local) invoke(ctx context.Context, req transform.Request) ([]byte, error) {
	s := l.server
	scratch := s.scratch()
	defer s.giveScratch(scratch)
	var id [32]byte
	template := l.req
	template.ID = newRequestID(&id)
	c := &call{server: s, live: l.live, template: &template, scratch: scratch}
	o, err := c.do(ctx, req.Body)
	if err != nil && s.cfg.Placeholder && l.how != nil && mendable(err) {
		o, err = l.how.mend(ctx, c, req.Body, max(0, l.how.cut.Head(req.Body, &l.how.request)), err)
	}
	if err != nil {
		return nil, l.told(err)
	}
	return bytes.Clone(o.reply.Body), nil
}

// told is what a batch transform hears of an error; nil where it is none.
func (l *local) told(err error) error {
	if err == nil || emptyIsFine(err, l.req.ContentType) {
		return nil
	}
	status := failureOf(err, "").status
	if status == http.StatusInternalServerError {
		status = http.StatusUnprocessableEntity // it would fail again
	}
	return &transform.StatusError{Status: status, Message: err.Error()}
}

// stream takes a body of any length as the server takes one in batch
// transform; whole and bounded where its rows are not known to be independent.
func (l *local) stream(ctx context.Context, req transform.Request, body io.Reader, reply io.Writer) error {
	if l.how == nil {
		return l.wholly(ctx, req, body, reply)
	}
	x := &exchange{req: l.req}
	x.req.ID = newRequestID(&x.id)
	return l.told(l.server.flow(x, l.live, l.how, plainBody{body}, plainReply{reply}).through(ctx))
}

func (l *local) wholly(ctx context.Context, req transform.Request, body io.Reader, reply io.Writer) (err error) {
	limit := l.server.cfg.MaxBody
	if req.Body, err = io.ReadAll(io.LimitReader(body, limit+1)); err != nil {
		return err
	}
	if int64(len(req.Body)) > limit {
		return l.told(&http.MaxBytesError{Limit: limit})
	}
	answer, err := l.invoke(ctx, req)
	if err == nil {
		_, err = reply.Write(answer)
	}
	return err
}

// A plainBody is the origin of a flow in this process.
type plainBody struct{ io.Reader }

func (plainBody) within(int) error                { return nil }
func (plainBody) ended() error                    { return nil }
func (plainBody) broken(_ int64, err error) error { return err }

// A plainReply takes a flow's replies at once.
type plainReply struct{ io.Writer }

func (p plainReply) put(reply []byte) error {
	_, err := p.Write(reply)
	return err
}

func (plainReply) ended()          {}
func (plainReply) interrupt(error) {}
func (plainReply) end(error) error { return nil }
