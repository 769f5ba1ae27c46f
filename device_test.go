package clary_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// twoGPUs is a machine as testdata/gpu/nvml.c shows it.
const twoGPUs = "gpu GPU-aaaa 8192 1024 12 ok\ngpu GPU-bbbb 8192 512 0 ok\n"

// A gpuMachine is a machine with GPUs as far as a server without one can be
// made to believe: stand-ins for the driver's library and for an ONNX Runtime
// with the CUDA provider, which runs on the CPU.
type gpuMachine struct {
	t    *testing.T
	dir  string
	log  string // of the provider options that ONNX Runtime was given
	list string // the devices
	fail string // what every Run fails with
	copy string // the error of every copy
	take string // how many MiB of its GPU a session takes
	grow string // how many more it takes when it runs
	env  []string
}

func newGPUMachine(t *testing.T, devices string) *gpuMachine {
	t.Helper()
	dir := t.TempDir()
	m := &gpuMachine{t: t, dir: dir, log: filepath.Join(dir, "log"), list: filepath.Join(dir, "devices"), fail: filepath.Join(dir, "fail"),
		copy: filepath.Join(dir, "copy"), take: filepath.Join(dir, "take"), grow: filepath.Join(dir, "grow")}
	m.compile("libnvidia-ml.so.1", "testdata/gpu/nvml.c")
	m.compile("libcuda.so.1", "testdata/gpu/cuda.c")
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	m.compile("libonnxruntime.so.1", "testdata/gpu/onnxruntime.c", "-I", strings.TrimSpace(string(header)))
	m.write(m.list, devices)
	m.env = []string{"LD_LIBRARY_PATH=" + dir, "FAKE_NVML=" + m.list, "FAKE_ORT=" + library(t), "FAKE_CUDA_LOG=" + m.log, "FAKE_CUDA_FAIL=" + m.fail,
		"FAKE_CUDA_COPY=" + m.copy, "FAKE_CUDA_TAKE=" + m.take, "FAKE_CUDA_GROW=" + m.grow,
		"ORT_DYLIB_PATH=" + filepath.Join(dir, "libonnxruntime.so.1")}
	return m
}

func (m *gpuMachine) compile(name, source string, flags ...string) {
	m.t.Helper()
	args := append([]string{"-shared", "-fPIC", "-O1", "-o", filepath.Join(m.dir, name), source}, flags...)
	if out, err := exec.Command("cc", append(args, "-ldl")...).CombinedOutput(); err != nil {
		m.t.Fatalf("%v:\n%s", err, out)
	}
}

