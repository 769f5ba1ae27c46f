package clary_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/artifact/store/storetest"
)

// putArchive packs a model of testdata into a store.
func putArchive(t *testing.T, s store.Store, name, model string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "model.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := artifact.Pack(file, filepath.Join("testdata/models", model)); err != nil {
		t.Fatal(err)
	}
	size, err := file.Seek(0, 1)
	if err == nil {
		err = s.Put(t.Context(), name, file, size)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, location string) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// target asks a model of the store.
func (p *process) target(name, body string) answer {
	p.t.Helper()
	return p.invoke("text/csv", body, "Accept", "text/csv", "X-Amzn-SageMaker-Target-Model", name)
}

// A folder of archives is served without any SageMaker around it.
func TestAStoreOfModels(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	putArchive(t, s, "team/iris.tar.gz", "iris")
	putArchive(t, s, "other.tgz", "identity-float32")
	if err := s.Put(t.Context(), "junk.tar.gz", strings.NewReader("junk"), 4); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	p := start(t, "serve", []string{"CLARY_MODEL_STORE=" + dir, "CLARY_DISK_CACHE=" + cache, "CLARY_STORE_RECHECK=0", "CLARY_MODEL_PRELOAD=other.tgz", "CLARY_MODEL_MEMORY=1450KiB"})
	p.until("other.tgz is preloaded", func() bool { return strings.Contains(p.get("/models/other.tgz").body, `"status":"ready"`) })
	for range 3 {
		want(t, "iris", p.target("team/iris.tar.gz", setosaRow), 200, "0,0.9999")
		want(t, "the other", p.target("other.tgz", "1,2,3"), 200, "1,2,3")
	}
	want(t, "list", p.get("/models"), 200, `"modelName":"other.tgz"`, `"modelName":"team/iris.tar.gz"`, dir)
	want(t, "get", p.get("/models/team%2Firis.tar.gz"), 200, `"status":`, `"version":`)
	want(t, "an unknown one", p.target("team/none.tar.gz", setosaRow), 404, "Model not found: team/none.tar.gz")
	want(t, "no archive", p.target("junk.tar.gz", setosaRow), 424, "junk.tar.gz", "archive")
	want(t, "no archive, again", p.target("junk.tar.gz", setosaRow), 424, "tried again in")
	want(t, "what is told of it", p.get("/models/junk.tar.gz"), 200, `"status":"failed"`, `"reason":`, `"retryAt":`)
	for _, name := range []string{"../" + filepath.Base(dir) + "/other.tgz", "/etc/passwd", "..", "team/../other.tgz", "a//b"} {
		want(t, name, p.target(name, setosaRow), 400, "relative path")
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.onnx")); err != nil {
		t.Fatal(err)
	}
	want(t, "a link that leaves", p.target("link.onnx", setosaRow), 400, "leads out")

	putArchive(t, s, "team/iris.tar.gz", "identity-float32") // another model under the same name
	p.until("the new one answers", func() bool { return p.target("team/iris.tar.gz", "1,2,3").status == 200 })
	if err := os.Remove(filepath.Join(dir, "other.tgz")); err != nil {
		t.Fatal(err)
	}
	p.until("the removed one is unknown", func() bool { return p.target("other.tgz", "1,2,3").status == 404 })
	want(t, "evictions", p.get("/metrics"), 200, `clary_models_evictions_total{reason="changed"}`, `clary_models_evictions_total{reason="memory"}`)
	want(t, "who is asked", p.get("/"), 200, dir)
}

// The same from S3, whose faults are those of one model and not of the others.
func TestAStoreInS3(t *testing.T) {
	real := storetest.Start(t, "models")
	target, err := url.Parse(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is part of the signature
	}}
	var fault, stalled atomic.Int32 // the status to answer with; how many wait
	stall := make(chan struct{})
	faulty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch status := int(fault.Load()); {
		case strings.Contains(r.URL.Path, "slow") && r.Method == http.MethodGet:
			stalled.Add(1)
			<-stall
			proxy.ServeHTTP(w, r)
		case status != 0:
			w.WriteHeader(status)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	defer faulty.Close()
	env := real.Env()
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	s := openStore(t, "s3://models/prod")
	for _, name := range []string{"iris.tar.gz", "slow.tar.gz", "late.tar.gz"} {
		putArchive(t, s, name, "iris")
	}
	p := start(t, "serve", append(env, "AWS_ENDPOINT_URL_S3="+faulty.URL, "AWS_MAX_ATTEMPTS=1", "CLARY_MODEL_STORE=s3://models/prod", "CLARY_DISK_CACHE="+t.TempDir()))
	want(t, "iris", p.target("iris.tar.gz", setosaRow), 200, "0,0.9999")
	want(t, "an unknown one", p.target("none.tar.gz", setosaRow), 404)

	slow := make(chan answer, 1)
	go func() { slow <- p.target("slow.tar.gz", setosaRow) }()
	p.until("the slow one is being fetched", func() bool { return stalled.Load() > 0 })
	want(t, "what is told of it", p.get("/models/slow.tar.gz"), 200, `"status":"fetching"`)
	want(t, "another meanwhile", p.target("iris.tar.gz", setosaRow), 200)
	want(t, "a new one meanwhile", p.target("late.tar.gz", setosaRow), 200)
	close(stall)
	want(t, "the slow one", <-slow, 200, "0,0.9999")

	for status, as := range map[int32]int{503: 503, 500: 503, 403: 424} {
		fault.Store(status)
		a := p.target("new.tar.gz", setosaRow)
		want(t, "the store fails", a, as)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%d without Retry-After", a.status)
		}
		want(t, "what is there", p.target("iris.tar.gz", setosaRow), 200)
	}
	fault.Store(0)
	putArchive(t, s, "new.tar.gz", "iris")
	want(t, "once it is there", p.target("new.tar.gz", setosaRow), 200)
}

func TestAStoreThatIsNone(t *testing.T) {
	for _, location := range []string{"/none/at/all", "gs://bucket", "s3://"} {
		out, err := program(t, "serve", []string{"CLARY_MODEL_STORE=" + location}, "--host", "127.0.0.1", "--port", "0").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "CLARY_MODEL_STORE") || !strings.Contains(string(out), location) {
			t.Errorf("%s: %v: %s", location, err, out)
		}
	}
}
