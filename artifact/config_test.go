package artifact_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claryhq/clary/artifact"
)

func TestEveryKeyIsRead(t *testing.T) {
	yes, no := true, false
	cases := []struct {
		text string
		want artifact.Config
	}{
		{"", artifact.Config{}},
		{"# nothing but a comment\n", artifact.Config{}},
		{"---\n", artifact.Config{}},
		{"name:\nsession:\nworkers: ~\n", artifact.Config{}},
		{"name: iris", artifact.Config{Name: "iris"}},
		{"name: 2026-11-22", artifact.Config{Name: "2026-11-22"}},
		{"name: 007", artifact.Config{Name: "007"}},
		{"warmup: yes", artifact.Config{Warmup: &yes}},
		{"session: {config: {a.b: 0, c: yes, d: 1e3}}", artifact.Config{Session: artifact.SessionConfig{Config: map[string]string{"a.b": "0", "c": "yes", "d": "1e3"}}}},
		{`
name: iris
model: onnx/net.onnx
session:
  intra_op_threads: 4
  inter_op_threads: 2
  spinning: true
  optimization: extended
  config:
    session.dynamic_block_base: "4"
workers: 3
timeout: 1m30s
accept: text/csv
warmup: false
`, artifact.Config{Name: "iris", Model: "onnx/net.onnx", Workers: 3, Timeout: 90 * time.Second, Accept: "text/csv", Warmup: &no,
			Session: artifact.SessionConfig{IntraOpThreads: 4, InterOpThreads: 2, Spinning: &yes, Optimization: "extended",
				Config: map[string]string{"session.dynamic_block_base": "4"}}}},
		{"name: &n iris\naccept: *n", artifact.Config{Name: "iris", Accept: "iris"}},
	}
	for _, c := range cases {
		got, err := artifact.ParseConfig("clary.yaml", []byte(c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q is %+v, want %+v", c.text, got, c.want)
		}
	}
}

func TestAWrongSettingIsAnErrorThatNamesTheLine(t *testing.T) {
	cases := []struct{ text, says string }{
		{"name: x\nnmae: y", "f.yaml, line 2: there is no nmae; did you mean name?"},
		{"session:\n  intra_op_thread: 4", "line 2: there is no session.intra_op_thread; did you mean session.intra_op_threads?"},
		{"intra_op_threads: 4", "line 1: there is no intra_op_threads; did you mean session.intra_op_threads?"},
		{"session: {workers: 4}", "there is no session.workers; did you mean workers?"},
		{"pipeline: x", "line 1: there is no pipeline; known here: name, model, session, workers, timeout, batching, accept, warmup"},
		{"? [a]\n: b", "line 1: there is no"},
		{"<<: {name: x}", "there is no <<"},
		{"name: x\n\nname: y", "line 3: name is already set on line 1"},
		{"session: {config: {a: 1, a: 2}}", "session.config.a is set twice"},
		{"workers: four", `line 1: workers is a whole number, not "four"`},
		{"workers: 2.5", `line 1: workers is a whole number, not "2.5"`},
		{"workers: '2'", `line 1: workers is a whole number, not "2"`},
		{"workers: 99999999999999999999", "line 1: workers is a whole number"},
		{"workers: 0", "line 1: workers is at least 1, not 0"},
		{"session: {inter_op_threads: -1}", "line 1: session.inter_op_threads is at least 1, not -1"},
		{"session:\n  intra_op_threads: 0", "line 2: session.intra_op_threads is at least 1, not 0"},
		{"timeout: 30", `timeout is a duration such as "30s" or "1m30s", not "30"`},
		{"timeout: 0s", "timeout is longer than nothing, not 0s"},
		{"timeout: -1s", "timeout is longer than nothing"},
		{"warmup: maybe", `warmup is true or false, not "maybe"`},
		{"name: [x]", "name is text, not a list"},
		{"name: {x: y}", "name is text, not key: value lines"},
		{"session: 4", `session is wanted as key: value lines, not "4"`},
		{"session: {config: [a]}", "session.config is wanted as key: value lines, not a list"},
		{"session: {config: {a: [1]}}", "session.config: every key and value is text"},
		{"session: {config: {a: }}", "session.config: every key and value is text"},
		{"session: {optimization: max}", `session.optimization is one of off, basic, extended, all, not "max"`},
		{"model: ../x.onnx", `model is the path of a .onnx file inside the artifact, not "../x.onnx"`},
		{"model: /x.onnx", "inside the artifact"},
		{"model: a/../../x.onnx", "inside the artifact"},
		{"model: x.pt", "a .onnx file"},
		{"- name", "clary.yaml is wanted as key: value lines, not a list"},
		{"just text", "clary.yaml is wanted as key: value lines"},
		{"name: x\n---\nname: y", "f.yaml holds more than one document"},
		{"name: [x", "f.yaml: line 1: did not find expected"},
		{"name: *x", "f.yaml: unknown anchor"},
		{"name: x\nbatching: {fill: true}", "line 2: batching.fill is up to the next of batches, which are not set"},
		{"batching: {pad: ids}", "batching.pad is wanted as key: value lines"},
		{"\tname: x", "f.yaml: "},
		{"name: \xff", "f.yaml: "},
		{"&a {session: *a}", "there is no session.session"},
	}
	for _, c := range cases {
		got, err := artifact.ParseConfig("f.yaml", []byte(c.text))
		if err == nil {
			t.Errorf("%q was read as %+v", c.text, got)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: the error does not say %q: %v", c.text, c.says, err)
		}
	}
}

func TestAHugeSettingsFileIsRefused(t *testing.T) {
	dir := tree(t, "a.onnx", "clary.yaml="+strings.Repeat("# x\n", 1<<19))
	if _, err := artifact.Open(dir, artifact.Limits{}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("Open says %v", err)
	}
}

// Every fenced yaml block of the settings page is a valid clary.yaml, and
// together they show every key.
func TestTheDocumentedSettingsAreValid(t *testing.T) {
	page, err := os.ReadFile("../docs/clary-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the page has no example")
	}
	var shown []artifact.Config
	for i, b := range blocks {
		text, _, ended := strings.Cut(b, "```")
		if !ended {
			t.Fatalf("example %d has no end", i+1)
		}
		c, err := artifact.ParseConfig(fmt.Sprintf("example %d", i+1), []byte(text))
		if err != nil {
			t.Error(err)
		}
		shown = append(shown, c)
	}
	for _, key := range unset(artifact.Config{}) {
		if !strings.Contains(string(page), "| `"+key+"` |") {
			t.Errorf("the page's table has no `%s`", key)
		}
	}
	for _, key := range unset(shown...) {
		t.Errorf("no example shows %s", key)
	}
}

