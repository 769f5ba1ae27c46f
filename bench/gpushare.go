package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
)

// gpuShare has two models share the GPU at three tenths each, loads and unloads
// a third, and loads one that does not fit.
func gpuShare(b *bench, g *gpuSettings) error {
	base := filepath.Join(b.dir, "share")
	n := g.networks[len(g.networks)-1]
	large := n
	if !g.cuda {
		large = networks.ResNet50 // a part of the GPU is none of the host's memory
	}
	for name, yaml := range map[string]string{"a": "gpu_fraction: 0.3", "b": "gpu_fraction: 0.3", "c": "gpu_fraction: 0.3"} {
		if err := b.shared(n, filepath.Join(base, "models", name), yaml); err != nil {
			return err
		}
	}
	if err := b.shared(n, filepath.Join(base, "models", "small"), "gpu_memory: 400MiB\ncuda: {conv_search: heuristic}"); err != nil {
		return err
	}
	if err := b.shared(large, filepath.Join(base, "models", "large"), "gpu_fraction: 0.5"); err != nil {
		return err
	}
	env := g.env(precision{}, "CLARY_MODEL_PATIENCE=0", "SAGEMAKER_MULTI_MODEL=true", "SAGEMAKER_BASE_DIR="+base, "CLARY_MODEL_PINNED=a,b")
	if !g.cuda {
		env = append(env, "CLARY_MODEL_MEMORY=128MiB") // too little for the large one
	}
	s, err := b.clary("", env)
	if err != nil {
		return err
	}
	defer s.stop()
	used := func() float64 {
		samples, err := s.scrape()
		if err != nil {
			return 0
		}
		if !g.cuda {
			return samples["clary_models_bytes"]
		}
		return samples["clary_gpu_memory_used_bytes"]
	}
	total, err := s.gpuMemory(g)
	if err != nil {
		return err
	}
	before := used()
	for _, name := range []string{"a", "b"} {
		if err := s.model(http.MethodPost, name, http.StatusOK); err != nil {
			return err
		}
	}
	bodies, err := b.sharedLoad(g, n)
	if err != nil {
		return err
	}
	r, err := s.burst("two models at once", load.Spec{Connections: 16, Seconds: g.seconds, Warm: g.seconds / 2, Requests: bodies})
	if err != nil {
		return err
	}
	both := used() - before
	line := row{What: "two models at a fraction of 0.3, under load: memory that they took", Value: mega(int64(both)), Against: byStatus(r)}
	if g.cuda {
		const context = 1 << 30 // CUDA's, and its libraries', for the process
		line.Against += fmt.Sprintf("; twice 0.3 of %s and %s for CUDA itself", mega(int64(total)), mega(context))
		line.Ratio, line.Limit = both/(0.6*total+context), 1
	}
	b.report(line)
	return errors.Join(b.bounded(g, s, n, used), b.doesNotFit(g, s, bodies[:1]), b.cycles(g, s, used))
}

// gpuMemory is how much the GPU has. A server with many models answers before it
// has found it.
func (s *server) gpuMemory(g *gpuSettings) (total float64, err error) {
	for begin := time.Now(); g.cuda && total == 0; time.Sleep(50 * time.Millisecond) {
		samples, err := s.scrape()
		if err != nil {
			return 0, err
		}
		if total = samples["clary_gpu_memory_total_bytes"]; total == 0 && time.Since(begin) > time.Minute {
			return 0, errors.New("the server's metrics have no GPU")
		}
	}
	return total, nil
}

