package clary_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/claryhq/clary/artifact/store/storetest"
)

// transform runs serve transform and returns its exit code and all that it
// said.
func transform(t testing.TB, env []string, args ...string) (int, string) {
	t.Helper()
	cmd := program(t, "serve", env, append([]string{"transform"}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "DATA RACE") {
		t.Errorf("%s", out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// transformed fails the test unless the command succeeds.
func transformed(t testing.TB, env []string, args ...string) string {
	t.Helper()
	code, out := transform(t, env, args...)
	if code != 0 {
		t.Fatalf("transform %s ends with %d:\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const virginicaRow = "6.7,3.0,5.0,1.7"

// irisCSV is n rows that differ.
func irisCSV(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d.%d,3.%d,%d.5,0.%d\n", 4+i%4, i%10, i%7, 1+i%6, i%20)
	}
	return b.String()
}

// irisJob is a job of lines of CSV, in process.
func irisJob(in, out string, more ...string) []string {
	return append([]string{"--model-dir", "testdata/models/iris", "--input", in, "--output", out, "--accept", "text/csv", "--split-type", "Line"}, more...)
}

func TestTransformOfOddObjects(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	writeFile(t, in+"/empty.csv", "")
	writeFile(t, in+"/deep/crlf.csv", setosaRow+"\r\n"+virginicaRow+"\r\n")
	writeFile(t, in+"/open.csv", setosaRow+"\n"+virginicaRow)
	writeFile(t, in+"/bad.csv", setosaRow+"\nx,y,z,w\n")
	writeFile(t, in+"/large.csv", setosaRow+"\n"+strings.Repeat("1", 1<<20)+"\n")
	writeFile(t, in+"/.hidden", "none of the data")
	code, said := transform(t, nil, irisJob(in, out, "--max-payload-mb", "1")...)
	if code != 1 || !strings.Contains(said, "5 objects, 0 of them done before, 2 failed; 4 rows") ||
		!strings.Contains(said, "failed: bad.csv: records 1 to 2: status 400") ||
		!strings.Contains(said, "failed: large.csv: record 2, at byte 16: it is larger than a request may be, 1048576 bytes: raise --max-payload-mb") {
		t.Errorf("it ends with %d and says %s", code, said)
	}
	want := "0,0.99999934,0,0\n2,0,0.049999997,0.9499994\n"
	for name, want := range map[string]string{"empty.csv": "", "deep/crlf.csv": want, "open.csv": want} {
		if got := readFile(t, filepath.Join(out, name+".out")); got != want {
			t.Errorf("%s became %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"bad.csv.out", "large.csv.out", ".hidden.out"} {
		if _, err := os.Stat(filepath.Join(out, name)); err == nil {
			t.Errorf("there is a %s", name)
		}
	}

	// The mended data set: what is done already stays.
	writeFile(t, in+"/bad.csv", setosaRow+"\n")
	writeFile(t, in+"/large.csv", setosaRow+"\n")
	if said := transformed(t, nil, irisJob(in, out, "--max-payload-mb", "1")...); !strings.Contains(said, "5 objects, 3 of them done before, 0 failed; 2 rows") {
		t.Errorf("after mending it says %s", said)
	}
	if _, err := os.Stat(out + "/.clary-transform"); err == nil {
		t.Error("a job that is complete leaves its state")
	}
}

// What a run has written is none of the next one's data, wherever it lies.
func TestTransformIntoItsInput(t *testing.T) {
	for _, out := range []string{"/", "/results"} {
		in := t.TempDir()
		writeFile(t, in+"/a.csv", setosaRow+"\n")
		for range 2 {
			if said := transformed(t, nil, irisJob(in, in+out)...); !strings.Contains(said, "1 objects, 0 of them done before") {
				t.Errorf("%q: %s", out, said)
			}
		}
	}
}

// All ways to cut and assemble come to the same, in process and by HTTP.
func TestTransformStrategies(t *testing.T) {
	p := start(t, "serve", []string{"SAGEMAKER_BATCH=true"}, "testdata/models/iris")
	in, rows := t.TempDir(), irisCSV(200)
	writeFile(t, in+"/a.csv", rows)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(rows)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	zip := t.TempDir()
	writeFile(t, zip+"/a.csv", zipped.String())
	want := p.invoke("text/csv", rows, "Accept", "text/csv").body
	for i, args := range [][]string{
		irisJob(in, ""), irisJob(in, "", "--strategy", "SingleRecord"), irisJob(in, "", "--assemble-with", "Line"),
		irisJob(in, "", "--strategy", "SingleRecord", "--assemble-with", "Line"), irisJob(in, "", "--split-type", "None"),
		irisJob(in, "", "--endpoint", p.base), irisJob(in, "", "--endpoint", p.base, "--strategy", "SingleRecord", "--assemble-with", "Line", "--max-concurrent", "4"),
		irisJob(zip, "", "--compression", "Gzip"), irisJob(in+"/a.csv", ""),
	} {
		out := t.TempDir()
		transformed(t, nil, append(args, "--output", out)...)
		if got := readFile(t, out+"/a.csv.out"); got != want {
			t.Errorf("%d: %v gives %.200q, want %.200q", i, args, got, want)
		}
	}
}

func TestTransformJoinsAndFilters(t *testing.T) {
	in := t.TempDir()
	writeFile(t, in+"/csv/a", "id1,"+setosaRow+"\nid2,"+virginicaRow+"\n")
	writeFile(t, in+"/json/a", `{"id": 7, "features": [5.1,3.5,1.4,0.2]}`+"\n"+`{"id": 8, "features": [6.7,3.0,5.0,1.7]}`)
	for _, strategy := range []string{"SingleRecord", "MultiRecord"} {
		out := t.TempDir()
		transformed(t, nil, irisJob(in+"/csv", out, "--strategy", strategy, "--assemble-with", "Line", "--input-filter", "$[1:]", "--join-source", "Input", "--output-filter", "$[0,5]")...)
		if got := readFile(t, out+"/a.out"); got != "id1,0\nid2,2\n" {
			t.Errorf("%s, CSV: %q", strategy, got)
		}
		transformed(t, nil, irisJob(in+"/json", out, "--strategy", strategy, "--assemble-with", "Line", "--content-type", "application/jsonlines", "--accept", "application/jsonlines",
			"--input-filter", "$.features", "--join-source", "Input", "--output-filter", "$['id','SageMakerOutput']")...)
		if got := strings.Split(readFile(t, out+"/a.out"), "\n"); len(got) != 3 || !strings.HasPrefix(got[0], `{"SageMakerOutput":`) || !strings.HasSuffix(got[1], `,"id":8}`) {
			t.Errorf("%s, JSON Lines: %q", strategy, got)
		}
	}
	out := t.TempDir()
	args := irisJob(in+"/csv", out, "--assemble-with", "Line", "--input-filter", "$[1:]", "--output-filter", "$[9]")
	if code, said := transform(t, nil, args...); code != 1 || !strings.Contains(said, "record 1: output filter: $[9] finds 0 values of 1") {
		t.Errorf("a column that is not there: %d, %s", code, said)
	}
	for _, more := range [][]string{{"--join-source", "Input"}, {"--input-filter", "$[", "--assemble-with", "Line"}, {"--accept", "application/json", "--assemble-with", "Line", "--join-source", "Input"}} {
		if code, said := transform(t, nil, irisJob(in+"/csv", out, more...)...); code != 1 || !strings.Contains(said, "want") && !strings.Contains(said, "JSONPath") {
			t.Errorf("%v: %d, %s", more, code, said)
		}
	}
}

func TestTransformsCommandLine(t *testing.T) {
	for args, want := range map[string]string{
		"":                         "want --input and --output",
		"--input a":                "want --input and --output",
		"--input a --output b --x": "--help lists the flags",
		"--input a --output b c":   "flags alone",
		"--input a --output b --split-type Lines":   "want None, Line, RecordIO or TFRecord",
		"--input a --output b --strategy Many":      "want SingleRecord or MultiRecord",
		"--input a --output b --max-payload-mb 101": "1 to 100",
		"--input a --output b --shard 3/3":          "want i/n",
	} {
		if code, said := transform(t, nil, strings.Fields(args)...); code != 2 || !strings.Contains(said, want) {
			t.Errorf("%q: %d, %s", args, code, said)
		}
	}
	if said := transformed(t, nil, "--help"); !strings.Contains(said, "-join-source") {
		t.Error(said)
	}
	in := t.TempDir()
	if code, said := transform(t, nil, irisJob(in, t.TempDir())...); code != 1 || !strings.Contains(said, "there is nothing in") {
		t.Errorf("an empty folder: %d, %s", code, said)
	}
}

// Killed again and again, and stopped, the output is that of an undisturbed
// run. The endpoint answers a request only when the test lets it.
func TestAKilledTransformGoesOn(t *testing.T) {
	p := start(t, "serve", []string{"SAGEMAKER_BATCH=true", "CLARY_INTRA_OP_THREADS=1"}, "testdata/models/iris")
	in, rows := t.TempDir(), strings.SplitAfter(irisCSV(460), "\n")
	for i := range 4 {
		writeFile(t, fmt.Sprintf("%s/%d.csv", in, i), strings.Join(rows[20*i:20*i+400], ""))
	}
	args := func(out, endpoint string) []string {
		return irisJob(in, out, "--strategy", "SingleRecord", "--endpoint", endpoint, "--max-concurrent", "3")
	}
	undisturbed, out := t.TempDir(), t.TempDir()
	transformed(t, nil, args(undisturbed, p.base)...)

	var left, asked atomic.Int64
	tired := make(chan struct{}, 100)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) < 0 {
			_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the client has gone
			select {
			case tired <- struct{}{}:
			default:
			}
			<-r.Context().Done() // until the client is killed
			return
		}
		asked.Add(1)
		r2, err := http.NewRequest(r.Method, p.base+r.URL.Path, r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		r2.Header = r.Header
		a, err := p.try(r2)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body)) // the client may be dead
	}))
	defer gate.Close()
	for i, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGKILL, syscall.SIGTERM} {
		for len(tired) > 0 {
			<-tired
		}
		left.Store(int64(150 + 50*i))
		cmd := program(t, "serve", nil, append([]string{"transform"}, args(out, gate.URL)...)...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-tired:
		case <-time.After(time.Minute):
			t.Fatalf("it does not come so far: %s", said.String())
		}
		if err := cmd.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%v: it ends well", how)
		}
		if how != syscall.SIGKILL && !strings.Contains(said.String(), "goes on from here") {
			t.Errorf("%v: it says %s", how, said.String())
		}
	}
	left.Store(1 << 40)
	transformed(t, nil, args(out, gate.URL)...)
	for i := range 4 {
		name := fmt.Sprintf("/%d.csv.out", i)
		if got, want := readFile(t, out+name), readFile(t, undisturbed+name); got != want {
			t.Errorf("%s has %d bytes, undisturbed %d", name, len(got), len(want))
		}
	}
	if n := asked.Load(); n >= 4*1600 {
		t.Errorf("%d requests: it began anew each time", n)
	}
}

// An endpoint's passing failures are asked again, its others not.
func TestTransformRetries(t *testing.T) {
	in := t.TempDir()
	writeFile(t, in+"/a", "1\n")
	for _, c := range []struct{ status, asked, code int }{{503, 3, 0}, {429, 3, 0}, {500, 3, 0}, {400, 1, 1}, {413, 1, 1}} {
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && asked.Add(1) < 3 {
				w.WriteHeader(c.status)
			}
		}))
		code, said := transform(t, nil, irisJob(in, t.TempDir(), "--endpoint", server.URL)...)
		server.Close()
		if code != c.code || int(asked.Load()) != c.asked {
			t.Errorf("%d: asked %d times, ends with %d: %s", c.status, asked.Load(), code, said)
		}
	}
}

