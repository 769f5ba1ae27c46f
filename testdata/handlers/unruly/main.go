// Unruly is a server whose handler does on demand what a user's might do by
// mistake. The tests ask for it by the header X-Do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/claryhq/clary"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
)

type unruly struct{ handler.Default }

// ModelFn waits while the file named by UNRULY_GATE exists, or one called hold
// beside the model.
func (h unruly) ModelFn(ctx context.Context, env handler.Env) (handler.Model, error) {
	if os.Getenv("UNRULY_MODELFN") == "panic" {
		panic("ModelFn has had enough")
	}
	for _, gate := range []string{os.Getenv("UNRULY_GATE"), filepath.Join(env.Dir, "hold")} {
		if err := await(ctx, gate); err != nil {
			return nil, err
		}
	}
	return h.Default.ModelFn(ctx, env)
}

// RowWise is said to be so by the environment.
func (unruly) RowWise() bool { return os.Getenv("UNRULY_ROWWISE") != "" }

func await(ctx context.Context, gate string) error {
	for gate != "" {
		if _, err := os.Stat(gate); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func (h unruly) PredictFn(ctx context.Context, in handler.Tensors, m handler.Model) (handler.Tensors, error) {
	what, arg, _ := strings.Cut(handler.RequestFrom(ctx).Header("X-Do"), " ")
	switch what {
	case "panic":
		var none map[string]int
		none["x"] = 1
	case "fail":
		return nil, errors.New("the secret is in the vault")
	case "teapot":
		return nil, handler.Errorf(418, "short and stout: %w", errors.New("for the log"))
	case "memory":
		return nil, fmt.Errorf("this run: %w", runtime.ErrMemory)
	case "wait": // until the file is gone; a cancelled request ends it
		if err := await(ctx, arg); err != nil {
			return nil, err
		}
	case "deaf": // until the file is gone, whatever happens to the request
		if err := await(context.Background(), arg); err != nil {
			return nil, err
		}
	case "attribute":
		handler.RequestFrom(ctx).Attributes = arg
	}
	return h.Default.PredictFn(ctx, in, m)
}

func main() { clary.Main(unruly{}) }
