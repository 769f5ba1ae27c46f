package clary_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const setosaRow = "5.1,3.5,1.4,0.2"

// platform is a server with many models, and the folder that it may load from.
func platform(t *testing.T, name string, env ...string) (*process, string) {
	t.Helper()
	base := t.TempDir()
	return launch(t, name, append([]string{"SAGEMAKER_MULTI_MODEL=true", "SAGEMAKER_BASE_DIR=" + base}, env...)), base
}

// place copies a model of testdata to where the platform would put it, and
// returns that.
func place(t *testing.T, base, hash, model string) string {
	t.Helper()
	dir := filepath.Join(base, "models", hash, "model")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/models", model))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p *process) load(name, path string) answer {
	p.t.Helper()
	body, err := json.Marshal(map[string]string{"model_name": name, "url": path})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(p.request(http.MethodPost, "/models", string(body), "Content-Type", "application/json"))
}

func (p *process) ask(name, body string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodPost, "/models/"+url.PathEscape(name)+"/invoke", body, "Content-Type", "text/csv", "Accept", "text/csv"))
}

func (p *process) unload(name string) answer {
	p.t.Helper()
	return p.do(p.request(http.MethodDelete, "/models/"+url.PathEscape(name), ""))
}

func want(t *testing.T, what string, a answer, status int, parts ...string) {
	t.Helper()
	ok := a.status == status
	for _, part := range parts {
		ok = ok && strings.Contains(a.body, part)
	}
	if !ok {
		t.Errorf("%s: %d %s, want %d with %q", what, a.status, a.body, status, parts)
	}
}

