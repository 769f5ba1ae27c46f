package clary_test

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// outcome runs the program to its end.
func outcome(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := program(t, "serve", env, args...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

func TestWrongCommandLinesAndSettingsExit2WithALine(t *testing.T) {
	for _, c := range []struct {
		env, args []string
		says      []string
	}{
		{nil, []string{"train"}, []string{`"train"`, "inspect", "package", "version"}},
		{nil, []string{"serve", "--prot", "1"}, []string{"prot"}},
		{nil, []string{"--port", "99999"}, []string{"99999", "port"}},
		{nil, []string{"a.onnx", "b.onnx"}, []string{"one model"}},
		{nil, []string{"inspect"}, []string{"usage"}},
		{nil, []string{"package"}, []string{"usage"}},
		{nil, []string{"version", "please"}, []string{"no arguments"}},
		{[]string{"CLARY_HOTS=x"}, nil, []string{"CLARY_HOTS", "CLARY_HOST?"}},
		{[]string{"CLARY_XYZZY_PLUGH=x"}, nil, []string{"CLARY_XYZZY_PLUGH"}},
		{[]string{"SAGEMAKER_BIND_TO_PORT=http"}, nil, []string{"SAGEMAKER_BIND_TO_PORT", "http"}},
		{[]string{"SAGEMAKER_MODEL_SERVER_WORKERS=0"}, nil, []string{"WORKERS", "1 or more"}},
		{[]string{"SAGEMAKER_MODEL_SERVER_TIMEOUT=soon"}, nil, []string{"soon", "seconds"}},
		{[]string{"SAGEMAKER_BATCH=maybe"}, nil, []string{"maybe", "true or false"}},
		{[]string{"SAGEMAKER_CONTAINER_LOG_LEVEL=loud"}, nil, []string{"loud"}},
		{[]string{"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=text/html"}, nil, []string{"text/html"}},
		{[]string{"SAGEMAKER_MAX_PAYLOAD_IN_MB=-1"}, nil, []string{"PAYLOAD"}},
		{[]string{"CLARY_MODEL_MEMORY=lots"}, nil, []string{"CLARY_MODEL_MEMORY", "512MiB"}},
		{[]string{"CLARY_MODEL_EVICTION=fifo"}, nil, []string{"lru or gdsf"}},
		{[]string{"CLARY_OPTIMIZATION=extreme"}, nil, []string{"extended"}},
	} {
		code, stdout, stderr := outcome(t, c.env, c.args...)
		if code != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v serve %v: exit %d, %q, %q", c.env, c.args, code, stdout, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stderr, s) {
				t.Errorf("%v serve %v says %q, not %q", c.env, c.args, stderr, s)
			}
		}
	}
}

func TestAModelThatCannotBeOpenedEndsTheProcessWithOneLine(t *testing.T) {
	dir := t.TempDir()

	whole, err := os.ReadFile("testdata/models/digits/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"broken.onnx": whole[:len(whole)/2], "text.onnx": []byte("not a model"), "empty.onnx": nil, "model.tar.gz": []byte("\x1f\x8b broken")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "hollow"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"broken.onnx", "text.onnx", "empty.onnx", "model.tar.gz", "hollow", "missing.onnx"} {
		path := filepath.Join(dir, name)
		code, stdout, stderr := outcome(t, nil, path, "--host", "127.0.0.1", "--port", "0")
		var errorLines []string
		for _, line := range strings.Split(stdout, "\n") {
			if strings.Contains(line, `"level":"error"`) {
				errorLines = append(errorLines, line)
			}
		}
		if code != 1 || len(errorLines) != 1 || !strings.Contains(errorLines[0], name) || stderr != "" {
			t.Errorf("%s: exit %d, stdout %s, stderr %s", name, code, stdout, stderr)
		}
	}
	_, stdout, _ := outcome(t, []string{"ORT_DYLIB_PATH=/nowhere/libonnxruntime.so"}, iris, "--host", "127.0.0.1", "--port", "0")
	if !strings.Contains(stdout, "/nowhere/libonnxruntime.so") {
		t.Errorf("a missing library: %s", stdout)
	}
	_, stdout, _ = outcome(t, []string{"SAGEMAKER_BASE_DIR=" + dir}, "serve", "--host", "127.0.0.1", "--port", "0")
	if !strings.Contains(stdout, filepath.Join(dir, "model")) {
		t.Errorf("the folder that was looked into is not named: %s", stdout)
	}
}

