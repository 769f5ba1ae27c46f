package clary_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const iris = "testdata/models/iris"

// aRow is a setosa, and irisReply what the server says of it.
const (
	aRow     = "5.1,3.5,1.4,0.2"
	rowReply = `"label":0`
)

func mustAnswer(t testing.TB, p *process) {
	t.Helper()
	if a := p.invoke("text/csv", aRow); a.status != 200 || !strings.Contains(a.body, rowReply) {
		t.Errorf("the next good request: %d %s", a.status, a.body)
	}
}

// touch makes a gate: a file that the unruly handler waits on until open is
// called.
func touch(t testing.TB) (path string, open func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gate")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	}
}

func TestPingIs503UntilTheModelIsReady(t *testing.T) {
	gate, open := touch(t)
	p := launch(t, "unruly", []string{"UNRULY_GATE=" + gate}, iris)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		a := p.do(p.request(method, "/ping", ""))
		if a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s /ping while loading: %d, Retry-After %q", method, a.status, a.header.Get("Retry-After"))
		}
	}
	if a := p.invoke("text/csv", aRow); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("an invocation while loading: %d %s", a.status, a.body)
	}
	if a := p.get("/metrics"); a.status != 200 {
		t.Errorf("/metrics while loading: %d", a.status)
	}
	open()
	p.eventually(200, "/ping")
	for _, method := range []string{"GET", "HEAD", "POST"} {
		if a := p.do(p.request(method, "/ping", "")); a.status != 200 || a.body != "" {
			t.Errorf("%s /ping: %d %q", method, a.status, a.body)
		}
	}
	mustAnswer(t, p)
}

func TestPingDoesNotWaitBehindTheQueue(t *testing.T) {
	gate, open := touch(t)
	p := start(t, "unruly", []string{"SAGEMAKER_MODEL_SERVER_WORKERS=1", "SAGEMAKER_MODEL_JOB_QUEUE_SIZE=3"}, iris)
	answers := make(chan answer, 8)
	ask := func() {
		a, err := p.try(p.request("POST", "/invocations", aRow, "Content-Type", "text/csv", "X-Do", "wait "+gate))
		if err != nil {
			a.body = err.Error()
		}
		answers <- a
	}
	for range 4 { // one runs, three wait
		go ask()
	}
	p.metricBecomes("sagemaker_in_flight", 4)
	p.metricBecomes("clary_queued", 3)
	if a := p.get("/ping"); a.status != 200 {
		t.Errorf("/ping with a full queue: %d", a.status)
	}
	a := p.invoke("text/csv", aRow)
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "queue is full") {
		t.Errorf("one more than the queue holds: %d %s", a.status, a.body)
	}
	open()
	for range 4 {
		if a := <-answers; a.status != 200 {
			t.Errorf("a queued request: %d %s", a.status, a.body)
		}
	}
	mustAnswer(t, p)
}

func TestSIGTERMFinishesWhatIsInsideAndExits0(t *testing.T) {
	gate, open := touch(t)
	p := start(t, "unruly", []string{"SAGEMAKER_MODEL_SERVER_WORKERS=1"}, iris)
	answers := make(chan answer, 3)
	for range 3 { // one running, two queued
		go func() {
			a, err := p.try(p.request("POST", "/invocations", aRow, "Content-Type", "text/csv", "X-Do", "wait "+gate))
			if err != nil {
				a.body = err.Error()
			}
			answers <- a
		}()
	}
	p.metricBecomes("clary_queued", 2)
	p.signal(syscall.SIGTERM)
	p.eventually(503, "/ping")
	if a := p.invoke("text/csv", aRow); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("a new request while draining: %d %s", a.status, a.body)
	}
	if a := p.get("/metrics"); a.status != 200 {
		t.Errorf("/metrics while draining: %d", a.status)
	}
	open()
	for range 3 {
		if a := <-answers; a.status != 200 || !strings.Contains(a.body, rowReply) {
			t.Errorf("a request from before SIGTERM: %d %s", a.status, a.body)
		}
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	p.logged("stopped")
}