// The life of a multi-model endpoint as the platform drives it, and the
// bodies that AWS's tests of its own servers compare.
func TestAPlatformsLife(t *testing.T) {
	p, base := platform(t, "serve")
	want(t, "ping at once", p.get("/ping"), 200)
	if a := p.get("/models"); a.status != 200 || a.body != "{\"models\":[]}\n" {
		t.Errorf("GET /models at once: %d %s", a.status, a.body)
	}
	iris := place(t, base, "8f3a", "iris")
	want(t, "load", p.load("8f3a", iris), 200, `{"status":"Workers scaled"}`)
	want(t, "load again", p.load("8f3a", iris), 409, "8f3a", `"code":409`)
	want(t, "list", p.get("/models"), 200, fmt.Sprintf(`{"models":[{"modelName":"8f3a","modelUrl":%q}]}`, iris))
	want(t, "get", p.get("/models/8f3a"), 200, `"modelName":"8f3a"`, fmt.Sprintf(`"modelUrl":%q`, iris), `"status":"ready"`, `"memoryBytes":{"host":`, `"estimatedBytes":{"host":`)
	want(t, "invoke", p.ask("8f3a", setosaRow), 200, "0,0.9999")
	want(t, "invocations with a target", p.invoke("text/csv", setosaRow, "Accept", "text/csv", "X-Amzn-SageMaker-Target-Model", "8f3a"), 200, "0,0.9999")
	want(t, "invocations with a name", p.do(p.request("POST", "/invocations?model_name=8f3a", setosaRow, "Content-Type", "text/csv")), 200, "predictions")
	want(t, "invocations without either", p.invoke("text/csv", setosaRow), 400, "X-Amzn-SageMaker-Target-Model")
	want(t, "invoke an unknown one", p.ask("none", setosaRow), 404, "Model not found: none", `"type":"ModelNotFoundException"`)
	want(t, "get an unknown one", p.get("/models/none"), 404, "Model not found: none")
	want(t, "unload an unknown one", p.unload("none"), 404, "Model not found: none")
	want(t, "a bad row", p.ask("8f3a", "5.1,x,1.4,0.2"), 400, "column 2")
	want(t, "unload", p.unload("8f3a"), 200, `{"status":"Model \"8f3a\" unregistered"}`)
	want(t, "invoke after that", p.ask("8f3a", setosaRow), 404, "Model not found: 8f3a")
	want(t, "load after that", p.load("8f3a", iris), 200)
	want(t, "scale workers", p.do(p.request(http.MethodPut, "/models/8f3a", "")), 405)
	want(t, "a path that is none", p.get("/model"), 404, "/models/{name}/invoke")
	metrics := p.get("/metrics").body
	for _, line := range []string{`clary_models_loads_total{result="ok"} 2`, `clary_models_unloads_total 1`, `clary_models_lookups_total{result="hit"} 4`,
		`clary_models_resident 1`, `sagemaker_loaded_model_count{model=""} 1`, `clary_models_budget_bytes{pool="host"}`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("/metrics has no %s", line)
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// MMS also takes the values in the query.
func TestALoadByQuery(t *testing.T) {
	p, base := platform(t, "serve")
	query := url.Values{"model_name": {"a"}, "url": {place(t, base, "a", "iris")}, "initial_workers": {"1"}, "synchronous": {"true"}}
	want(t, "load", p.do(p.request(http.MethodPost, "/models?"+query.Encode(), "")), 200, "Workers scaled")
	want(t, "invoke", p.ask("a", setosaRow), 200)
}

func TestNamesAreOpaque(t *testing.T) {
	p, base := platform(t, "serve")
	iris := place(t, base, "x", "iris")
	for _, name := range []string{"team/a b.tar.gz", "100%", "%2F", "a%2Fb", "..", "../../etc", "ü", "?x=1", "#", "a;b", "invoke", "models", strings.Repeat("n", 1000)} {
		want(t, name, p.load(name, iris), 200)
		want(t, name, p.ask(name, setosaRow), 200, "0,0.9999")
		var got struct{ ModelName string }
		if a := p.get("/models/" + url.PathEscape(name)); json.Unmarshal([]byte(a.body), &got) != nil || got.ModelName != name {
			t.Errorf("%s: %s", name, a.body)
		}
		want(t, name, p.unload(name), 200)
		want(t, name, p.ask(name, setosaRow), 404)
	}
	want(t, "Case", p.load("Case", iris), 200)
	want(t, "case", p.ask("case", setosaRow), 404)
}

func TestALoadThatIsRefused(t *testing.T) {
	p, base := platform(t, "serve")
	place(t, base, "good", "iris")
	junk := filepath.Join(base, "models", "junk")
	empty := filepath.Join(base, "models", "empty")
	for _, dir := range []string{junk, empty} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(junk, "model.onnx"), []byte("this is no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(base, "models", "out")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, url string
		status    int
		says      string
	}{
		{"a", filepath.Join(base, "models", "none"), 404, "there is no"},
		{"a", outside, 400, "CLARY_MODEL_ROOTS"},
		{"a", filepath.Join(base, "models", "out"), 400, "not a place for models"},
		{"a", base + "/models/../../etc", 400, "not a place"},
		{"a", "/proc/self", 400, "not a place"},
		{"a", "/dev/null", 400, "not a place"},
		{"a", "models/good", 400, "absolute"},
		{"a", "s3://bucket/key", 400, "absolute"},
		{"a", junk, 400, "model.onnx"},
		{"a", empty, 400, "empty"},
		{"", filepath.Join(base, "models", "good"), 400, "model_name and url"},
		{"a", "", 400, "model_name and url"},
		{strings.Repeat("n", 1025), filepath.Join(base, "models", "good"), 400, "1024"},
	} {
		for range 2 { // a failed load leaves no trace
			want(t, c.url, p.load(c.name, c.url), c.status, c.says)
		}
	}
	for _, body := range []string{"", "{", `{"model_name":"a","url":"/x",}`, "[]", strings.Repeat(" ", 100<<10)} {
		if a := p.do(p.request(http.MethodPost, "/models", body)); a.status != 400 && a.status != 413 {
			t.Errorf("%.20q: %d %s", body, a.status, a.body)
		}
	}
	want(t, "list", p.get("/models"), 200, `{"models":[]}`)
	want(t, "a good one", p.load("a", filepath.Join(base, "models", "good")), 200)
}

func TestModelsAreListedInPages(t *testing.T) {
	p, base := platform(t, "serve")
	dir := place(t, base, "m", "identity-float32")
	for i := range 105 {
		want(t, "load", p.load(fmt.Sprintf("m%03d", i), dir), 200)
	}
	page := func(query string) (names []string, next string) {
		var reply struct {
			Models []struct{ ModelName string }
			Next   string `json:"nextPageToken"`
		}
		a := p.get("/models" + query)
		if err := json.Unmarshal([]byte(a.body), &reply); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %v", query, a.status, err)
		}
		for _, m := range reply.Models {
			names = append(names, m.ModelName)
		}
		return names, reply.Next
	}
	for _, c := range []struct {
		query       string
		count       int
		first, next string
	}{
		{"", 100, "m000", "100"}, {"?next_page_token=100", 5, "m100", ""}, {"?limit=3", 3, "m000", "3"}, {"?limit=3&next_page_token=3", 3, "m003", "6"},
		{"?limit=1000", 100, "m000", "100"}, {"?limit=-1", 100, "m000", "100"}, {"?limit=x&next_page_token=y", 100, "m000", "100"},
		{"?next_page_token=105", 0, "", ""}, {"?next_page_token=9999", 0, "", ""}, {"?next_page_token=-7", 100, "m000", "100"},
	} {
		names, next := page(c.query)
		if len(names) != c.count || next != c.next || c.count > 0 && names[0] != c.first {
			t.Errorf("%s: %d names from %v, then %q", c.query, len(names), names[:min(1, len(names))], next)
		}
	}
}

// While one model is being opened, everything else goes on.
func TestNothingWaitsForALoad(t *testing.T) {
	p, base := platform(t, "unruly")
	want(t, "load", p.load("fast", place(t, base, "fast", "iris")), 200)
	slow := place(t, base, "slow", "iris")
	hold := filepath.Join(slow, "hold")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var loads sync.WaitGroup
	answers := make(chan answer, 3)
	for range 3 {
		loads.Go(func() { answers <- p.load("slow", slow) })
	}
	p.until("slow is loading", func() bool { return strings.Contains(p.get("/models/slow").body, `"status":"loading"`) })
	for range 20 {
		want(t, "ping", p.get("/ping"), 200)
		want(t, "list", p.get("/models"), 200, `"fast"`)
		want(t, "invoke another", p.ask("fast", setosaRow), 200)
	}
	if strings.Contains(p.get("/models").body, "slow") || len(answers) > 0 {
		t.Error("it is listed, or a load was answered, while it is being opened")
	}
	want(t, "unload another", p.unload("fast"), 200)
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	loads.Wait()
	got := map[int]int{}
	for range 3 {
		got[(<-answers).status]++
	}
	if got[200] != 1 || got[409] != 2 {
		t.Errorf("three loads of one model were answered %v, want one 200 and two 409", got)
	}
}

// DELETE waits for requests that use the model, and refuses new ones.
func TestUnloadWaitsForRequests(t *testing.T) {
	p, base := platform(t, "unruly")
	want(t, "load", p.load("a", place(t, base, "a", "iris")), 200)
	gate := filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(func() {
		want(t, "the one in flight", p.do(p.request("POST", "/models/a/invoke", setosaRow, "Content-Type", "text/csv", "X-Do", "wait "+gate)), 200)
	})
	p.until("the request is in flight", func() bool { return strings.Contains(p.get("/models/a").body, `"leases":1`) })
	both.Go(func() { want(t, "unload", p.unload("a"), 200, "unregistered") })
	p.until("new ones are refused", func() bool { return p.ask("a", setosaRow).status == 404 })
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	both.Wait()
}

func TestWhatDoesNotFitIs507(t *testing.T) {
	p, base := platform(t, "serve", "CLARY_MODEL_MEMORY=1200KiB")
	want(t, "load", p.load("small", place(t, base, "small", "identity-float32")), 200)
	want(t, "too large", p.load("large", place(t, base, "large", "digits")), 507, "CLARY_MODEL_MEMORY", "InsufficientMemoryException")
	want(t, "the small one", p.ask("small", "1,2,3"), 200)
	want(t, "another small one", p.load("other", place(t, base, "other", "identity-float32")), 200)
	want(t, "list", p.get("/models"), 200, "other", "small") // evicted, not forgotten
	want(t, "one of them gave way", p.get("/models/small"), 200, `"status":"evicted"`)
	want(t, "and comes back", p.ask("small", "1,2,3"), 200)
}

func TestMetricsOfEachModel(t *testing.T) {
	p, base := platform(t, "serve", "CLARY_MODEL_METRICS=true")
	dir := place(t, base, "a", "iris")
	for range 2 {
		want(t, "load", p.load("a", dir), 200)
		want(t, "invoke", p.ask("a", setosaRow), 200)
		metrics := p.get("/metrics").body
		for _, line := range []string{`sagemaker_invocations_total{model="a"} 1`, `clary_model_bytes{model="a",pool="host"}`} {
			if !strings.Contains(metrics, line) {
				t.Errorf("/metrics has no %s", line)
			}
		}
		want(t, "unload", p.unload("a"), 200)
		if strings.Contains(p.get("/metrics").body, `model="a"`) {
			t.Error("an unloaded model still has metrics")
		}
	}
}