func TestAPanicInModelFnIsAFailureToLoad(t *testing.T) {
	p := launch(t, "unruly", []string{"UNRULY_MODELFN=panic"}, iris)
	if code := p.wait(); code != 1 || !strings.Contains(p.log(), "ModelFn has had enough") {
		t.Errorf("exit %d:\n%s", code, p.log())
	}
}

func TestATakenPortIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	code, stdout, _ := outcome(t, []string{"SAGEMAKER_BIND_TO_PORT=" + port}, iris, "--host", "127.0.0.1")
	if code != 1 || !strings.Contains(stdout, "cannot listen") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestHelpAndVersion(t *testing.T) {
	code, stdout, stderr := outcome(t, nil, "--help")
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, s := range []string{"SAGEMAKER_BIND_TO_PORT", "CLARY_HOST", "--max-request-size", "default 8080", "inspect", "package"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("--help has no %s", s)
		}
	}
	code, stdout, _ = outcome(t, nil, "version")
	if code != 0 || !strings.Contains(stdout, "onnxruntime 1.30.0") || !strings.Contains(stdout, "clary ") {
		t.Errorf("version: exit %d, %s", code, stdout)
	}
}

func TestTheSettingsPageIsWhatTheProgramPrints(t *testing.T) {
	_, stdout, _ := outcome(t, nil, "settings")
	page, err := os.ReadFile("docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != stdout {
		t.Error("docs/settings.md is not what `serve settings` prints: run `make docs`")
	}
}

func TestWhatKubernetesAndAWSInjectIsNoError(t *testing.T) {
	p := start(t, "serve", []string{"CLARY_PORT=tcp://10.0.0.1:80", "CLARY_SERVICE_HOST=10.0.0.1", "CLARY_SERVICE_PORT=80",
		"CLARY_PORT_80_TCP_ADDR=10.0.0.1", "CLARY_CANARY_SERVICE_HOST=10.0.0.2", "CLARY_CANARY_PORT_80_TCP=x", "CLARY_CANARY_SERVICE_PORT_HTTP=80",
		"SAGEMAKER_PROGRAM=inference.py", "SAGEMAKER_MODEL_SERVER_VMARGS=-Xmx1g", "SAGEMAKER_SAFE_PORT_RANGE=25000-25999", "SAGEMAKER_MULTI_MODEL=false"}, iris)
	mustAnswer(t, p)
	line := p.logged("these variables mean nothing here and are ignored")
	for _, name := range []string{"SAGEMAKER_PROGRAM", "SAGEMAKER_MODEL_SERVER_VMARGS"} {
		if !strings.Contains(strings.Join(anyStrings(line["variables"]), " "), name) {
			t.Errorf("%s is not among %v", name, line["variables"])
		}
	}
}