func TestWhatOutlastsTheDrainIsCutOffAndSaidSo(t *testing.T) {
	gate, open := touch(t)
	defer open()
	p := start(t, "unruly", []string{"CLARY_DRAIN_TIMEOUT=0.3"}, iris)
	done := make(chan answer, 1)
	go func() {
		a, err := p.try(p.request("POST", "/invocations", aRow, "Content-Type", "text/csv", "X-Do", "wait "+gate))
		if err != nil {
			a.body = err.Error()
		}
		done <- a
	}()
	p.metricBecomes("sagemaker_in_flight", 1)
	p.signal(syscall.SIGTERM)
	if a := <-done; a.status != 503 {
		t.Errorf("the request that was cut off: %d %s", a.status, a.body)
	}
	if code := p.wait(); code != 1 {
		t.Errorf("exit code %d, want 1: a request was lost", code)
	}
	if line := p.logged("stopped"); !strings.Contains(fmt.Sprint(line["error"]), "cut off") {
		t.Errorf("the log does not say it: %v", line)
	}
}

func TestSIGTERMWhileLoadingEndsTheProcess(t *testing.T) {
	gate, open := touch(t)
	defer open()
	p := launch(t, "unruly", []string{"UNRULY_GATE=" + gate}, iris)
	p.signal(syscall.SIGTERM)
	p.wait()
}

func TestARequestThatTakesTooLongIsA503(t *testing.T) {
	gate, open := touch(t)
	defer open()
	for _, env := range []string{"SAGEMAKER_MODEL_SERVER_TIMEOUT=0.2", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=0.2"} {
		p := start(t, "unruly", []string{env}, iris)
		a := p.invoke("text/csv", aRow, "X-Do", "wait "+gate)
		if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "timeout") {
			t.Errorf("%s: %d %s", env, a.status, a.body)
		}
		mustAnswer(t, p)
	}
}

func TestAClientThatGoesAwayFreesItsWorker(t *testing.T) {
	gate, open := touch(t)
	defer open()
	p := start(t, "unruly", []string{"SAGEMAKER_MODEL_SERVER_WORKERS=1"}, iris)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nX-Do: wait %s\r\nContent-Length: %d\r\n\r\n%s", gate, len(aRow), aRow)
	p.metricBecomes("sagemaker_in_flight", 1)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	p.metricBecomes("sagemaker_in_flight", 0)
	p.metricBecomes(`clary_responses_total{model="iris",status="499"}`, 1)
	mustAnswer(t, p)
}

func TestAHandlersFailuresAreAnsweredByWhatTheyAre(t *testing.T) {
	p := start(t, "unruly", nil, iris)
	for _, c := range []struct {
		do     string
		status int
		says   string
		hides  string
	}{
		{"panic", 500, "request id abc-123", "nil map"},
		{"fail", 500, "request id abc-123", "vault"},
		{"teapot", 418, "short and stout", ""},
		{"memory", 507, "not enough memory", ""},
	} {
		a := p.invoke("text/csv", aRow, "X-Do", c.do, "X-Amzn-SageMaker-Inference-Id", "abc-123")
		if a.status != c.status || !strings.Contains(a.body, c.says) || c.hides != "" && strings.Contains(a.body, c.hides) {
			t.Errorf("%s: %d %s", c.do, a.status, a.body)
		}
		checkErrorBody(t, a)
		mustAnswer(t, p)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		log := p.log()
		if strings.Contains(log, "assignment to entry in nil map") && strings.Contains(log, "unruly/main.go") && strings.Contains(log, "vault") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log has not the panic with its stack, or not the error")
		}
	}
}

