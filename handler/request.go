package handler

import (
	"context"
	"strings"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// A Request is what the stages of one request share. The server fills it
// before InputFn; a stage may change it, one stage after the other.
type Request struct {
	ID          string         // X-Amzn-SageMaker-Inference-Id, or one made here
	Model       string         // the model's name
	Inputs      []runtime.Info // the model's inputs; nil when the Model does not tell
	Outputs     []runtime.Info // the model's outputs after clary.yaml's post steps, likewise
	ContentType string         // as sent, or application/json where nothing was
	Accept      string         // as sent, or Default, else application/json, where nothing was, or only */*
	Unasked     bool           // nothing was sent as Accept, or only */*
	Default     string         // the configured default for Accept; "" where nobody says
	TargetModel string         // X-Amzn-SageMaker-Target-Model

	// Attributes is X-Amzn-SageMaker-Custom-Attributes; the reply carries
	// whatever stands here at the end.
	Attributes string

	// Options are the model's own settings for the formats; nil for none.
	Options *codec.Options

	// Headers are the request's, such as an http.Header; nil where it did not
	// come over HTTP. See Header.
	Headers interface{ Get(name string) string }

	// Found is what InputFn found in the body: its dialect, its id, the
	// outputs it asks for. OutputFn answers in the same dialect.
	Found codec.Found

	// Trailing asks row formats for a newline after the last line, as batch
	// transform wants it (contract §6.2).
	Trailing bool

	// Scratch is memory for the stages of Default; nil for none.
	Scratch *Scratch

	carrier carrier
}

// A carrier is a context that carries a request.
type carrier struct {
	context.Context
	req *Request
}

// Value finds the request before what the context holds.
func (c *carrier) Value(key any) any {
	if key == (requestKey{}) {
		return c.req
	}
	return c.Context.Value(key)
}

type requestKey struct{}

// WithRequest returns a context that carries req. The first one lies in req
// itself.
func WithRequest(ctx context.Context, req *Request) context.Context {
	if req.carrier.req != nil {
		return &carrier{ctx, req}
	}
	req.carrier = carrier{ctx, req}
	return &req.carrier
}

// RequestFrom returns the request that ctx belongs to; an empty one, never
// nil, for a ctx that belongs to none.
func RequestFrom(ctx context.Context) *Request {
	if req, ok := ctx.Value(requestKey{}).(*Request); ok {
		return req
	}
	return &Request{}
}

// Header returns a header of the request, "" when it has none.
func (r *Request) Header(name string) string {
	if r.Headers == nil {
		return ""
	}
	return r.Headers.Get(name)
}

// Attribute returns one value of the custom attributes, which are written
// k=v,k2=v2 (contract §3.2).
func (r *Request) Attribute(name string) (string, bool) {
	for rest := r.Attributes; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, ",")
		if k, v, ok := strings.Cut(pair, "="); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}
