package clary

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/claryhq/clary/runtime"
	"go.uber.org/zap"
)

// watchEvery is how often the driver is asked whether the GPUs still answer.
const watchEvery = 2 * time.Second

// watch calls lost once one of these GPUs is, until close; nil: any.
func (d *devices) watch(among []int, lost func(error)) {
	stop, ended := make(chan struct{}), make(chan struct{})
	d.stop = func() { close(stop); <-ended }
	go func() {
		defer close(ended)
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			for i := range d.system.Devices {
				if (among == nil || slices.Contains(among, i)) && d.system.Devices[i].Lost() {
					lost(fmt.Errorf("cuda:%d %s: the driver says that it is lost", i, d.system.Devices[i].UUID))
					return
				}
			}
		}
	}()
}

// lose turns /ping to 503 for good: what runs the container starts it again,
// on a GPU that works.
func (s *Server) lose(why error) {
	if s.lost.CompareAndSwap(false, true) {
		s.log.Error("a GPU is lost; /ping is 503 from now on", zap.Error(why))
	}
}

// noteLost looks for a lost GPU in a request's error.
func (s *Server) noteLost(err error) {
	if errors.Is(err, runtime.ErrDevice) {
		s.lose(err)
	}
}