// checkErrorBody holds an error's body against contract §3.5.
func checkErrorBody(t testing.TB, a answer) {
	t.Helper()
	var fields struct {
		Code           int
		Type           string
		Message, Error string
	}
	if err := json.Unmarshal([]byte(a.body), &fields); err != nil {
		t.Errorf("the error is no JSON: %v: %s", err, a.body)
		return
	}
	if fields.Code != a.status || fields.Type == "" || fields.Message == "" || fields.Message != fields.Error {
		t.Errorf("status %d with body %s", a.status, a.body)
	}
	if len(a.body) > 2048 || strings.Count(a.body, "\n") != 1 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d bytes, %d lines, %s", len(a.body), strings.Count(a.body, "\n"), a.header.Get("Content-Type"))
	}
}

func TestHeadersAreEchoed(t *testing.T) {
	p := start(t, "unruly", nil, iris)
	a := p.invoke("text/csv", aRow, "X-Amzn-SageMaker-Custom-Attributes", "trace=7,user=x", "X-Amzn-SageMaker-Inference-Id", "id 1/2")
	if got := a.header.Get("X-Amzn-SageMaker-Custom-Attributes"); got != "trace=7,user=x" {
		t.Errorf("custom attributes %q", got)
	}
	if got := a.header.Get("X-Request-Id"); got != "id 1/2" {
		t.Errorf("request id %q", got)
	}
	first, second := p.invoke("text/csv", aRow), p.invoke("text/csv", aRow)
	if a, b := first.header.Get("X-Request-Id"), second.header.Get("X-Request-Id"); a == "" || a == b {
		t.Errorf("made-up request ids %q and %q", a, b)
	}
	if got := first.header["X-Amzn-Sagemaker-Custom-Attributes"]; got != nil {
		t.Errorf("custom attributes out of nothing: %q", got)
	}
	a = p.invoke("text/csv", aRow, "X-Do", "attribute made=here")
	if got := a.header.Get("X-Amzn-SageMaker-Custom-Attributes"); got != "made=here" {
		t.Errorf("the handler's attributes: %q", got)
	}
	a = p.invoke("text/csv", "1,2", "X-Amzn-SageMaker-Custom-Attributes", "on=errors")
	if got := a.header.Get("X-Amzn-SageMaker-Custom-Attributes"); a.status != 400 || got != "on=errors" {
		t.Errorf("on an error: %d %q", a.status, got)
	}
}

func TestRoutesAndMethods(t *testing.T) {
	p := start(t, "serve", nil, iris)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 200, ""}, {"HEAD", "/", 200, ""}, {"GET", "/metrics", 200, ""}, {"HEAD", "/ping", 200, ""},
		{"GET", "/invocations", 405, "POST"}, {"PUT", "/ping", 405, "GET, HEAD, POST"}, {"DELETE", "/", 405, "GET, HEAD"},
		{"PATCH", "/invocations", 405, "POST"}, {"GET", "/nothing", 404, ""}, {"POST", "/invocations/", 404, ""}, {"GET", "/models", 404, ""},
	} {
		a := p.do(p.request(c.method, c.path, ""))
		if a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, a.status, a.header.Get("Allow"), c.status, c.allow)
		}
		if a.status >= 400 {
			checkErrorBody(t, a)
		}
	}
	var d struct {
		Model           string
		Inputs, Outputs []struct {
			Name, Type string
			Shape      []int
			Labels     []string
		}
		Formats []struct {
			Accepts bool
			Example string
		}
	}
	if err := json.Unmarshal([]byte(p.get("/").body), &d); err != nil {
		t.Fatal(err)
	}
	if d.Model != "iris" || len(d.Inputs) != 1 || d.Inputs[0].Name != "X" || fmt.Sprint(d.Inputs[0].Shape) != "[-1 4]" ||
		len(d.Outputs) != 2 || fmt.Sprint(d.Outputs[1].Labels) != "[0 1 2]" || len(d.Formats) < 5 || !d.Formats[0].Accepts || !strings.Contains(d.Formats[0].Example, "curl") {
		t.Errorf("GET / says %+v", d)
	}
}