// unset returns the keys that no config sets.
func unset(configs ...artifact.Config) (keys []string) {
	var walk func(path string, values []reflect.Value)
	walk = func(path string, values []reflect.Value) {
		for i := range values[0].NumField() {
			key := path + values[0].Type().Field(i).Tag.Get("yaml")
			var fields []reflect.Value
			set := false
			for _, v := range values {
				fields = append(fields, v.Field(i))
				set = set || !v.Field(i).IsZero()
			}
			if fields[0].Kind() == reflect.Struct {
				walk(key+".", fields)
			} else if !set {
				keys = append(keys, key)
			}
		}
	}
	var values []reflect.Value
	for _, c := range configs {
		values = append(values, reflect.ValueOf(c))
	}
	walk("", values)
	return keys
}

func TestNearestFindsTheNameThatWasMeant(t *testing.T) {
	known := []string{"name", "model", "workers", "timeout", "accept", "CLARY_MAX_QUEUE", "cpu"}
	for given, want := range map[string]string{
		"nmae": "name", "Name": "name", "modle": "model", "worker": "workers", "tiemout": "timeout",
		"CLARY_MAX_QUEU": "CLARY_MAX_QUEUE", "clary_max_queue": "CLARY_MAX_QUEUE", "CLARY_MAXQUEUES": "CLARY_MAX_QUEUE",
		"gpu": "cpu", "gpus": "cpu", "xyz": "", "": "", "batching": "", "CLARY_SOMETHING": "", strings.Repeat("x", 1<<20): "",
	} {
		if got := artifact.Nearest(given, known); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", given, got, want)
		}
	}
	if got := artifact.Nearest("x", nil); got != "" {
		t.Errorf("Nearest among nothing = %q", got)
	}
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"name: iris\nworkers: 3", "session: {config: {a: b}, spinning: yes}", "a: &a [*a]", "x: |\n  y", "? {a: b}\n: c", "!!binary x", "name: !!int x",
		"post: [softmax: x, {labels: {names: [a]}}, {rename: {a: b}}, top_k: {k: 3}]\nreply: {style: predictions, fields: {a: b}}", "image: {size: 2, mean: [1, .5]}\nlibsvm: {index_base: 1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := artifact.ParseConfig("f.yaml", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml") {
				t.Errorf("the error does not name the file: %v", err)
			}
			if !reflect.DeepEqual(c, artifact.Config{}) {
				t.Errorf("%+v beside the error %v", c, err)
			}
			return
		}
		if c.Workers < 0 || c.Timeout < 0 || c.Session.IntraOpThreads < 0 || strings.Contains(c.Model, "..") && strings.HasPrefix(c.Model, "/") {
			t.Errorf("read as %+v", c)
		}
	})
}
