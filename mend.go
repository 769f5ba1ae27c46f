package clary

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
)

// A call takes one part of a request after another through a model.
type call struct {
	server   *Server
	live     *live
	template *handler.Request
	scratch  *scratch
}

// An outcome is what became of a part.
type outcome struct {
	reply      pipeline.Reply // its body lies in the call's scratch until the next one
	queue      time.Duration
	attributes string
	bad        int // records with a placeholder
}

func (c *call) do(ctx context.Context, data []byte) (outcome, error) {
	req := *c.template
	req.Trailing = true
	if c.server.plain {
		c.scratch.stages.Reset()
		req.Scratch = &c.scratch.stages
	}
	waiting := &waiting{Context: ctx}
	reply, err := c.server.stages(handler.WithRequest(waiting, &req), c.live, data)
	reply.Timing.Run -= waiting.took
	return outcome{reply: reply, queue: waiting.took, attributes: req.Attributes}, err
}

// mendable reports whether err is a record's fault and not the server's: others
// of the same request may be good.
func mendable(err error) bool {
	status := failureOf(err, "").status
	return status >= 400 && status < 500 && status != statusGone && !errors.Is(err, codec.ErrEmpty) &&
		!errors.Is(err, codec.ErrMediaType) && !errors.Is(err, codec.ErrNotAcceptable)
}

// mend answers data, which failed for why, with a placeholder for each bad
// record (contract §6.3). The first head bytes belong to every part.
func (h *rowWise) mend(ctx context.Context, c *call, data []byte, head int, why error) (outcome, error) {
	m := mender{rowWise: h, call: c, head: data[:head]}
	err := m.halve(ctx, data[head:], why)
	m.total.reply.Body = m.out
	if m.total.reply.ContentType == "" {
		_, _, m.total.reply.ContentType, _ = codec.Negotiate(c.template.Accept, c.live.accept, c.template.ContentType) // as before
		m.total.attributes = c.template.Attributes
	}
	return m.total, err
}

// mended is mend for a request that is not taken in parts.
func (s *Server) mended(ctx context.Context, x *exchange, m *live, how *rowWise, body []byte, why error) (pipeline.Reply, error) {
	c := &call{server: s, live: m, template: &x.req, scratch: x.scratch}
	o, err := how.mend(ctx, c, body, max(0, how.cut.Head(body, &how.request)), why)
	x.timing.Decode += o.reply.Timing.Decode
	x.timing.Run += o.reply.Timing.Run
	x.timing.Encode += o.reply.Timing.Encode
	x.queue += o.queue
	if x.req.Attributes = o.attributes; o.bad > 0 {
		s.logBad(x, o.bad)
	}
	if _, text := how.join.Placeholder(nil, ""); text && !x.req.Trailing {
		o.reply.Body = bytes.TrimSuffix(o.reply.Body, []byte{'\n'})
	}
	return o.reply, err
}

// A mender finds bad records by halves.
type mender struct {
	*rowWise
	call  *call
	head  []byte
	out   []byte
	total outcome
}

// halve answers records, which fail together for why.
func (m *mender) halve(ctx context.Context, records []byte, why error) error {
	half := m.cut.Cut(records[:len(records)/2], &m.request)
	if half == 0 {
		half = m.cut.First(records, &m.request)
	}
	if half == len(records) {
		var ok bool
		if m.out, ok = m.join.Placeholder(m.out, failureOf(why, "").message); !ok {
			return why
		}
		m.total.bad++
		return nil
	}
	for _, piece := range [][]byte{records[:half], records[half:]} {
		data := piece
		if len(m.head) > 0 {
			data = slices.Concat(m.head, piece)
		}
		o, err := m.call.do(ctx, data)
		m.total.queue += o.queue
		m.total.reply.Timing.Decode += o.reply.Timing.Decode
		m.total.reply.Timing.Run += o.reply.Timing.Run
		m.total.reply.Timing.Encode += o.reply.Timing.Encode
		switch {
		case err == nil:
			m.out = append(m.out, o.reply.Body...)
			m.total.reply.ContentType, m.total.attributes = o.reply.ContentType, o.attributes
		case errors.Is(err, codec.ErrEmpty):
		case !mendable(err):
			return err
		default:
			if err := m.halve(ctx, piece, err); err != nil {
				return err
			}
		}
	}
	return nil
}