func TestEmptyBodiesOfRecordFormatsAre204(t *testing.T) {
	p := start(t, "serve", nil, iris)
	for _, c := range []struct {
		contentType string
		status      int
	}{{"text/csv", 204}, {"application/jsonlines", 204}, {"application/x-ndjson", 204}, {"text/x-libsvm", 204}, {"application/x-recordio-protobuf", 204}, {"application/x-parquet", 400}, {"image/png", 400}, {"application/json", 400}, {"application/x-npy", 400}, {"application/x-npz", 400}} {
		if a := p.invoke(c.contentType, ""); a.status != c.status || c.status == 204 && a.body != "" {
			t.Errorf("%s: %d %q, want %d", c.contentType, a.status, a.body, c.status)
		}
	}
	mustAnswer(t, p)
}

func TestOversizedAndStalledRequestsAreCutOff(t *testing.T) {
	p := start(t, "serve", []string{"SAGEMAKER_MAX_REQUEST_SIZE=1000"}, iris)
	if a := p.invoke("text/csv", strings.Repeat("1,", 600)); a.status != 413 {
		t.Errorf("1200 bytes where 1000 are allowed: %d", a.status)
	}
	req := p.request("POST", "/invocations", strings.Repeat("1,", 600), "Content-Type", "text/csv")
	req.ContentLength = -1 // chunked
	if a := p.do(req); a.status != 413 {
		t.Errorf("the same, chunked: %d", a.status)
	}
	if a := p.invoke("text/csv", aRow, "X-Long", strings.Repeat("x", 100<<10)); a.status != 431 {
		t.Errorf("a header of 100 KB: %d", a.status)
	}
	mustAnswer(t, p)
	for env, limit := range map[string]int{"SAGEMAKER_BATCH=True": 100 << 20, "SAGEMAKER_MAX_PAYLOAD_IN_MB=3": 3 << 20, "A=b": 25 << 20} {
		p := start(t, "serve", []string{env}, iris)
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		// Only the length is looked at: an announced body over the limit is refused before it is read.
		fmt.Fprintf(conn, "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", limit+1)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 12)
		if _, err := conn.Read(head); err != nil || string(head) != "HTTP/1.1 413" {
			t.Errorf("%s: one byte over %d: %q, %v", env, limit, head, err)
		}
		conn.Close()
	}
}

func TestOneRequestOneLogLineAndPingsNone(t *testing.T) {
	p := start(t, "serve", nil, iris)
	p.get("/ping")
	p.invoke("text/csv", aRow, "X-Amzn-SageMaker-Inference-Id", "the-one")
	line := p.logged("request")
	if line["request_id"] != "the-one" || line["inference_id"] != "the-one" || line["status"] != 200.0 || line["level"] != "info" {
		t.Errorf("the request's line: %v", line)
	}
	p.signal(syscall.SIGTERM)
	p.wait()
	if n := strings.Count(p.log(), `"msg":"request"`); n != 1 {
		t.Errorf("%d lines for one request", n)
	}
	if strings.Contains(p.log(), "/ping") || strings.Contains(p.log(), "not JSON") {
		t.Errorf("pings in the log, or lines that are not JSON:\n%s", p.log())
	}
}

func TestTheLogLevelIsPythonsOrAName(t *testing.T) {
	for _, level := range []string{"30", "warning"} {
		code, stdout, _ := outcome(t, []string{"SAGEMAKER_CONTAINER_LOG_LEVEL=" + level}, "/nowhere", "--host", "127.0.0.1", "--port", "0")
		if code != 1 || strings.Contains(stdout, "listening") || !strings.Contains(stdout, "/nowhere") {
			t.Errorf("at %s: exit %d, %s", level, code, stdout)
		}
	}
}
