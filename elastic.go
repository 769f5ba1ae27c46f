package clary

import (
	"context"
	"fmt"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
	"go.uber.org/zap"
)

// elastic reports whether the server may choose the threads of a run: nobody
// else has, and there is no budget of many models that a second session would
// overrun.
func (s *Server) elastic(a *artifact.Artifact) bool {
	c := a.Config.Session
	return s.many == nil && s.cfg.IntraOpThreads == 0 && c.IntraOpThreads == 0 && s.cfg.Workers == 0 && a.Config.Workers == 0
}

// openWide opens a model once more, with all cores for each run, where there is
// memory for it.
func (o *opener) openWide(ctx context.Context, path string, options onnx.Options) (runtime.Session, error) {
	session, err := o.openWithin(ctx, path, options)
	if err != nil && ctx.Err() == nil {
		o.log.Info("a lone caller gets one core", zap.String("path", path), zap.Error(err))
	}
	return session, err
}

func (o *opener) openWithin(ctx context.Context, path string, options onnx.Options) (runtime.Session, error) {
	g, err := onnx.Read(path, options.Root)
	if err != nil {
		return nil, err
	}
	limit, from, err := memoryLimit("/")
	if resident, ok := residentBytes(); ok && err == nil {
		if err := spareMemory(g.Steady(), g.Peak(), o.cfg.ModelMemory, limit, resident); err != nil {
			return nil, fmt.Errorf("%w of %s", err, from)
		}
	}
	return onnx.Open(ctx, path, options)
}

// spareMemory is an error where there is no memory to open a model once more,
// which is open already and takes held bytes: of what models may take, if that
// is set, and of the process's limit.
func spareMemory(held, more int64, asked amount, limit, resident int64) error {
	spare := memoryBudget(amount{}, limit, resident)
	if asked != (amount{}) {
		spare = min(spare, asked.of(limit)-held)
	}
	if more > spare {
		return fmt.Errorf("a second session takes up to %d bytes, %d can be spared", more, max(spare, 0))
	}
	return nil
}
