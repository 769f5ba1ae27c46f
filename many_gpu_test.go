package clary_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	p, base := platform(t, "serve", m.with("CLARY_DEVICE=cuda:0", "CLARY_MODEL_PATIENCE=0")...)
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

// TestWhatModelsGrowToCounts: the arena of a model grows while it runs and keeps
// what it took, which is charged to it, comes back with it, and is nobody's part.
func TestWhatModelsGrowToCounts(t *testing.T) {
	m := newGPUMachine(t, twoGPUs) // of cuda:0, 7168 MiB are there for models
	p, base := platform(t, "serve", m.with("CLARY_DEVICE=cuda:0", "CLARY_MODEL_PATIENCE=0", "CLARY_MODEL_PINNED=kept")...)
	m.write(m.take, "1000")
	want(t, "load a", p.load("a", placeWith(t, base, "a", "")), 200)
	want(t, "load b", p.load("b", placeWith(t, base, "b", "")), 200)
	m.write(m.grow, "4000")
	want(t, "ask a", p.ask("a", setosaRow), 200)
	m.write(m.grow, "0")
	m.usedOf(p, "7024")
	want(t, "a's memory", p.get("/models/a"), 200, `"cuda:0":5242880000`) // 5000 MiB
	if a := p.get("/metrics"); !strings.Contains(a.body, `clary_models_bytes{pool="cuda:0"} 6.291456e+09`) {
		t.Error("the metrics do not have what a has grown by")
	}

	// More than both took when they were opened, and than what is free.
	want(t, "load c", p.load("c", placeWith(t, base, "c", "gpu_memory: 6000MiB")), 200)
	want(t, "a gave way", p.get("/models/a"), 200, `"status":"evicted"`)
	want(t, "unload c", p.unload("c"), 200)

	// The part of another is not to be had because it does not use it yet.
	m.write(m.take, "500")
	want(t, "load kept", p.load("kept", placeWith(t, base, "kept", "gpu_memory: 4000MiB")), 200)
	for _, name := range []string{"a", "b"} {
		if p.get("/models/"+name).status == 200 {
			want(t, "unload "+name, p.unload(name), 200)
		}
	}
	m.write(m.take, "1000")
	want(t, "load d", p.load("d", placeWith(t, base, "d", "")), 200)
	m.write(m.grow, "1800")
	want(t, "ask d", p.ask("d", setosaRow), 200)
	m.write(m.grow, "0")
	m.usedOf(p, "4324") // d has 2800, kept has 500 of 4000: 368 are left
	want(t, "load e", p.load("e", placeWith(t, base, "e", "gpu_memory: 3100MiB")), 200)
	want(t, "d gave way", p.get("/models/d"), 200, `"status":"evicted"`)
	want(t, "load f", p.load("f", placeWith(t, base, "f", "gpu_memory: 3200MiB")), http.StatusInsufficientStorage, "cuda:0")
	want(t, "e stays", p.get("/models/e"), 200, `"status":"ready"`)
	want(t, "kept stays", p.get("/models/kept"), 200, `"status":"ready"`, `"cuda:0":4194304000`)
}

// TestWhatOthersGrowByIsNotTheOpened: a model that runs while another is opened.
func TestWhatOthersGrowByIsNotTheOpened(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p, base := platform(t, "serve", m.with("CLARY_DEVICE=cuda:0")...)
	m.write(m.take, "1000")
	want(t, "load a", p.load("a", placeWith(t, base, "a", "")), 200)
	if err := errors.Join(os.Remove(m.take), syscall.Mkfifo(m.take, 0o600)); err != nil {
		t.Fatal(err)
	}
	b, loaded := placeWith(t, base, "b", ""), make(chan answer)
	go func() { loaded <- p.load("b", b) }()
	take, err := os.OpenFile(m.take, os.O_WRONLY, 0) // as soon as b's session is being opened
	if err != nil {
		t.Fatal(err)
	}
	m.write(m.grow, "3000")
	want(t, "ask a", p.ask("a", setosaRow), 200)
	m.write(m.grow, "0")
	if _, err := take.WriteString("500"); err != nil || take.Close() != nil {
		t.Fatal(err)
	}
	want(t, "load b", <-loaded, 200)
	want(t, "b's memory", p.get("/models/b"), 200, `"cuda:0":524288000`)
	want(t, "a's memory", p.get("/models/a"), 200, `"cuda:0":4194304000`)
}

