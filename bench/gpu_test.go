package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheGPUsScriptRuns: its dry run, on the CPU, goes through every suite.
func TestTheGPUsScriptRuns(t *testing.T) {
	results := t.TempDir()
	cmd := exec.Command("./gpu.sh", "--device", "cpu", "--small", "--", "-results", results)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	files, err := filepath.Glob(results + "/*.json")
	if err != nil || len(files) != 1 {
		t.Fatalf("%d results: %v", len(files), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var run struct{ Rows []row }
	if err := json.Unmarshal(text, &run); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, r := range run.Rows {
		rows[r.Suite]++
	}
	for _, s := range gpuSuites {
		if rows[s.name] == 0 || !strings.Contains(string(out), s.name) {
			t.Errorf("nothing of %s in\n%s", s.name, out)
		}
	}
}

// TestTheGPUsScriptJoinsPieces: a library in pieces is joined, and so is what
// is missing said.
func TestTheGPUsScriptJoinsPieces(t *testing.T) {
	folder, work := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"libonnxruntime.so.1.part-000": "one ", "libonnxruntime.so.1.part-001": "two"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("./gpu.sh", "--libraries", folder, "--small")
	cmd.Env = append(os.Environ(), "GPU_BENCH_WORK="+work)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no providers among the libraries") {
		t.Errorf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(work, "lib", "libonnxruntime.so.1"))
	if err != nil || string(text) != "one two" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestASuiteThatHangsLeavesTheOthers, and a row that says so.
func TestASuiteThatHangsLeavesTheOthers(t *testing.T) {
	results := t.TempDir()
	cmd := exec.Command("./gpu.sh", "--device", "cpu", "--small", "--", "-results", results, "-suite", "correct,trouble", "-limit", "1ms")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "correct: it took longer than 1ms; trouble: it took longer than 1ms") {
		t.Errorf("%v:\n%s", err, out)
	}
	files, err := filepath.Glob(results + "/*.json")
	if err != nil || len(files) != 1 {
		t.Fatalf("%d results: %v", len(files), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || strings.Count(string(text), `"FAILED"`) != 2 {
		t.Errorf("%v: %s", err, text)
	}
}

// TestTheGPUsScriptOnStandIns: what a dry run leaves out, as far as stand-ins for
// the driver's libraries and ONNX Runtime's provider can show it.
func TestTheGPUsScriptOnStandIns(t *testing.T) {
	folder, work, results := t.TempDir(), t.TempDir(), t.TempDir()
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"libonnxruntime.so.1": "onnxruntime.c", "libcuda.so.1": "cuda.c", "libnvidia-ml.so.1": "nvml.c"} {
		cmd := exec.Command("cc", "-shared", "-fPIC", "-I", strings.TrimSpace(string(header)), "-o", filepath.Join(folder, name), "../testdata/gpu/"+source, "-ldl")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
	}
	library, err := filepath.Abs("../bin/libonnxruntime.so.1")
	if err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("ORT_DYLIB_PATH"); path != "" {
		library = path
	}
	gpus, take := filepath.Join(work, "gpus"), filepath.Join(work, "take")
	for path, text := range map[string]string{gpus: "gpu GPU-aaaa 81920 1024 0 ok\n", take: "300", filepath.Join(folder, "libonnxruntime_providers_cuda.so"): ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	suites := "correct,share"
	if os.Getenv("CLARY_SOAK") != "" {
		suites += ",speed"
	}
	cmd := exec.Command("./gpu.sh", "--libraries", folder, "--small", "--", "-results", results, "-suite", suites)
	cmd.Env = append(os.Environ(), "GPU_BENCH_WORK="+work, "FAKE_ORT="+library, "FAKE_NVML="+gpus, "FAKE_CUDA_TAKE="+take)
	out, err := cmd.CombinedOutput()
	if text := string(out); err != nil && suites == "correct,share" || strings.Contains(text, whatFailed) || !strings.Contains(text, "400 MiB; it answered 200 200 200 200 200") ||
		!strings.Contains(text, "twice 0.3 of 85899.3 MB") {
		t.Errorf("%v:\n%s", err, out)
	}
}