func TestTransformOfManySmallObjects(t *testing.T) {
	n := 500
	if os.Getenv("CLARY_SOAK") != "" {
		n = 10000
	}
	in, shared, whole := t.TempDir(), t.TempDir(), t.TempDir()
	rows := strings.SplitAfter(irisCSV(n), "\n")
	for i := range n {
		writeFile(t, fmt.Sprintf("%s/%d/%d.csv", in, i%10, i), rows[i])
	}
	transformed(t, nil, irisJob(in, whole)...)
	transformed(t, []string{"JOB_COMPLETION_INDEX=0", "JOB_COMPLETIONS=3"}, irisJob(in, shared)...)
	transformed(t, nil, irisJob(in, shared, "--shard", "1/3")...)
	transformed(t, nil, irisJob(in, shared, "--shard", "2/3")...)
	if out, err := exec.Command("diff", "-r", whole, shared).CombinedOutput(); err != nil {
		t.Errorf("shards and the whole differ: %.500s", out)
	}
	if found, err := filepath.Glob(whole + "/*/*.csv.out"); err != nil || len(found) != n {
		t.Errorf("%d outputs of %d (%v)", len(found), n, err)
	}
}

func TestTransformInAndOutOfS3(t *testing.T) {
	server := storetest.Start(t, "data")
	env := server.Env()
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	s := openStore(t, "s3://data/in")
	rows := irisCSV(300)
	for _, name := range []string{"a.csv", "deep/b.csv"} {
		if err := s.Put(t.Context(), name, strings.NewReader(rows), int64(len(rows))); err != nil {
			t.Fatal(err)
		}
	}
	env = append(env, "TMPDIR="+t.TempDir())
	transformed(t, env, irisJob("s3://data/in", "s3://data/out")...)
	out := t.TempDir()
	transformed(t, env, irisJob("s3://data/in/deep/b.csv", out)...)
	want := readFile(t, out+"/b.csv.out")
	if strings.Count(want, "\n") != 300 {
		t.Errorf("%d lines", strings.Count(want, "\n"))
	}
	back := t.TempDir()
	transformed(t, env, irisJob("s3://data/in", back)...)
	if got := readFile(t, back+"/deep/b.csv.out"); got != want {
		t.Error("the folder's object and the single one differ")
	}
	if o, err := openStore(t, "s3://data/out").Stat(t.Context(), "deep/b.csv.out"); err != nil || o.Size != int64(len(want)) {
		t.Errorf("in S3 there is %+v (%v)", o, err)
	}
}

