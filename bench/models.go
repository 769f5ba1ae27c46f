package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/runtime/onnx"
)

// models measures many models in one server: what a hit costs, a thousand at
// once, and opening one from cold.
func models(b *bench) error {
	for _, measure := range []func(*bench) error{warmHit, thousand, cold} {
		if err := measure(b); err != nil {
			return err
		}
	}
	return nil
}

// many starts a server with no model, which may load them from folder.
func (b *bench) many(folder string, env ...string) (*server, error) {
	return b.clary("", append(env, "SAGEMAKER_MULTI_MODEL=true", "CLARY_MODEL_ROOTS="+folder))
}

// load registers a model and returns how long that took.
func (s *server) load(name, path string) (time.Duration, error) {
	body, err := json.Marshal(map[string]string{"model_name": name, "url": path})
	if err != nil {
		return 0, err
	}
	return s.timed(http.MethodPost, "/models", body)
}

func (s *server) unload(name string) (time.Duration, error) {
	return s.timed(http.MethodDelete, "/models/"+name, nil)
}

// timed sends one request and returns how long its 200 took.
func (s *server) timed(method, path string, body []byte) (time.Duration, error) {
	req, err := http.NewRequest(method, "http://"+s.addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(resp.Body)
	took := time.Since(begin)
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return took, err
}

// invoke is the load of one body on a model by its name.
func invoke(name, body string) load.Request {
	return load.Request{Path: "/models/" + name + "/invoke", Header: map[string]string{"Content-Type": "text/csv"}, Body: body}
}

// warmHit compares one row to a model of many with the same to the only one.
func warmHit(b *bench) error {
	folder, err := filepath.Abs("testdata/models")
	if err != nil {
		return err
	}
	one, err := b.clary(iris, nil)
	if err != nil {
		return err
	}
	defer one.stop()
	many, err := b.many(folder)
	if err != nil {
		return err
	}
	defer many.stop()
	if _, err := many.load("iris", filepath.Join(folder, "iris")); err != nil {
		return err
	}
	body, err := b.file("row.csv", []byte("5.1,3.5,1.4,0.2\n"))
	if err != nil {
		return err
	}
	for _, n := range []int{1, 64} {
		spec := load.Spec{Connections: n, Seconds: 0.4, Warm: 0.1, Requests: post(body, "text/csv", "")}
		hit := spec
		hit.Requests = []load.Request{invoke("iris", body)}
		var ones, manys []load.Result
		what := fmt.Sprintf("a warm hit, %d connections", n)
		if err := interleave(b.rounds, one.collect(&ones, what+", one model", spec), many.collect(&manys, what, hit)); err != nil {
			return err
		}
		of, how := cpuEach, "processor time"
		if n == 1 {
			of, how = p50, "p50"
		}
		const more = 3e-6
		b.report(row{What: what + ": " + how, Value: micro(over(manys, of)), Against: micro(over(ones, of)) + " (a server with this model alone) + 3 us",
			Ratio: ratios(manys, ones, func(m, o load.Result) float64 { return of(m) / (of(o) + more) }), Limit: 1})
	}
	return nil
}

// thousand keeps a thousand small models resident and asks them as people do:
// a few often, most seldom.
func thousand(b *bench) error {
	const n, model, what = 1000, "iris", "1,000 models of iris"
	folder, err := filepath.Abs("testdata/models")
	if err != nil {
		return err
	}
	s, err := b.many(folder)
	if err != nil {
		return err
	}
	defer s.stop()
	body, err := b.file("row.csv", []byte("5.1,3.5,1.4,0.2\n"))
	if err != nil {
		return err
	}
	before, err := s.settled()
	if err != nil {
		return err
	}
	mix := make([]load.Request, n)
	for i := range mix {
		name := fmt.Sprintf("m%d", i)
		if _, err := s.load(name, filepath.Join(folder, model)); err != nil {
			return err
		}
		mix[i] = invoke(name, body)
		mix[i].Weight = 1 / math.Pow(float64(i+1), 1.1)
	}
	after, err := s.settled()
	if err != nil {
		return err
	}
	bare, err := b.bareSessions(filepath.Join(folder, model, "model.onnx"), n)
	if err != nil {
		return err
	}
	each := (after - before) / n
	b.report(row{What: what + ": memory of each", Value: fmt.Sprintf("%d KB", each>>10), Against: fmt.Sprintf("%d KB: a bare session", bare>>10),
		Ratio: float64(each) / float64(bare), Limit: 1.3})
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.cmd.Process.Pid))
	if err != nil {
		return err
	}
	b.report(row{What: what + ": threads of the process", Value: fmt.Sprint(len(threads)), Against: "64", Ratio: float64(len(threads)) / 64, Limit: 1})
	spec := load.Spec{Connections: 64, Seconds: 0.6, Warm: 0.2, Requests: mix[:1]}
	all := spec
	all.Requests = mix
	var ones, mixes []load.Result
	if err := interleave(b.rounds, s.collect(&ones, "one of 1,000 models", spec), s.collect(&mixes, "a mix of 1,000 models", all)); err != nil {
		return err
	}
	b.report(row{What: what + ", Zipf: requests/s", Value: fmt.Sprintf("%.0f", over(mixes, perSecond)), Against: fmt.Sprintf("%.0f: one of them", over(ones, perSecond)),
		Ratio: ratios(mixes, ones, func(m, o load.Result) float64 { return perSecond(m) / perSecond(o) }), Limit: 0.8, Least: true})
	return nil
}

