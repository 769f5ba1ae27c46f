package clary_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// withConfig copies iris into a folder with a clary.yaml.
func withConfig(t *testing.T, yaml string) string {
	t.Helper()
	dir := t.TempDir()
	model, err := os.ReadFile(iris + "/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"model.onnx": model, "clary.yaml": []byte(yaml)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestClaryYAMLDecidesWhatTheSettingsLeaveOpen(t *testing.T) {
	dir := withConfig(t, "name: flowers\nworkers: 3\naccept: text/csv\nsession: {intra_op_threads: 2, spinning: true, optimization: basic}\n")
	p := start(t, "serve", nil, dir)
	if a := p.invoke("text/csv", aRow); !strings.HasPrefix(a.body, "0,0.99999") || a.header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("accept: text/csv answers %q as %s", a.body, a.header.Get("Content-Type"))
	}
	if line := p.logged("ready"); line["model"] != "flowers" || line["workers"] != 3.0 || line["intra_op_threads"] != 2.0 {
		t.Errorf("ready: %v", line)
	}
	v2 := p.invoke("application/json", `{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}`, "Accept", "application/json")
	if !strings.Contains(v2.body, `"model_name":"flowers"`) {
		t.Errorf("V2 says %s", v2.body)
	}
	p.metricBecomes(`sagemaker_invocations_total{model="flowers"}`, 2)

	p = start(t, "serve", []string{"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=application/jsonlines", "SAGEMAKER_MODEL_SERVER_WORKERS=1", "CLARY_INTRA_OP_THREADS=1"}, dir)
	if a := p.invoke("text/csv", aRow, "Accept", "*/*"); a.header.Get("Content-Type") != "application/jsonlines" {
		t.Errorf("the environment's Accept: %s", a.header.Get("Content-Type"))
	}
	if line := p.logged("ready"); line["workers"] != 1.0 || line["intra_op_threads"] != 1.0 {
		t.Errorf("ready: %v", line)
	}
}

func TestAMistakeInClaryYAMLEndsTheProcess(t *testing.T) {
	for yaml, says := range map[string]string{"wrokers: 3\n": "workers", "workers: many\n": "line 1", "session: {spining: true}\n": "spinning", "model: nowhere.onnx\n": "nowhere.onnx"} {
		code, stdout, _ := outcome(t, nil, withConfig(t, yaml), "--host", "127.0.0.1", "--port", "0")
		if code != 1 || !strings.Contains(stdout, says) || !strings.Contains(stdout, "clary.yaml") {
			t.Errorf("%q: exit %d, %s", yaml, code, stdout)
		}
	}
}

func TestBatchTransformEndsRowFormatsInANewline(t *testing.T) {
	p := start(t, "serve", []string{"SAGEMAKER_BATCH=True"}, iris)
	for accept, want := range map[string]string{
		"text/csv": "0,0.99999934,0,0\n0,0.99999934,0,0\n", "application/jsonlines": "{\"label\":0,\"probabilities\":[0.99999934,0,0]}\n{\"label\":0,\"probabilities\":[0.99999934,0,0]}\n",
		"application/json": `{"predictions":[{"label":0,"probabilities":[0.99999934,0,0]},{"label":0,"probabilities":[0.99999934,0,0]}]}`,
	} {
		if a := p.invoke("text/csv", aRow+"\n"+aRow+"\n", "Accept", accept); a.body != want {
			t.Errorf("%s: %q, want %q", accept, a.body, want)
		}
	}
}

// Connections that only hold a place are cut off; it takes as long as the
// server's patience.
func TestSlowSendersAreCutOff(t *testing.T) {
	p := start(t, "serve", nil, iris)
	type sender struct {
		what, text, reply string
		conn              net.Conn
	}
	senders := []sender{
		{what: "a header that does not end", text: "POST /invocations HTTP/1.1\r\nHost: x\r\n"},
		{what: "a body that stops", text: "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 15\r\n\r\n5.1,3.5", reply: "HTTP/1.1 408"},
		{what: "chunks that stop", text: "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n5.1\r\n", reply: "HTTP/1.1 408"},
	}
	begin := time.Now()
	for i := range senders {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		senders[i].conn = conn
		fmt.Fprint(conn, senders[i].text)
	}
	for _, s := range senders {
		if err := s.conn.SetReadDeadline(begin.Add(90 * time.Second)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s.conn)
		if err != nil || !strings.HasPrefix(string(got), s.reply) {
			t.Errorf("%s: %.100q, %v; want %q and the end", s.what, got, err, s.reply)
		}
		mustAnswer(t, p)
	}
}