func (m *gpuMachine) write(path, text string) {
	m.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// options is what the providers were told so far.
func (m *gpuMachine) options() string {
	text, err := os.ReadFile(m.log)
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *gpuMachine) with(env ...string) []string {
	return append(append([]string{}, m.env...), env...)
}

// model makes a folder with the iris model and a clary.yaml.
func (m *gpuMachine) model(yaml string) string {
	m.t.Helper()
	dir := m.t.TempDir()
	model, err := os.ReadFile("testdata/models/iris/model.onnx")
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(filepath.Join(dir, "model.onnx"), string(model))
	m.write(filepath.Join(dir, "clary.yaml"), yaml)
	return dir
}

const flower = "5.1,3.5,1.4,0.2\n"

func TestDevice(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	for _, test := range []struct {
		env    []string
		device string // of the line "device"
		why    string
		placed string // of the line "ready"
	}{
		{m.with(), "cuda", "2 GPUs, driver 580.65.06", "cuda:1"},
		{m.with("CLARY_DEVICE=cuda:0"), "cuda", "2 GPUs", "cuda:0"},
		{m.with("CLARY_DEVICE=cuda:0,1"), "cuda", "2 GPUs", "cuda:1"},
		{m.with("CLARY_DEVICE=cpu"), "cpu", "CLARY_DEVICE=cpu", "cpu"},
		{m.with("CUDA_VISIBLE_DEVICES=GPU-aaaa"), "cuda", "1 GPUs", "cuda:0"},
		{m.with("CUDA_VISIBLE_DEVICES=-1"), "cpu", "none of them", "cpu"},
		{m.with("FAKE_NVML=/nowhere"), "cpu", "Driver Not Loaded", "cpu"},
		{m.with("FAKE_CUDA_LOAD=libcublasLt.so.13: cannot open shared object file"), "cpu", "libcublasLt.so.13", "cpu"},
		{m.with("ORT_DYLIB_PATH=" + library(t)), "cpu", "no CUDA provider", "cpu"},
	} {
		p := start(t, "serve", test.env, "testdata/models/iris")
		line, ready := p.logged("device"), p.logged("ready")
		if fmt.Sprint(line["device"]) != test.device || !strings.Contains(fmt.Sprint(line["why"]), test.why) || fmt.Sprint(ready["device"]) != test.placed {
			t.Errorf("%v: %v, %v; want %s because %s, on %s", test.env[len(test.env)-1], line, ready["device"], test.device, test.why, test.placed)
		}
		if a := p.invoke("text/csv", flower); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
		p.signal(syscall.SIGTERM)
		if code := p.wait(); code != 0 {
			t.Errorf("%v: exit code %d after SIGTERM", test.env[len(test.env)-1], code)
		}
	}
}

// TestDeviceMissing: what was asked for by name and is not there ends the
// start, saying whether the GPU or the library lacks it and what to do.
func TestDeviceMissing(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	lost := filepath.Join(m.dir, "lost")
	m.write(lost, strings.Replace(twoGPUs, "0 ok", "0 lost", 1))
	for _, test := range []struct {
		env  []string
		yaml string
		want []string
	}{
		{m.with("CLARY_DEVICE=cuda", "FAKE_NVML=/nowhere"), "", []string{"CLARY_DEVICE=cuda: no GPU", "docker run --gpus all"}},
		{m.with("CLARY_DEVICE=cuda", "CUDA_VISIBLE_DEVICES="), "", []string{"CUDA_VISIBLE_DEVICES is empty"}},
		{m.with("CLARY_DEVICE=cuda", "ORT_DYLIB_PATH="+library(t)), "", []string{"has no CUDA provider (it has ", "onnxruntime-gpu", "CLARY_DEVICE=cpu"}},
		{m.with("CLARY_DEVICE=cuda", "FAKE_CUDA_LOAD=libcudart.so.13: cannot open"), "", []string{"libcudart.so.13", "install CUDA and cuDNN"}},
		{m.with("CLARY_DEVICE=cuda", "FAKE_NVML="+lost), "", []string{"CLARY_DEVICE=cuda: gpu: GPU 1", "GPU is lost", "wants a reset"}},
		{m.with("CLARY_DEVICE=cuda:1,2"), "", []string{"there is no GPU 2: this process may use 2", "inspect --devices"}},
		{m.with("FAKE_NVML=/nowhere"), "device: cuda", []string{"device cuda: no GPU"}},
		{m.with(), "device: cuda:3", []string{"device cuda:3: there is no GPU 3"}},
		{m.with(), "gpu_memory: 9GiB", []string{"out of memory", "needs 9216 MiB", "7680 MiB of 8192 MiB"}},
		{m.with("CLARY_PROVIDERS=openvino"), "", []string{"openvino provider cannot be had", "built without it; it has tensorrt, cuda, cpu"}},
		{m.with("CLARY_DEVICE=cpu", "CLARY_PROVIDERS=cuda"), "", []string{"cuda provider cannot be had", "given the CPU: CLARY_DEVICE is cpu"}},
		{m.with("FAKE_NVML=/nowhere"), "providers: [tensorrt, cuda]", []string{"tensorrt provider cannot be had", "no GPU", "docker run --gpus all"}},
		{m.with("ORT_DYLIB_PATH=" + library(t)), "providers: [cuda]", []string{"cuda provider cannot be had", "has no CUDA provider", "onnxruntime-gpu"}},
		{m.with(), "device: cpu\nproviders: [cuda]", []string{"cuda provider cannot be had", "device is cpu"}},
		{m.with("CLARY_DEVICE=cuda", "FAKE_OPENVINO=1"), "providers: [openvino, cpu]", []string{"device is cuda", "none of the providers openvino, cpu runs on a GPU"}},
		{m.with(), "gpu_memory: 1KiB", []string{"out of memory", "its part of cuda:1 is 0 MiB"}},
		{m.with(), "providers: [tensorrt]\ntensorrt: {engines: " + m.list + "/engines}", []string{"the folder for TensorRT's engines", "not a directory"}},
		{m.with(), "providers: [tensorrt]\ntensorrt: {engines: /proc/self}", []string{"the folder for TensorRT's engines", "tensorrt.engines"}},
	} {
		p := launch(t, "serve", test.env, m.model(test.yaml))
		if code := p.wait(); code != 1 {
			t.Errorf("%v: exit code %d", test.env[len(test.env)-1], code)
		}
		for _, want := range test.want {
			if why := fmt.Sprint(p.logged("stopped")["error"]); !strings.Contains(why, want) {
				t.Errorf("%v: %s; want %s", test.env[len(test.env)-1], why, want)
			}
		}
	}
}

// TestProviderOptions: what clary.yaml and the settings say arrives at the
// providers, the settings winning key by key.
func TestProviderOptions(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	dir := m.model(`device: cuda:0
gpu_fraction: 0.25
streams: 2
providers: [openvino, tensorrt, cuda]
fallback: true
cuda: {tf32: true, conv_search: exhaustive, copy_stream: true}
tensorrt: {fp16: true, engines: ` + m.dir + `/engines}
`)
	p := start(t, "serve", m.with("CLARY_CUDA=tf32=false"), dir)
	for _, want := range []string{"cuda device_id=0\n", "cuda gpu_mem_limit=1073741824\n", "cuda arena_extend_strategy=kSameAsRequested\n", "cuda use_tf32=0\n",
		"cuda cudnn_conv_algo_search=EXHAUSTIVE\n", "cuda do_copy_in_default_stream=0\n", "tensorrt trt_fp16_enable=1\n",
		"tensorrt trt_engine_cache_path=" + m.dir + "/engines/", "tensorrt trt_timing_cache_enable=1\n"} {
		if !strings.Contains(m.options(), want) {
			t.Errorf("no %q in\n%s", want, m.options())
		}
	}
	if o := m.options(); strings.Index(o, "tensorrt appended") > strings.Index(o, "cuda appended") {
		t.Errorf("the order is not the wanted one:\n%s", o)
	}
	if line := p.logged("a provider is left out"); fmt.Sprint(line["provider"]) != "openvino" {
		t.Errorf("%v", line)
	}
	if a := p.get("/metrics"); !strings.Contains(a.body, `clary_gpu_memory_used_bytes{gpu="0",uuid="GPU-aaaa"} 1.073741824e+09`) ||
		!strings.Contains(a.body, `clary_gpu_memory_total_bytes{gpu="1",uuid="GPU-bbbb"}`) || !strings.Contains(a.body, `clary_gpu_utilization_ratio{gpu="0",uuid="GPU-aaaa"} 0.12`) {
		t.Error("the GPUs' metrics are not there")
	}
}

// TestOneCopyEachWay: a request's rows are copied to the GPU once, and what
// comes out of it once, by ONNX Runtime where there is no graph.
func TestOneCopyEachWay(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.with("CLARY_BATCHING=off"), m.model("warmup: false"))
	for range 3 {
		if a := p.invoke("text/csv", flower); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := strings.Count(m.options(), "copy in 16\n"); n != 3 {
		t.Errorf("%d copies of 3 requests:\n%s", n, m.options())
	}
}

func TestNoBinding(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.with("CLARY_CUDA=bind=false"), "testdata/models/iris")
	if a := p.invoke("text/csv", flower); a.status != http.StatusOK || strings.Contains(m.options(), "copy in") {
		t.Errorf("%d %s, %s", a.status, a.body, m.options())
	}
}