// TestAPartIsABound: what a run wants beyond the model's part is a 507, of which
// the others notice nothing; a model that cannot be run in its part is not loaded.
func TestAPartIsABound(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p, base := platform(t, "serve", m.with("CLARY_DEVICE=cuda:0", "CLARY_MODEL_PATIENCE=0")...)
	m.write(m.take, "500")
	want(t, "load a", p.load("a", placeWith(t, base, "a", "gpu_memory: 1000MiB")), 200)
	want(t, "load b", p.load("b", placeWith(t, base, "b", "gpu_fraction: 0.5")), 200)
	m.write(m.grow, "600")
	want(t, "run a", p.ask("a", setosaRow), http.StatusInsufficientStorage)
	want(t, "run b", p.ask("b", setosaRow), 200)
	want(t, "load c", p.load("c", placeWith(t, base, "c", "gpu_memory: 1000MiB")), http.StatusInsufficientStorage)
	m.usedOf(p, "2624") // 1024, a's 500 and b's 1100
	m.write(m.grow, "0")
	want(t, "run a again", p.ask("a", setosaRow), 200)
	m.write(m.take, "1200")
	want(t, "a session larger than its part", p.load("d", placeWith(t, base, "d", "gpu_memory: 1000MiB")), http.StatusInsufficientStorage, "its part is 1000 MiB")

	// Nobody gives way for what does not fit its own part: b takes all there is.
	m.write(m.take, "0")
	tiny := placeWith(t, base, "e", "gpu_memory: 1KiB")
	want(t, "weights larger than the part", p.load("e", tiny), http.StatusInsufficientStorage, "its weights are")
	m.write(m.list, strings.Replace(twoGPUs, " 1024 12", " 8192 12", 1))
	want(t, "and on a full GPU", p.load("e", tiny), http.StatusInsufficientStorage, "its weights are")
	for _, name := range []string{"a", "b"} {
		want(t, name+" stays", p.get("/models/"+name), 200, `"status":"ready"`)
	}
}

// TestModelsOfTheCPUAndOfTwoGPUs: room is made where it is lacking, and a model
// goes to where room can be made.
func TestModelsOfTheCPUAndOfTwoGPUs(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p, base := platform(t, "serve", m.with("CLARY_MODEL_PATIENCE=0", "CLARY_MODEL_PINNED=pinned")...)
	want(t, "load host", p.load("host", placeWith(t, base, "host", "device: cpu")), 200)
	m.write(m.take, "3000")
	want(t, "load pinned", p.load("pinned", placeWith(t, base, "pinned", "device: cuda:0")), 200)
	m.write(m.take, "5000")
	want(t, "load idle", p.load("idle", placeWith(t, base, "idle", "device: cuda:1")), 200)
	want(t, "load large", p.load("large", placeWith(t, base, "large", "gpu_memory: 6000MiB")), 200)
	want(t, "it went to the GPU where one gave way", p.get("/models/large"), 200, `"cuda:1":6291456000`)
	want(t, "that one", p.get("/models/idle"), 200, `"status":"evicted"`)
	for _, name := range []string{"host", "pinned"} { // used less recently
		want(t, name+" stays", p.get("/models/"+name), 200, `"status":"ready"`)
	}
	want(t, "an own part of the other", p.load("beside", placeWith(t, base, "beside", "gpu_memory: 4000MiB")), http.StatusInsufficientStorage)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 { // making CUDA's context replaces handlers too
		t.Errorf("exit code %d", code)
	}
}

// TestALoadOnALostGPU is no fault of the model: 503, and /ping too.
func TestALoadOnALostGPU(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p, base := platform(t, "serve", m.with()...)
	m.write(m.fail, "CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=h ; file=f ; line=1 ; expr=e; ")
	want(t, "load a", p.load("a", placeWith(t, base, "a", "")), http.StatusServiceUnavailable, "the GPU is lost")
	want(t, "ping", p.get("/ping"), http.StatusServiceUnavailable, "lost")
}

// TestMoreThanWeightsSay: what a model's weights do not tell is found out when it
// is opened, and then idle models give way for it.
func TestMoreThanWeightsSay(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p, base := platform(t, "serve", m.with("CLARY_DEVICE=cuda:0", "CLARY_MODEL_PATIENCE=0")...)
	m.write(m.take, "3000")
	for _, name := range []string{"a", "b", "c"} { // of 7168 MiB
		want(t, "load "+name, p.load(name, placeWith(t, base, name, "")), 200)
	}
	want(t, "a gave way", p.get("/models/a"), 200, `"status":"evicted"`)
	want(t, "b did not", p.get("/models/b"), 200, `"status":"ready"`)
	m.write(m.take, "7500")
	d := placeWith(t, base, "d", "")
	want(t, "load d", p.load("d", d), http.StatusInsufficientStorage)
	m.usedOf(p, "1024") // it was tried with all the others gone
	m.write(m.take, "3000")
	want(t, "ask b", p.ask("b", setosaRow), 200)
	m.write(m.take, "7500")
	want(t, "load d again", p.load("d", d), http.StatusInsufficientStorage, "is all there is")
	want(t, "nobody gives way again", p.get("/models/b"), 200, `"status":"ready"`)
}