func anyStrings(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, x := range list {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}

// A packed folder, the folder and the file answer alike, however they are
// named: argument, flag, environment, SageMaker's base folder.
func TestEveryWayToNameAModelServesIt(t *testing.T) {
	work := t.TempDir()
	archive := filepath.Join(work, "base", "model", "model.tar.gz")
	if err := os.MkdirAll(filepath.Dir(archive), 0o700); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := outcome(t, nil, "package", iris, "-o", archive); code != 0 || !strings.Contains(stdout, archive) {
		t.Fatalf("package: exit %d, %s%s", code, stdout, stderr)
	}
	temp := filepath.Join(work, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ env, args []string }{
		{nil, []string{iris}},
		{nil, []string{"serve", iris + "/model.onnx"}},
		{nil, []string{"serve", archive}},
		{nil, []string{"--model-dir", archive}},
		{[]string{"SM_MODEL_DIR=" + iris}, nil},
		{[]string{"SM_MODEL_DIR=/nowhere"}, []string{iris}},
		{[]string{"SAGEMAKER_BASE_DIR=" + filepath.Join(work, "base")}, []string{"serve"}},
	} {
		p := start(t, "serve", append(c.env, "TMPDIR="+temp), c.args...)
		mustAnswer(t, p)
		p.signal(15)
		if code := p.wait(); code != 0 {
			t.Errorf("%v: exit %d", c, code)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}

func TestInspectSaysWhatTheModelTakes(t *testing.T) {
	for _, c := range []struct {
		model string
		says  []string
	}{
		{iris, []string{"float32[?,4]", "output_label", "int64[?]", "0, 1, 2", "skl2onnx", "ai.onnx.ml", "curl -s localhost:8080/invocations"}},
		{"testdata/models/mixed", []string{"sex", "string[?,1]", "age", "int64[?,1]"}},
		{"testdata/models/external", []string{"weights.bin"}},
		{"testdata/models/sequence/model.onnx", []string{"sequence of float32"}},
	} {
		code, stdout, stderr := outcome(t, nil, "inspect", c.model)
		if code != 0 || stderr != "" {
			t.Errorf("inspect %s: exit %d, %s", c.model, code, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stdout, s) {
				t.Errorf("inspect %s has no %q:\n%s", c.model, s, stdout)
			}
		}
	}
	if code, _, stderr := outcome(t, nil, "inspect", "/nowhere"); code != 1 || !strings.Contains(stderr, "/nowhere") {
		t.Errorf("inspect of nothing: exit %d, %s", code, stderr)
	}
}

// Every line that inspect prints, one for each format that the model takes, is
// answered when pasted; GET / has the same ones.
func TestThePrintedLinesWork(t *testing.T) {
	seen := map[string]int{}
	for _, dir := range models(t) {
		p := start(t, "serve", nil, dir)
		_, stdout, _ := outcome(t, nil, "inspect", dir)
		var described struct {
			Formats []struct {
				MediaType string `json:"media_type"`
				Accepts   bool
				Example   string
			}
		}
		if err := json.Unmarshal([]byte(p.get("/").body), &described); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range described.Formats {
			line := strings.ReplaceAll(f.Example, strings.TrimPrefix(p.base, "http://"), "localhost:8080")
			if !strings.Contains(stdout, "\n# "+f.MediaType+"\n"+line) && f.Accepts {
				t.Errorf("%s: inspect does not print the line for %s that GET / has", dir, f.MediaType)
			}
			if f.Example == "" {
				continue
			}
			n++
			seen[f.MediaType]++
			cmd := exec.Command("bash", "-c", "set -o pipefail; "+f.Example+" --fail-with-body")
			cmd.Env = append(os.Environ(), "PATH=.cache/oracle/bin:"+os.Getenv("PATH"))
			if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
				t.Errorf("%s: %s\n%v: %s", dir, f.Example, err, out)
			}
		}
		if n == 0 {
			t.Errorf("%s: no line to paste", dir)
		}
	}
	for _, mediaType := range []string{"application/json", "application/jsonlines", "text/csv", "application/x-npy", "application/x-npz",
		"application/x-recordio-protobuf", "text/libsvm", "application/octet-stream", "text/plain", "application/x-parquet",
		"application/vnd.apache.arrow.stream", "application/vnd.sagemaker-triton.binary+json", "image/png", "image/jpeg", "image/webp", "application/x-image"} {
		if seen[mediaType] == 0 {
			t.Errorf("no model has a line for %s", mediaType)
		}
	}
}
