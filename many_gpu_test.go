package clary_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// placeWith is place with a clary.yaml of its own.
func placeWith(t *testing.T, base, hash, yaml string) string {
	t.Helper()
	dir := place(t, base, hash, "iris")
	if err := os.WriteFile(filepath.Join(dir, "clary.yaml"), []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// usedOf is what the driver's stand-in shows of the first GPU.
func (m *gpuMachine) usedOf(p *process, mib string) {
	m.t.Helper()
	text, err := os.ReadFile(m.list)
	if err != nil || !strings.Contains(string(text), " 8192 "+mib+" 12 ") {
		m.t.Errorf("%s of the GPU are not in use: %v\n%s", mib, err, text)
	}
}

// TestTheBudgetIsTheGPUs: what models take of a GPU is measured, counts against
// what the driver says is free, makes idle models of that GPU give way, and is
// a 507 where that does not help, of which the others notice nothing.
func TestTheBudgetIsTheGPUs(t *testing.T) {
	m := newGPUMachine(t, twoGPUs) // of cuda:0, 1024 of 8192 MiB are in use by others
	p, base := platform(t, "serve", m.with("CLARY_DEVICE=cuda:0")...)
	m.write(m.take, "3000")
	want(t, "load a", p.load("a", placeWith(t, base, "a", "")), 200)
	want(t, "load b", p.load("b", placeWith(t, base, "b", "")), 200)
	m.usedOf(p, "7024")
	want(t, "a's memory", p.get("/models/a"), 200, `"cuda:0":3145728000`, `"host":`)
	if a := p.get("/metrics"); !strings.Contains(a.body, `clary_models_bytes{pool="cuda:0"} 6.291456e+09`) ||
		!strings.Contains(a.body, `clary_models_budget_bytes{pool="cuda:0"} 7.516192768e+09`) {
		t.Error("the GPU's pool is not in the metrics")
	}
	want(t, "the server says so too", p.get("/"), 200, `"budgetByPool":{"cuda:0":7516192768,"host":`, `"memoryByPool":{"cuda:0":6291456000,`)
	want(t, "ask a", p.ask("a", setosaRow), 200)

	// A part that fits once b has gone, which was used less recently than a.
	m.write(m.take, "2000")
	want(t, "load c", p.load("c", placeWith(t, base, "c", "gpu_memory: 4000MiB")), 200)
	want(t, "a stays", p.get("/models/a"), 200, `"status":"ready"`)
	want(t, "b gave way", p.get("/models/b"), 200, `"status":"evicted"`)
	m.usedOf(p, "6024")
	want(t, "c's memory is its part", p.get("/models/c"), 200, `"cuda:0":4194304000`)

	// What does not fit beside what is kept, and what never fits.
	want(t, "load d", p.load("d", placeWith(t, base, "d", "gpu_memory: 7900MiB")), http.StatusInsufficientStorage, "cuda:0")
	want(t, "load e", p.load("e", placeWith(t, base, "e", "gpu_fraction: 1")), http.StatusInsufficientStorage, "cuda:0")
	for _, name := range []string{"a", "c"} {
		want(t, name+" notices nothing", p.get("/models/"+name), 200, `"status":"ready"`)
		want(t, name+" answers", p.ask(name, setosaRow), 200)
	}
	want(t, "b comes back", p.ask("b", setosaRow), 200)

	for _, name := range []string{"a", "b", "c"} {
		want(t, "unload "+name, p.unload(name), 200)
	}
	m.usedOf(p, "1024")
}

// TestNoMemoryOnTheGPU: what ONNX Runtime itself finds no memory for, on load
// and on run, is a 507 too.
func TestNoMemoryOnTheGPU(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p, base := platform(t, "serve", m.with()...)
	m.write(m.take, "100")
	want(t, "load a", p.load("a", placeWith(t, base, "a", "device: cuda:0")), 200)
	m.write(m.fail, "Failed to allocate memory for requested buffer of size 4294967296")
	b := placeWith(t, base, "b", "")
	want(t, "load b", p.load("b", b), http.StatusInsufficientStorage)
	want(t, "run a", p.ask("a", setosaRow), http.StatusInsufficientStorage)
	m.write(m.fail, "")
	want(t, "run a again", p.ask("a", setosaRow), 200)
	want(t, "load b again", p.load("b", b), 200)
	want(t, "b went to the other GPU", p.get("/models/b"), 200, `"cuda:1":104857600`)
	want(t, "a device that is not there", p.load("c", placeWith(t, base, "c", "device: cuda:7")), 400, "there is no GPU 7")
	want(t, "the CPU", p.load("d", placeWith(t, base, "d", "device: cpu")), 200)
	if a := p.get("/models/d"); strings.Contains(a.body, "cuda") {
		t.Errorf("d is on a GPU: %s", a.body)
	}
}