// TestWarmedAtLoad: each number of rows that matters has run before the first
// request, in each of a model's streams.
func TestWarmedAtLoad(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	start(t, "serve", m.with("CLARY_BATCHING=off"), m.model("streams: 3\nbatches: [8, 32]\n"))
	for _, copied := range []string{"copy in 16\n", "copy in 128\n", "copy in 512\n"} {
		if n := strings.Count(m.options(), copied); n != 3 {
			t.Errorf("%d times %q in\n%s", n, copied, m.options())
		}
	}
}

// TestSettingsWin over what clary.yaml says of the same, in another form too.
func TestSettingsWin(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.with("CLARY_DEVICE=cuda:0", "CLARY_GPU_FRACTION=0.25", "CUDA_DEVICE_ORDER=FASTEST_FIRST"), m.model("device: cpu\ngpu_memory: 3GiB\n"))
	for _, want := range []string{"cuda gpu_mem_limit=2147483648\n", "cuda device_id=0\n", "env CUDA_DEVICE_ORDER=PCI_BUS_ID\n"} {
		if !strings.Contains(m.options(), want) {
			t.Errorf("no %q in\n%s", want, m.options())
		}
	}
	if a := p.get("/ping"); a.status != http.StatusOK {
		t.Error(a.status)
	}
}