// bounded has a model with a small part want more than that.
func (b *bench) bounded(g *gpuSettings, s *server, n networks.Network, used func() float64) error {
	const part = 400 << 20
	what := "a model whose part is 400 MiB, after runs that want more: memory that it took"
	if !g.cuda {
		b.skipped(what)
		return nil
	}
	before := used()
	if err := s.model(http.MethodPost, "small", http.StatusOK); err != nil {
		return err
	}
	var got []string
	for _, batch := range []int{1, 512, 64, 512, 1} {
		c := gpuCase{b: b, g: g, n: n}
		_, body, err := c.request(batch)
		if err != nil {
			return err
		}
		got = append(got, askAt(http.DefaultClient, s.addr, "/models/small/invoke", body))
	}
	took := used() - before
	b.report(row{What: what, Value: mega(int64(took)), Against: "400 MiB; it answered " + strings.Join(got, " "), Ratio: took / part, Limit: 1.05})
	return s.model(http.MethodDelete, "small", http.StatusOK)
}

// shared makes a folder with the network and a clary.yaml.
func (b *bench) shared(n networks.Network, dir, yaml string) error {
	made, err := n.Make(b.cache, networks.Options{})
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "clary.yaml"), []byte(yaml+"\n"), 0o600)
}

// sharedLoad are requests for a and b.
func (b *bench) sharedLoad(g *gpuSettings, n networks.Network) ([]load.Request, error) {
	c := gpuCase{b: b, g: g, n: n}
	in, err := c.input(8)
	if err != nil {
		return nil, err
	}
	body, err := b.file("share.npy", npyOf(in[0]))
	if err != nil {
		return nil, err
	}
	var requests []load.Request
	for _, name := range []string{"a", "b"} {
		r := post(body, "application/x-npy", "application/x-npy")[0]
		r.Path = "/models/" + name + "/invoke"
		requests = append(requests, r)
	}
	return requests, nil
}

// model loads or unloads a model and wants that status.
func (s *server) model(method, name string, want int) error {
	address, body := "http://"+s.addr+"/models", []byte(nil)
	if method == http.MethodDelete {
		address += "/" + name
	} else {
		for _, e := range s.cmd.Env {
			if base, ok := bytes.CutPrefix([]byte(e), []byte("SAGEMAKER_BASE_DIR=")); ok {
				body, _ = json.Marshal(map[string]string{"model_name": name, "url": filepath.Join(string(base), "models", name)}) // strings always can
			}
		}
	}
	r, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %d %s, want %d", method, name, resp.StatusCode, text, want)
	}
	return err
}

// doesNotFit loads a model for which there is no room while another one has
// load, which must not notice.
func (b *bench) doesNotFit(g *gpuSettings, s *server, requests []load.Request) error {
	spec := load.Spec{Connections: 4, Seconds: g.seconds, Warm: g.seconds / 4, Requests: requests}
	quiet, err := s.burst("one of two models", spec)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	stop := make(chan struct{})
	refused := 0
	name := "large"
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := s.model(http.MethodPost, name, http.StatusInsufficientStorage); err != nil {
				done <- err
				return
			}
			refused++
		}
	}()
	disturbed, err := s.burst("one of two models, while one that does not fit is loaded", spec)
	close(stop)
	if failed := <-done; failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	b.report(row{What: fmt.Sprintf("a load that does not fit: %d times 507; the other model's p99", refused), Value: milli(disturbed.Latency.P99),
		Against: milli(quiet.Latency.P99) + ": alone; " + byStatus(disturbed), Ratio: disturbed.Latency.P99 / quiet.Latency.P99})
	return nil
}

// cycles loads and unloads c.
func (b *bench) cycles(g *gpuSettings, s *server, used func() float64) error {
	var first, last, most float64
	before := used()
	for i := range g.cycles {
		if err := s.model(http.MethodPost, "c", http.StatusOK); err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
		most = max(most, used())
		if err := s.model(http.MethodDelete, "c", http.StatusOK); err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
		if last = used(); i == 0 {
			first = last
		}
	}
	b.report(row{What: fmt.Sprintf("%d times loaded and unloaded: what is not given back, of what it took", g.cycles), Value: mega(int64(last - before)),
		Against: fmt.Sprintf("%s before, %s at most, %s after the first, %s after the last", mega(int64(before)), mega(int64(most)), mega(int64(first)), mega(int64(last))),
		Ratio:   (last - before) / (most - before), Limit: g.limit(0.05)})
	return nil
}
