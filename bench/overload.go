package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
)

// overload sends three times what the server can do, in an open loop: clients
// that do not slow down. The model takes milliseconds, its body is under 1 KB.
// The server is told how long a request may take: eleven twentieths of what is
// promised, as the clients' time has the network and the queue of the sockets
// in it too.
//
// The generator looks a thousand times a second. Elsewhere it would be on
// another machine: here each of its wakes takes a core from a Run, and two
// thousand a second took a fifteenth of the machine.
func overload(b *bench) error {
	dir, err := networks.Thumbnail.Make(b.cache, networks.Options{})
	if err != nil {
		return err
	}
	clary, err := b.clary(dir, nil)
	if err != nil {
		return err
	}
	defer clary.stop()
	body, err := b.file("thumbnail.npy", npy([]int{1, 3, 8, 8}, numbers(3*8*8)))
	if err != nil {
		return err
	}
	const tick = 1e-3
	requests := post(body, "application/x-npy", "application/x-npy")
	peak, err := clary.burst("peak", load.Spec{Connections: 64, Seconds: 3, Warm: 1, Tick: tick, Requests: requests})
	if err != nil {
		return err
	}
	// Enough connections that the generator never is what a request waits for.
	const connections = 512
	most, err := clary.burst("80% of the peak", load.Spec{Connections: connections, Seconds: 5, Warm: 1, Tick: tick, Rate: 0.8 * peak.PerSecond, Requests: requests})
	if err != nil {
		return err
	}
	seconds := 30.0
	if b.quick {
		seconds = 5
	}
	ctx, cancel := context.WithCancel(context.Background())
	target := time.Duration(1.1 * most.Latency.P99 * float64(time.Second))
	bounded, err := b.clary(dir, []string{fmt.Sprintf("CLARY_LATENCY_TARGET=%.4f", target.Seconds())})
	if err != nil {
		cancel()
		return err
	}
	defer bounded.stop()
	pings := pinging(ctx, bounded)
	over, err := bounded.burst("3 x the peak", load.Spec{Connections: connections, Seconds: seconds, Warm: 0.5, Tick: tick, Rate: 3 * peak.PerSecond, Requests: requests})
	cancel()
	failed := <-pings
	if err != nil {
		return err
	}
	after, err := clary.burst("peak", load.Spec{Connections: 64, Seconds: 3, Warm: 1, Tick: tick, Requests: requests})
	if err != nil {
		return err
	}
	floor, err := b.loadedEcho(filepath.Join(dir, "model.onnx"), load.Spec{Connections: connections, Seconds: 3, Warm: 0.5, Tick: tick, Rate: 2 * peak.PerSecond, Requests: requests})
	if err != nil {
		return err
	}

	refused := over.ByStatus[fmt.Sprint(http.StatusServiceUnavailable)]
	best := (peak.PerSecond + after.PerSecond) / 2
	what := fmt.Sprintf("3 x the peak for %.0f s: ", seconds)
	b.report(row{What: what + "answers/s", Value: fmt.Sprintf("%.0f", over.PerSecond), Against: fmt.Sprintf("%.0f: the peak, before and after", best),
		Ratio: over.PerSecond / best, Limit: 0.9, Least: true})
	b.report(row{What: what + "p99 of the accepted", Value: milli(over.Latency.P99), Against: fmt.Sprintf("2 x %s: at 80%% of the peak; the target was %s", milli(most.Latency.P99), milli(target.Seconds())),
		Ratio: over.Latency.P99 / (2 * most.Latency.P99), Limit: 1})
	b.report(row{What: what + "p99 of the refused", Value: fmt.Sprintf("%s, %d of them", milli(refused.P99), refused.Count),
		Against: fmt.Sprintf("5 ms or 3 x %s: chi echo beside a busy loop on each core", milli(floor.Latency.P99)), Ratio: refused.P99 / max(5e-3, 3*floor.Latency.P99), Limit: 1})
	pinged := row{What: what + "pings that failed", Value: fmt.Sprint(failed.failed), Against: fmt.Sprintf("%d pings", failed.sent), Limit: 1e-9, Ratio: float64(failed.failed)}
	b.report(pinged)
	b.report(row{What: what + "the generator", Value: fmt.Sprintf("%.0f%% of a core", 100*over.Generator.CPU/over.Seconds),
		Against: fmt.Sprintf("%.0f%%: the server; %d unanswered", 100*over.Server.CPU/over.Seconds, over.Unfinished)})
	return nil
}

// loadedEcho sends load to the echo while a model runs on every core.
func (b *bench) loadedEcho(model string, spec load.Spec) (r load.Result, err error) {
	echo, err := b.echo()
	if err != nil {
		return r, err
	}
	defer echo.stop()
	loop, err := b.raw(model, 1)
	if err != nil {
		return r, err
	}
	defer loop.stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, _ = loop.run(goruntime.NumCPU(), 1, spec.Seconds+spec.Warm+0.5) // what it reaches is of no interest
	})
	return echo.burst("beside a busy loop", spec)
}

// A pingCount is how pings went.
type pingCount struct{ sent, failed int }

// pinging asks for /ping ten times a second until ctx ends, each within 2 s as
// SageMaker does.
func pinging(ctx context.Context, s *server) <-chan pingCount {
	result := make(chan pingCount, 1)
	client := &http.Client{Timeout: 2 * time.Second}
	go func() {
		var n pingCount
		defer func() { result <- n }()
		ticks := time.NewTicker(100 * time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			n.sent++
			resp, err := client.Get("http://" + s.addr + "/ping")
			if err != nil {
				n.failed++
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				n.failed++
			}
		}
	}()
	return result
}