// TestOpenVINO: where the library has it, it runs models on the CPU of a machine
// with GPUs, with the options that were given.
func TestOpenVINO(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.with("FAKE_OPENVINO=1", "CLARY_OPENVINO=threads=3"), m.model("providers: [openvino]\nopenvino: {precision: FP16}\n"))
	if ready := p.logged("ready"); fmt.Sprint(ready["device"]) != "cpu" {
		t.Errorf("%v", ready)
	}
	for _, want := range []string{"openvino device_type=CPU\n", "openvino num_of_threads=3\n", "openvino precision=FP16\n"} {
		if !strings.Contains(m.options(), want) {
			t.Errorf("no %q in\n%s", want, m.options())
		}
	}
	if a := p.invoke("text/csv", flower); a.status != http.StatusOK || strings.Contains(m.options(), "cuda appended") {
		t.Errorf("%d %s, %s", a.status, a.body, m.options())
	}
}

// TestEnginesAreOfOneModel: TensorRT names engines by a model's names and shapes,
// not its weights, so each model has a folder of its own.
func TestEnginesAreOfOneModel(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	engines := filepath.Join(m.dir, "engines")
	if err := os.Mkdir(engines, 0o755); err != nil {
		t.Fatal(err)
	}
	m.write(filepath.Join(engines, "table"), "scales")
	yaml := "providers: [tensorrt]\ntensorrt: {int8: true, calibration: table, engines: " + engines + "}\n"
	other := m.model(yaml)
	text, err := os.ReadFile("testdata/models/digits/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	m.write(filepath.Join(other, "model.onnx"), string(text))
	for _, dir := range []string{m.model(yaml), m.model(yaml), other} {
		start(t, "serve", m.env, dir)
	}
	folders := map[string]bool{}
	for line := range strings.Lines(m.options()) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "tensorrt trt_engine_cache_path="); ok {
			folders[path] = true
		}
	}
	if len(folders) != 2 {
		t.Errorf("two models, one of them twice, have their engines in %v", folders)
	}
	for path := range folders {
		if table, err := os.ReadFile(filepath.Join(path, "table")); filepath.Dir(path) != engines || err != nil || string(table) != "scales" {
			t.Errorf("%s: %q, %v", path, table, err)
		}
	}
}

