package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/claryhq/clary/bench/networks"
)

// gpuTrouble is what must not bring the server down, and what must.
func gpuTrouble(b *bench, g *gpuSettings) error {
	return errors.Join(b.drains(g), b.runsOut(g), b.losesGPU(g))
}

// drains ends a server under load with SIGTERM.
func (b *bench) drains(g *gpuSettings) error {
	c := gpuCase{b: b, g: g, n: g.networks[0]}
	dir, body, err := c.request(8)
	if err != nil {
		return err
	}
	s, err := b.clary(dir, g.env(precision{}))
	if err != nil {
		return err
	}
	defer s.stop()
	var mu sync.Mutex // guards the counts
	count := map[string]int{}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var all sync.WaitGroup
	var signalled atomic.Bool // what begins later may find nobody who listens
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				late := signalled.Load()
				what := ask(client, s.addr, body)
				if what == "refused" && !late {
					what = "broken"
				}
				mu.Lock()
				count[what]++
				mu.Unlock()
				if what == "refused" {
					return
				}
			}
		})
	}
	time.Sleep(time.Duration(g.seconds * float64(time.Second)))
	signalled.Store(true)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	begin := time.Now()
	_ = s.cmd.Wait() // its exit status is looked at below
	took := time.Since(begin)
	stop()
	all.Wait()
	b.report(row{What: "SIGTERM under load: exit code, and answers that broke off", Value: fmt.Sprintf("%d, %d", s.cmd.ProcessState.ExitCode(), count["broken"]),
		Against: fmt.Sprintf("%d answers, %d of them 503; %s to drain", count["200"]+count["503"], count["503"], milli(took.Seconds()))})
	if code := s.cmd.ProcessState.ExitCode(); code != 0 || count["broken"] > 0 {
		return fmt.Errorf("after SIGTERM the exit code is %d, and %d answers broke off", code, count["broken"])
	}
	return nil
}

// ask sends one request and says what became of it: the status, "refused" where
// there was no answer, "broken" where it ended early.
func ask(client *http.Client, addr string, body []byte) string {
	return askAt(client, addr, "/invocations", body)
}

func askAt(client *http.Client, addr, path string, body []byte) string {
	resp, err := client.Post("http://"+addr+path, "application/x-npy", bytes.NewReader(body))
	if err != nil {
		return "refused"
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "broken"
	}
	return fmt.Sprint(resp.StatusCode)
}

// request makes the network, and a body of a batch for it.
func (c *gpuCase) request(batch int) (dir string, body []byte, err error) {
	if dir, err = c.n.Make(c.b.cache, networks.Options{Float16: c.p.float16}); err != nil {
		return "", nil, err
	}
	in, err := c.input(batch)
	if err != nil {
		return "", nil, err
	}
	return dir, npyOf(in[0]), nil
}

// runsOut sends more than the model's part of the GPU has room for.
func (b *bench) runsOut(g *gpuSettings) error {
	what := "no memory on the GPU in a run: 507, and what comes after it"
	if !g.cuda {
		b.skipped(what)
		return nil
	}
	n := g.networks[len(g.networks)-1]
	dir := filepath.Join(b.dir, "small-part")
	if err := b.shared(n, dir, "gpu_memory: 400MiB"); err != nil {
		return err
	}
	s, err := b.clary(dir, append(g.env(precision{}), "CLARY_CUDA=tf32=false,conv_search=heuristic")) // the search for the fastest wants memory of its own
	if err != nil {
		return err
	}
	defer s.stop()
	var got []string
	for _, batch := range []int{1, 512, 1, 512, 1} {
		c := gpuCase{b: b, g: g, n: n}
		_, body, err := c.request(batch)
		if err != nil {
			return err
		}
		got = append(got, ask(http.DefaultClient, s.addr, body))
	}
	alive := s.ready()
	b.report(row{What: what, Value: strings.Join(got, " "), Against: "200 507 200 507 200"})
	if strings.Join(got, " ") != "200 507 200 507 200" {
		alive = errors.Join(alive, fmt.Errorf("runs of 1 and 512 images in 400 MiB: %v", got))
	}
	return alive
}

// losesGPU lets a stand-in for the driver's management library say that the GPU
// is lost: a real one cannot be lost at will. In a dry run all of the GPU is a
// stand-in.
func (b *bench) losesGPU(g *gpuSettings) error {
	dir, err := b.standIns(g)
	if err != nil {
		return err
	}
	list := filepath.Join(b.dir, "gpus")
	state := func(s string) error {
		return os.WriteFile(list, []byte("gpu GPU-stand-in 81920 1024 0 "+s+"\n"), 0o600)
	}
	if err := state("ok"); err != nil {
		return err
	}
	env := append(g.env(precision{}), "LD_LIBRARY_PATH="+dir+":"+os.Getenv("LD_LIBRARY_PATH"), "FAKE_NVML="+list, "CLARY_DEVICE=cuda:0", "CUDA_VISIBLE_DEVICES=0")
	library := b.library
	if !g.cuda {
		library = filepath.Join(dir, "libonnxruntime.so.1")
		absolute, err := filepath.Abs(b.library)
		if err != nil {
			return err
		}
		env = append(env, "FAKE_ORT="+absolute)
	}
	model, _, err := (&gpuCase{b: b, g: g, n: g.networks[0]}).request(1)
	if err != nil {
		return err
	}
	s, err := b.clary(model, env, "--onnxruntime", library)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := state("lost"); err != nil {
		return err
	}
	begin := time.Now()
	for time.Since(begin) < 20*time.Second {
		resp, err := http.Get("http://" + s.addr + "/ping")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			b.report(row{What: "a lost GPU: /ping is 503 after", Value: milli(time.Since(begin).Seconds())})
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the GPU is lost, and /ping is 200")
}

// standIns returns a folder with the libraries of testdata/gpu: the driver's
// management library, and in a dry run the driver and ONNX Runtime too.
func (b *bench) standIns(g *gpuSettings) (dir string, err error) {
	libraries := map[string]string{"libnvidia-ml.so.1": "nvml.c"}
	if !g.cuda {
		libraries["libcuda.so.1"], libraries["libonnxruntime.so.1"] = "cuda.c", "onnxruntime.c"
	}
	if made := filepath.Join(b.programs, "stand-ins"); b.programs != "" {
		if !g.cuda {
			return made, nil
		}
		dir = filepath.Join(b.dir, "stand-ins") // the other libraries' there would be found before the real ones
		return dir, errors.Join(os.MkdirAll(dir, 0o755), os.Symlink(filepath.Join(made, "libnvidia-ml.so.1"), filepath.Join(dir, "libnvidia-ml.so.1")))
	}
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	dir = filepath.Join(b.dir, "stand-ins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for library, source := range libraries {
		out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-I", string(bytes.TrimSpace(header)), "-o", filepath.Join(dir, library),
			filepath.Join("testdata/gpu", source), "-ldl").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("gcc: %w: %s", err, out)
		}
	}
	return dir, nil
}
