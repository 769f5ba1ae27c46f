package artifact

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAPipelineIsReadAsItIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fraud")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `timeout: 30s
steps:
  - {name: scale, model: scale}
  - name: classify
    command: [serve, serve]
    dir: work
    env: {SM_MODEL_DIR: ../classify, N: 1}
    accept: application/x-npy
  - {name: post, url: "http://127.0.0.1:8081", timeout: 1500ms}
`
	if err := os.WriteFile(filepath.Join(dir, PipelineName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := FindPipeline(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadPipeline(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Pipeline{Name: "fraud", Mode: Serial, Timeout: 30 * time.Second, Dir: dir, Steps: []PipelineStep{
		{Name: "scale", Model: "scale", Line: 3},
		{Name: "classify", Command: []string{"serve", "serve"}, Dir: "work", Env: map[string]string{"SM_MODEL_DIR": "../classify", "N": "1"}, Accept: "application/x-npy", Line: 4},
		{Name: "post", URL: "http://127.0.0.1:8081", Timeout: 1500 * time.Millisecond, Line: 9}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAPipelineThatCannotBeIsRefusedWithLineAndStep(t *testing.T) {
	two := "steps:\n  - {name: a, model: a}\n  - {name: b, "
	for _, c := range []struct{ text, want string }{
		{"", "line 1: a pipeline has 2 to 15 steps, not 0"},
		{"steps: []", "line 1: a pipeline has 2 to 15 steps, not 0"},
		{"steps:\n  - {name: a, model: a}", "line 1: a pipeline has 2 to 15 steps, not 1"},
		{"steps:" + strings.Repeat("\n  - {name: a, model: a}", 16), "2 to 15 steps, not 16"},
		{"mode: parallel\n" + two + "model: b}", `line 1: mode is serial or direct, not "parallel"`},
		{"stpes: []", "line 1: there is no stpes; did you mean steps?"},
		{two + "modle: b}", "line 3: there is no steps[1].modle; did you mean steps[1].model?"},
		{two + "port: 1}", "line 3: there is no steps[1].port; known here: name, url, command, model, dir, env, accept, timeout"},
		{"timeout: -1s\n" + two + "model: b}", "line 1: timeout is longer than nothing"},
		{"timeout: soon\n" + two + "model: b}", `line 1: timeout is a duration such as "30s"`},
		{"steps:\n  - {name: a, model: a}\n  - {model: b}", `line 3: steps[1]: a step has a name of 1 to 63 letters and digits`},
		{"steps:\n  - {name: a, model: a}\n  - {name: a, model: b}", `line 3: steps[1]: the step on line 2 is called "a" already`},
		{"steps:\n  - {name: a, model: a}\n  - {name: a_b, model: b}", `not "a_b"`},
		{two + "}", `line 3: step "b": it needs one of url, command and model`},
		{two + "model: b, url: 'http://x'}", `line 3: step "b": it has url and model`},
		{two + "url: 'x:8080'}", `step "b": url is like http://host:8080, not "x:8080"`},
		{two + "url: 'ftp://x'}", "url is like"},
		{two + "url: 'http://x/?a'}", "url is like"},
		{two + "model: b, env: {A: b}}", "dir and env belong to a command"},
		{two + "command: []}", "command is a list: a program and its arguments"},
		{two + "command: python3 server.py}", "command is a list, not a line for a shell: [python3, server.py]"},
		{two + "command: serve, env: {SAGEMAKER_BIND_TO_PORT: 1}}", "env: SAGEMAKER_BIND_TO_PORT is chosen by the server"},
		{two + "model: b, timeout: -1s}", `step "b": timeout is longer than nothing`},
		{two + "model: b}\nsteps: []", "steps is already set on line 1"},
		{"steps: 1", "steps is a list"},
		{"a: b: c", "pipeline.yaml"},
	} {
		p, err := ParsePipeline("pipeline.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "pipeline.yaml") {
			t.Errorf("%q: %+v, %v, want %q", c.text, p, err, c.want)
		}
	}
}

func TestAPipelineIsFoundUnderItsNameAlone(t *testing.T) {
	dir := t.TempDir()
	if path, err := FindPipeline(dir); path != "" || err != nil {
		t.Errorf("in an empty folder: %q, %v", path, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pipeline.yml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FindPipeline(dir); err == nil || !strings.Contains(err.Error(), "name it pipeline.yaml") {
		t.Errorf("pipeline.yml: %v", err)
	}
	if _, err := ReadPipeline(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzParsePipeline(f *testing.F) {
	f.Add("steps:\n  - {name: a, model: a}\n  - {name: b, command: [x], env: {a: b}}")
	f.Add("mode: direct\nsteps:\n  - &a {name: a, url: 'http://x'}\n  - *a")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePipeline("pipeline.yaml", []byte(text))
		if err == nil && (len(p.Steps) < 2 || len(p.Steps) > 15) {
			t.Errorf("%d steps", len(p.Steps))
		}
	})
}