// A store that fails now and then is asked again; where it fails for good the
// object's work is not lost.
func TestTransformInAndOutOfAnS3ThatFails(t *testing.T) {
	real := storetest.Start(t, "data")
	target, err := url.Parse(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	var puts, gets atomic.Int64
	var down atomic.Bool // for puts
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is part of the signature
	}}
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && (down.Load() || puts.Add(1)%5 != 0):
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "" && gets.Add(1)%5 != 0:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	defer flaky.Close()
	for _, kv := range real.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	rows := irisCSV(300)
	if err := openStore(t, "s3://data/in").Put(t.Context(), "a.csv", strings.NewReader(rows), int64(len(rows))); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			asked.Add(1)
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body) // the client looks
	}))
	defer server.Close()
	env := append(real.Env(), "TMPDIR="+t.TempDir(), "AWS_ENDPOINT_URL_S3="+flaky.URL)
	for _, payload := range []string{"6", "0"} {
		job := irisJob("s3://data/in", "s3://data/out"+payload, "--endpoint", server.URL, "--max-payload-mb", payload)
		down.Store(true)
		asked.Store(0)
		code, said := transform(t, env, append(job, "--retries", "0")...)
		if code != 1 || asked.Load() > 1 || !strings.Contains(said, "failed: a.csv: the store does not answer") {
			t.Errorf("payload %s, down: %d, asked %d times: %s", payload, code, asked.Load(), said)
		}
		if _, err := openStore(t, "s3://data/out"+payload).Stat(t.Context(), "a.csv.out"); err == nil {
			t.Error("there is an output")
		}
		down.Store(false)
		transformed(t, env, job...)
		if n := asked.Load(); payload != "0" && n > 1 {
			t.Errorf("the model was asked %d times", n)
		}
		if o, err := openStore(t, "s3://data/out"+payload).Stat(t.Context(), "a.csv.out"); err != nil || o.Size != int64(len(rows)) {
			t.Errorf("in S3 there is %+v (%v)", o, err)
		}
	}
}