// bareSessions returns what each of n bare sessions of a model holds, opened
// by ONNX Runtime in a process that does nothing else.
func (b *bench) bareSessions(model string, n int) (int64, error) {
	one, err := b.bare(model, 1)
	if err != nil {
		return 0, err
	}
	all, err := b.bare(model, n+1)
	if err != nil {
		return 0, err
	}
	return (all - one) / int64(n), nil
}

// cold opens the two networks from archives, in turn with what is the least:
// unpacking, and one session of ONNX Runtime.
func cold(b *bench) error {
	if err := onnx.Start(b.library); err != nil {
		return err
	}
	for _, n := range []struct {
		name    string
		network networks.Network
	}{{"SqueezeNet", networks.SqueezeNet}, {"ResNet-50", networks.ResNet50}} {
		if err := b.coldLoad(n.name, n.network); err != nil {
			return errors.Join(err, onnx.Stop())
		}
	}
	return onnx.Stop()
}

func (b *bench) coldLoad(name string, network networks.Network) error {
	folder, err := os.MkdirTemp(b.dir, "cold-")
	if err != nil {
		return err
	}
	plain := filepath.Join(folder, "plain")
	if err := os.Mkdir(plain, 0o755); err != nil {
		return err
	}
	if err := network.Write(filepath.Join(plain, "model.onnx"), networks.Options{Seed: 1}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(plain, "clary.yaml"), []byte("warmup: false\nbatching: {mode: \"off\"}\n"), 0o644); err != nil {
		return err
	}
	archive := filepath.Join(folder, "model.tar.gz")
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	if err := errors.Join(artifact.Pack(f, plain), f.Close()); err != nil {
		return err
	}
	s, err := b.many(folder)
	if err != nil {
		return err
	}
	defer s.stop()
	var took, least []float64
	ours := func() error {
		d, err := s.load("cold", archive)
		if err != nil {
			return err
		}
		took = append(took, d.Seconds())
		_, err = s.unload("cold")
		return err
	}
	theirs := func() error {
		d, err := unpackAndOpen(archive, filepath.Join(folder, "unpacked"))
		least = append(least, d.Seconds())
		return err
	}
	if err := interleave(max(b.rounds, 11), ours, theirs); err != nil {
		return err
	}
	b.report(row{What: "cold load of " + name, Value: milli(median(took)), Against: "1.15 x " + milli(median(least)) + " (unpacking, one bare session) + 5 ms",
		Ratio: ratios(took, least, func(t, l float64) float64 { return t / (1.15*l + 5e-3) }), Limit: 1})
	return nil
}

// unpackAndOpen times what cannot be done without.
func unpackAndOpen(archive, dir string) (took time.Duration, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	defer os.RemoveAll(dir)
	begin := time.Now()
	if err := artifact.Unpack(f, dir, artifact.Limits{}); err != nil {
		return 0, err
	}
	session, err := onnx.Open(context.Background(), filepath.Join(dir, "model.onnx"), onnx.Options{})
	if err != nil {
		return 0, err
	}
	return time.Since(begin), session.Close()
}
