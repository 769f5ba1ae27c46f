package pipeline

import (
	"context"
	"time"

	"github.com/claryhq/clary/handler"
)

// A Reply is what the stages made of a request, and how long each took.
type Reply struct {
	Body        []byte
	ContentType string
	Timing      Timing
}

// Timing is the time spent in each stage; zero for one that was not reached.
// A TransformFn counts as Run.
type Timing struct {
	Decode, Run, Encode time.Duration
}

// Run takes body through h's stages with m: TransformFn where h has one, else
// InputFn, PredictFn and OutputFn. The handler.Request in ctx says the rest.
// On an error the Reply still carries the Timing. ctx is looked at between
// stages, so a request whose client has gone is not carried further.
func Run(ctx context.Context, h handler.Handler, m handler.Model, body []byte) (Reply, error) {
	req := handler.RequestFrom(ctx)
	var r Reply
	start := time.Now()
	if t, ok := h.(handler.Transformer); ok {
		var err error
		r.Body, r.ContentType, err = t.TransformFn(ctx, m, body, req.ContentType, req.Accept)
		r.Timing.Run = time.Since(start)
		return r, err
	}

	in, err := h.InputFn(ctx, body, req.ContentType)
	decoded := time.Since(start)
	r.Timing.Decode = decoded
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return r, err
	}

	out, err := h.PredictFn(ctx, in, m)
	ran := time.Since(start)
	r.Timing.Run = ran - decoded
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return r, err
	}

	r.Body, r.ContentType, err = h.OutputFn(ctx, out, req.Accept)
	r.Timing.Encode = time.Since(start) - ran
	return r, err
}
