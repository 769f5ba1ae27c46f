package clary_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The three models that are one together, in their order.
var chainSteps = []string{"chain-scale", "chain-classify", "chain-best"}

// writePipeline writes a pipeline.yaml into a folder of its own and returns
// the folder.
func writePipeline(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pipeline.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func modelDir(t testing.TB, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata/models", name))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A step of each kind, as a line of pipeline.yaml.
func inProcess(t testing.TB, name string) string {
	return fmt.Sprintf("  - {name: %s, model: %q%s}\n", name, modelDir(t, name), asks(name))
}

func asCommand(t testing.TB, name string) string {
	return fmt.Sprintf("  - {name: %s, command: [%q, serve], env: {SM_MODEL_DIR: %q}%s}\n",
		name, filepath.Join(binaries, "serve"), modelDir(t, name), asks(name))
}

func asContainer(t testing.TB, name string) string {
	return fmt.Sprintf("  - {name: %s, url: %q%s}\n", name, start(t, "serve", nil, modelDir(t, name)).base, asks(name))
}

// asks is in which format a step in the middle is asked to answer.
func asks(name string) string {
	if name == "chain-best" {
		return ""
	}
	return ", accept: application/x-npy"
}

// aPortRange is one that the other tests of this machine hardly use.
func aPortRange() string {
	low := 26000 + 20*rand.IntN(300)
	return fmt.Sprintf("SAGEMAKER_SAFE_PORT_RANGE=%d-%d", low, low+19)
}

func conduct(t testing.TB, text string, env ...string) *process {
	t.Helper()
	return start(t, "serve", append(env, aPortRange()), writePipeline(t, text))
}

func chainOf(t testing.TB, kinds ...func(testing.TB, string) string) string {
	text := "name: flowers\nsteps:\n"
	for i, name := range chainSteps {
		text += kinds[i%len(kinds)](t, name)
	}
	return text
}

// chainRows are the rows of the chain's last case, as CSV.
func chainRows(t testing.TB) (csv string, n int) {
	t.Helper()
	e := readExpected(t, "testdata/models/chain-scale")
	in := e.Cases[len(e.Cases)-1].Inputs[0]
	for i := range in.rows() {
		for j, v := range in.row(i) {
			if j > 0 {
				csv += ","
			}
			csv += fmt.Sprint(v)
		}
		csv += "\n"
	}
	return csv, in.rows()
}

type pipelineState struct {
	Pipeline, Mode string
	Steps          []struct {
		Name, Kind, State, Why, URL string
		PID, Restarts               int
		Requests, Errors            int
		Latency                     map[string]float64 `json:"latency_ms"`
	}
}

func (p *process) pipeline() pipelineState {
	p.t.Helper()
	a := p.get("/pipeline")
	var s pipelineState
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != 200 {
		p.t.Fatalf("GET /pipeline: %d %s %v", a.status, a.body, err)
	}
	return s
}

// However its steps are made, a chain gives the same bytes.
func TestAChainAnswersAlikeHoweverItsStepsAreMade(t *testing.T) {
	body, n := chainRows(t)
	last := readExpected(t, "testdata/models/chain-best")
	want := last.Cases[len(last.Cases)-1].Outputs
	answers := map[string]string{}
	for name, kinds := range map[string][]func(testing.TB, string) string{
		"in process": {inProcess}, "commands": {asCommand}, "containers": {asContainer},
		"mixed": {asContainer, inProcess, asCommand}, "two in process, then one": {inProcess, inProcess, asCommand}, "one, then two": {asCommand, inProcess, inProcess},
	} {
		p := conduct(t, chainOf(t, kinds...))
		a := p.invoke("text/csv", body, "Accept", "text/csv", "X-Amzn-SageMaker-Inference-Id", "id-7", "X-Amzn-SageMaker-Custom-Attributes", "k=v")
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") || strings.Count(strings.TrimSpace(a.body), "\n")+1 != n {
			t.Errorf("%s: %d %q %.300s", name, a.status, a.header, a.body)
			continue
		}
		if a.header.Get("X-Request-Id") != "id-7" || a.header.Get("X-Amzn-Sagemaker-Custom-Attributes") != "k=v" {
			t.Errorf("%s: the reply has the headers %q", name, a.header)
		}
		if err := checkAccepted("text/csv", last, want, a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		answers[name] = a.body
		s := p.pipeline()
		if s.Pipeline != "flowers" || s.Mode != "serial" || len(s.Steps) != 3 {
			t.Errorf("%s: GET /pipeline: %+v", name, s)
		}
		for i, step := range s.Steps {
			if step.Name != chainSteps[i] || step.State != "ready" || step.Requests != 1 || step.Errors != 0 || step.Latency["p50"] <= 0 {
				t.Errorf("%s: GET /pipeline: %+v", name, step)
			}
		}
		if m := p.get("/metrics").body; !strings.Contains(m, `sagemaker_invocations_total{model="flowers"} 1`) ||
			!strings.Contains(m, `clary_step_requests_total{step="chain-classify"} 1`) || !strings.Contains(m, `clary_step_up{step="chain-best"} 1`) ||
			!strings.Contains(m, `sagemaker_container_latency_seconds_count{step="chain-scale"} 1`) {
			t.Errorf("%s: the metrics lack the steps:\n%s", name, m)
		}
		if d := p.get("/").body; !strings.Contains(d, `"pipeline": "flowers"`) || !strings.Contains(d, `"chain-classify"`) {
			t.Errorf("%s: GET /: %s", name, d)
		}
		p.signal(syscall.SIGTERM)
		if code := p.wait(); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
		for _, step := range s.Steps {
			if step.PID != 0 && syscall.Kill(step.PID, 0) == nil {
				t.Errorf("%s: step %s outlives the server", name, step.Name)
			}
		}
	}
	for name, body := range answers {
		if body != answers["in process"] {
			t.Errorf("%s answers\n%s\nin process\n%s", name, body, answers["in process"])
		}
	}
}

func TestAStepThatIsKilledIsNamedAndComesBack(t *testing.T) {
	p := conduct(t, chainOf(t, asCommand))
	row := "5.1,3.5,1.4,0.2"
	if a := p.invoke("text/csv", row); a.status != 200 {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	before := p.pipeline().Steps[1]
	// A command that is held back is found by the requests that need it.
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	named := false
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		a := p.invoke("text/csv", row)
		if a.status == 200 {
			if named {
				break
			}
			continue // it has not ended yet
		}
		if a.status != 503 || !strings.Contains(a.body, `step \"chain-classify\"`) || a.header.Get("Retry-After") == "" {
			t.Fatalf("while it is gone: %d %s", a.status, a.body)
		}
		named = true
	}
	if !named {
		t.Error("no request has found it gone")
	}
	p.eventually(200, "/ping")
	after := p.pipeline().Steps[1]
	if after.PID == before.PID || after.Restarts != 1 || after.Errors == 0 && named && after.State != "ready" {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if line := p.logged("step exited"); line["step"] != "chain-classify" || line["level"] != "error" {
		t.Errorf("logged %v", line)
	}
	if line := p.logged("output"); line["step"] == nil || line["line"] == nil {
		t.Errorf("logged %v", line)
	}
}

func TestWhatAStepSaysOfABadRequestIsA424ThatNamesIt(t *testing.T) {
	for name, kind := range map[string]func(testing.TB, string) string{"in process": inProcess, "commands": asCommand} {
		p := conduct(t, chainOf(t, kind))
		for _, c := range []struct {
			contentType, body, accept string
			want                      []string
		}{
			{"text/csv", "1,2,3", "", []string{`step \"chain-scale\" answered 400: `}},
			{"text/what", "1", "", []string{`step \"chain-scale\" answered 415: `}},
			{"text/csv", "5.1,3.5,1.4,0.2", "image/png", []string{`step \"chain-best\" answered 406: `}},
		} {
			a := p.invoke(c.contentType, c.body, "Accept", c.accept)
			var e struct {
				Code          int
				Type, Message string
			}
			if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != 424 || e.Code != 424 || e.Type != "ModelError" {
				t.Errorf("%s: %q: %d %s %v", name, c.body, a.status, a.body, err)
			}
			for _, want := range c.want {
				if !strings.Contains(a.body, want) {
					t.Errorf("%s: %q: %s, want %q", name, c.body, a.body, want)
				}
			}
		}
		if a := p.invoke("text/csv", ""); a.status != 204 {
			t.Errorf("%s: no rows: %d %s", name, a.status, a.body)
		}
	}
}

func TestADirectPipelineServesTheStepThatIsNamed(t *testing.T) {
	text := "mode: direct\nsteps:\n" + inProcess(t, "chain-scale") + asCommand(t, "chain-classify")
	p := conduct(t, text)
	for i, c := range []struct{ step, body string }{{"chain-scale", "5.1,3.5,1.4,0.2"}, {"chain-classify", "1,1,1,1"}} {
		alone := start(t, "serve", nil, modelDir(t, c.step)).invoke("text/csv", c.body, "Accept", "text/csv")
		a := p.invoke("text/csv", c.body, "Accept", "text/csv", "X-Amzn-SageMaker-Target-Container-Hostname", c.step)
		if a.status != 200 || a.body != alone.body || a.header.Get("Content-Type") != alone.header.Get("Content-Type") {
			t.Errorf("%s: %d %s, by itself %s", c.step, a.status, a.body, alone.body)
		}
		if s := p.pipeline(); s.Mode != "direct" || s.Steps[i].Requests != 1 || s.Steps[1-i].Requests != i {
			t.Errorf("%+v", s)
		}
	}
	for _, headers := range [][]string{nil, {"X-Amzn-SageMaker-Target-Container-Hostname", "other"}} {
		a := p.invoke("text/csv", "1", headers...)
		if a.status != 400 || !strings.Contains(a.body, "chain-scale, chain-classify") {
			t.Errorf("%q: %d %s", headers, a.status, a.body)
		}
	}
}

func TestAPipelineIsReadyWhenEveryStepIs(t *testing.T) {
	pings := make(chan int, 1)
	pings <- 500
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := <-pings
		pings <- code
		w.WriteHeader(code)
	}))
	t.Cleanup(late.Close)
	text := "steps:\n" + inProcess(t, "chain-scale") + fmt.Sprintf("  - {name: late, url: %q}\n", late.URL)
	p := launch(t, "serve", []string{"CLARY_PIPELINE=" + filepath.Join(writePipeline(t, text), "pipeline.yaml")})
	p.logged("listening")
	for p.pipeline().Steps[1].Why == "" { // the first ping has come back
		time.Sleep(time.Millisecond)
	}
	if a := p.get("/ping"); a.status != 503 || !strings.Contains(a.body, `step \"late\": it is not ready (starting): /ping is 500`) {
		t.Errorf("/ping: %d %s", a.status, a.body)
	}
	if a := p.invoke("text/csv", "1"); a.status != 503 {
		t.Errorf("an invocation: %d %s", a.status, a.body)
	}
	<-pings
	pings <- 200
	p.eventually(200, "/ping")
	<-pings
	pings <- 500
	p.eventually(503, "/ping")
}