// TestCUDAGraphs: they are asked for, recorded for the numbers of rows that are
// warmed, and answer as runs do.
func TestCUDAGraphs(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.with("CLARY_BATCHING=off"), m.model("batches: [4]\ncuda: {graphs: true}\n"))
	for _, want := range []string{"cuda enable_cuda_graph=1\n", "run gpu_graph_id=1\n", "run gpu_graph_id=4\n", "copy out 12\n"} {
		if !strings.Contains(m.options(), want) {
			t.Errorf("no %q in\n%s", want, m.options())
		}
	}
	plain := start(t, "serve", nil, "testdata/models/iris")
	for _, rows := range []int{1, 2, 4, 4, 1} {
		body := strings.Repeat(flower, rows)
		a, want := p.invoke("text/csv", body), plain.invoke("text/csv", body)
		if a.status != http.StatusOK || a.body != want.body {
			t.Errorf("%d rows: %d %s, want %s", rows, a.status, a.body, want.body)
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestBadDeviceSettings(t *testing.T) {
	for env, want := range map[string]string{
		"CLARY_DEVICE=gpu":        "want auto, cpu, cuda, cuda:1 or cuda:0,2",
		"CLARY_DEVICE=cuda:0,0":   "different GPUs",
		"CLARY_GPU_FRACTION=1.5":  "such as 0.3",
		"CLARY_GPU_MEMORY=50%":    "gpu_fraction is for shares",
		"CLARY_PROVIDERS=cdua":    "did you mean cuda?",
		"CLARY_CUDA=tf23=true":    "did you mean cuda.tf32?",
		"CLARY_CUDA=tf32":         "want key=value",
		"CLARY_TENSORRT=fp16=yea": "tensorrt.fp16 is true or false",
	} {
		cmd := program(t, "serve", []string{env}, "testdata/models/iris")
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s; want %s", env, err, out, want)
		}
	}
}

func TestInspectDevices(t *testing.T) {
	m := newGPUMachine(t, "gpu GPU-aaaa 8192 1024 12 ok\ngpu GPU-bbbb 8192 0 0 mig\nmig MIG-cccc 4096 96 1 0\n")
	out, err := program(t, "serve", m.with("CUDA_VISIBLE_DEVICES=0,MIG-cccc"), "inspect", "--devices").CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{"tensorrt, cuda, cpu", "580.65.06", "cuda:0", "MIG-cccc", "4000.0 MiB free of 4096.0 MiB", "part of GPU-bbbb", "cuda:1", "12% busy"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, err = program(t, "serve", nil, "inspect", "--devices").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "providers") || !strings.Contains(string(out), "no GPU") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestGPUFailures: a Run for which the GPU has no memory is a 507 and the
// server goes on; a GPU that is lost turns /ping to 503.
func TestGPUFailures(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.env, m.model("warmup: false\nstreams: 2\nbatches: [4]\n"))
	m.write(m.fail, "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:359 void* onnxruntime::BFCArena::AllocateRawInternal(size_t) Available memory of 1024 is smaller than requested bytes of 4096")
	if a := p.invoke("text/csv", flower); a.status != http.StatusInsufficientStorage {
		t.Errorf("%d %s", a.status, a.body)
	}
	m.write(m.fail, "")
	if a := p.invoke("text/csv", flower); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := p.get("/ping"); a.status != http.StatusOK {
		t.Errorf("ping: %d", a.status)
	}
	m.write(m.copy, "2") // out of memory
	if a := p.invoke("text/csv", flower); a.status != http.StatusInsufficientStorage {
		t.Errorf("a copy: %d %s", a.status, a.body)
	}
	m.write(m.copy, "")
	if a := p.invoke("text/csv", flower); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	m.write(m.fail, "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h ; file=f ; line=1 ; expr=e; ")
	if a := p.invoke("text/csv", flower); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := p.get("/ping"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "lost") {
		t.Errorf("ping: %d %s", a.status, a.body)
	}
}

// TestAnothersGPUFallsOff: one that this server was told not to use.
func TestAnothersGPUFallsOff(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.with("CLARY_DEVICE=cuda:1"), "testdata/models/iris")
	m.write(m.list, strings.Replace(twoGPUs, "12 ok", "12 lost", 1))
	if a := p.invoke("text/csv", flower); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := p.get("/metrics"); strings.Contains(a.body, `clary_gpu_memory_used_bytes{gpu="0"`) || !strings.Contains(a.body, `clary_gpu_memory_used_bytes{gpu="1"`) {
		t.Error("the metrics are not those of the GPU that answers")
	}
	m.write(m.list, strings.ReplaceAll(twoGPUs, " ok", " lost"))
	p.eventually(http.StatusServiceUnavailable, "/ping")
	if line := p.logged("a GPU is lost; /ping is 503 from now on"); !strings.Contains(fmt.Sprint(line["error"]), "cuda:1 GPU-bbbb") {
		t.Errorf("%v", line)
	}
}

// TestGPUFallsOff: nobody asks for a prediction, and the driver says it.
func TestGPUFallsOff(t *testing.T) {
	m := newGPUMachine(t, twoGPUs)
	p := start(t, "serve", m.env, "testdata/models/iris")
	m.write(m.list, strings.Replace(twoGPUs, "0 ok", "0 lost", 1))
	p.eventually(http.StatusServiceUnavailable, "/ping")
	p.logged("a GPU is lost; /ping is 503 from now on")
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestPartsOfAPipelinesModels: the parts of models of one process add up to no
// more than the GPU has, though none of them is used yet.
func TestPartsOfAPipelinesModels(t *testing.T) {
	m := newGPUMachine(t, twoGPUs) // of cuda:0, 7168 MiB are free
	dir := writePipeline(t, chainOf(t, inProcess))
	env := m.with(aPortRange(), "CLARY_DEVICE=cuda:0")
	p := start(t, "serve", append(env, "CLARY_GPU_MEMORY=2000MiB"), dir)
	rows, _ := chainRows(t)
	if a := p.invoke("text/csv", rows); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	p = launch(t, "serve", append(env, "CLARY_GPU_MEMORY=3000MiB"), dir)
	if code, why := p.wait(), fmt.Sprint(p.logged("stopped")["error"]); code != 1 || !strings.Contains(why, "needs 3000 MiB, and cuda:0, which has the most room, has 1168 MiB") {
		t.Errorf("exit code %d: %s", code, why)
	}
}