func TestRequestsAreFinishedBeforeTheStepsAreStopped(t *testing.T) {
	inside, open := make(chan struct{}), make(chan struct{})
	holds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ping" {
			return
		}
		close(inside)
		<-open
		w.Header().Set("Content-Type", "text/csv")
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(holds.Close)
	p := conduct(t, fmt.Sprintf("steps:\n  - {name: holds, url: %q}\n", holds.URL)+asCommand(t, "chain-scale"))
	answers := make(chan answer, 1)
	go func() {
		a, err := p.try(p.request("POST", "/invocations", "5.1,3.5,1.4,0.2", "Content-Type", "text/csv"))
		if err != nil {
			a.body = err.Error()
		}
		answers <- a
	}()
	<-inside
	p.signal(syscall.SIGTERM)
	p.logged("draining")
	close(open)
	if a := <-answers; a.status != 200 {
		t.Errorf("the request that was inside: %d %s", a.status, a.body)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestAPipelineThatCannotBeEndsTheStart(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"key":        {"stpes: []", "pipeline.yaml, line 1: there is no stpes; did you mean steps?"},
		"no model":   {"steps:\n  - {name: a, model: nowhere}\n  - {name: b, url: 'http://127.0.0.1:1'}", `pipeline.yaml, line 2: step \"a\": no model: `},
		"no program": {"steps:\n  - {name: a, command: nowhere}\n  - {name: b, url: 'http://127.0.0.1:1'}", `step \"a\": exec: \"nowhere\": executable file not found`},
		"no fit":     {"steps:\n" + inProcess(t, "chain-scale") + inProcess(t, "chain-best"), `step \"chain-best\" does not fit behind step \"chain-scale\": it takes \"scores\" float32[-1 3], and there is \"scaled\" float32[-1 4]`},
	} {
		cmd := program(t, "serve", nil, writePipeline(t, c.text), "--host", "127.0.0.1", "--port", "0")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for value, want := range map[string]string{"nonsense": "want LOW-HIGH", "30000-20000": "want LOW-HIGH"} {
		out, err := program(t, "serve", []string{"SAGEMAKER_SAFE_PORT_RANGE=" + value}, iris).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "SAGEMAKER_SAFE_PORT_RANGE") {
			t.Errorf("%s: %v\n%s", value, err, out)
		}
	}
}

// Without an Accept between the steps they speak JSON, and each reads what the
// one before it writes.
func TestAChainNeedsNoFormatsToBeNamed(t *testing.T) {
	text := "steps:\n"
	for _, name := range chainSteps {
		text += strings.Replace(asCommand(t, name), ", accept: application/x-npy", "", 1)
	}
	p := conduct(t, text)
	for _, c := range []struct{ contentType, body, want string }{
		{"text/csv", "5.1,3.5,1.4,0.2", `{"predictions":[{"class":0,"confidence":0.9823517}]}`},
		{"application/json", "[[5.1,3.5,1.4,0.2]]", `{"class":[0],"confidence":[0.9823517]}`},
		{"application/json", `{"instances":[[5.1,3.5,1.4,0.2]]}`, `{"predictions":[{"class":0,"confidence":0.9823517}]}`},
	} {
		if a := p.invoke(c.contentType, c.body); a.status != 200 || strings.TrimSpace(a.body) != c.want {
			t.Errorf("%s: %d %s", c.body, a.status, a.body)
		}
	}
}
