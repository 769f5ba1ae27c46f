package clary_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// artifactOf copies a model of testdata/models and puts files beside it, each
// given as its name and its text.
func artifactOf(t testing.TB, model string, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.Base(model))
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/models", filepath.Base(model)))); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What docs/post.md shows after a command is what a server with the clary.yaml
// above it answers.
func TestThePostPagesExamplesAnswerAsShown(t *testing.T) {
	page, err := os.ReadFile("docs/post.md")
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")
	var files []string
	var p *process
	shown := map[string]bool{}
	for _, m := range fence.FindAllStringSubmatch(string(page), -1) {
		switch kind, name, text := m[1], m[2], m[3]; kind {
		case "text":
			files = []string{name, text}
		case "yaml":
			model, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
			p = start(t, "serve", nil, artifactOf(t, model, append(files, "clary.yaml", text)...))
			files = nil
			for _, key := range regexp.MustCompile(`(?m)(\w+):`).FindAllStringSubmatch(text, -1) {
				shown[key[1]] = true
			}
		case "console":
			for _, entry := range strings.Split("\n"+text, "\n$ ")[1:] {
				command, want, _ := strings.Cut(entry, "\n")
				got, err := exec.Command("bash", "-c", strings.ReplaceAll(command, "localhost:8080", p.base)).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v", command, err)
				}
				if strings.TrimSpace(string(got)) != strings.TrimSpace(want) {
					t.Errorf("%s\nanswers %s\nthe page says %s", command, got, want)
				}
			}
		default:
			t.Errorf("a block of %s", kind)
		}
	}
	for _, key := range []string{"softmax", "sigmoid", "argmax", "labels", "labels_file", "names", "top_k", "threshold", "rename", "drop", "keep", "fields", "verbose", "envelope", "output"} {
		if !shown[key] {
			t.Errorf("no example shows %s", key)
		}
	}
}

const irisRow = "6.0,2.2,5.0,1.5"

func TestXGBoostsOutputIsSelectedByTheEnvironment(t *testing.T) {
	all := "predicted_label, labels,probability,Probabilities,raw_score,raw_scores,predicted_score,nonsense"
	p := start(t, "serve", []string{"SAGEMAKER_INFERENCE_OUTPUT=" + all}, iris)
	want := `1,"[0, 1, 2]",0.6322219,"[0, 0.6322219, 0.3677777]",0.6322219,"[0, 0.6322219, 0.3677777]",nan,nan`
	if a := p.invoke("text/csv", irisRow); a.status != 200 || a.body != want || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d %s %q; want %s", a.status, a.header.Get("Content-Type"), a.body, want)
	}
	object := `{"predicted_label":1,"labels":[0,1,2],"probability":0.6322219,"probabilities":[0,0.6322219,0.3677777],"raw_score":0.6322219,"raw_scores":[0,0.6322219,0.3677777],"predicted_score":"NaN","nonsense":"NaN"}`
	if a := p.invoke("text/csv", irisRow, "Accept", "application/json"); a.body != `{"predictions":[`+object+`]}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := p.invoke("text/csv", irisRow+"\n"+irisRow, "Accept", "application/jsonlines"); a.body != object+"\n"+object {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := p.invoke("text/csv", irisRow, "Accept", "application/x-recordio-protobuf"); a.status != 200 || !strings.Contains(a.body, "predicted_label") || !strings.Contains(a.body, "raw_scores") {
		t.Errorf("%d %q", a.status, a.body)
	}
	// KServe V2 stays KServe V2, with the outputs that were selected.
	v2 := `{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[6,2.2,5,1.5]}],"outputs":[{"name":"probability"}]}`
	if a := p.invoke("application/json", v2, "Accept", "application/json"); a.body != `{"model_name":"iris","outputs":[{"name":"probability","datatype":"FP32","shape":[1],"data":[0.6322219]}]}` {
		t.Errorf("%d %s", a.status, a.body)
	}

	// In a batch transform job every line ends, and the settings go before
	// clary.yaml's style.
	dir := artifactOf(t, "diabetes", "clary.yaml", "reply: {style: tfs}")
	p = start(t, "serve", []string{"SAGEMAKER_BATCH=true", "SAGEMAKER_INFERENCE_OUTPUT=predicted_score,labels"}, dir)
	if a := p.invoke("text/csv", "61,1,25.8,90,280,195.4,55,5,4.9972,90"); a.body != "139.95656,nan\n" {
		t.Errorf("%d %q", a.status, a.body)
	}
	p = start(t, "serve", nil, artifactOf(t, "diabetes", "clary.yaml", "reply: {style: xgboost}"))
	if a := p.invoke("text/csv", "61,1,25.8,90,280,195.4,55,5,4.9972,90", "Accept", "application/json"); a.body != `{"predictions":[{"score":139.95656}]}` {
		t.Errorf("%d %q", a.status, a.body)
	}
}

const mixedSchema = `{"input":[{"name":"age","type":"int"},{"name":"sex","type":"string"},{"name":"weight","type":"string"},{"name":"pressure","type":"float"},` +
	`{"name":"triglycerides","type":"double"}],"output":{"name":"label","type":"string"}}`

func TestSparkMLsSchemaComesFromTheEnvironmentOrTheRequest(t *testing.T) {
	p := start(t, "serve", []string{"SAGEMAKER_SPARKML_SCHEMA=" + mixedSchema}, "testdata/models/mixed")
	vector := strings.Replace(mixedSchema, `{"name":"label","type":"string"}`, `{"name":"probabilities","type":"double","struct":"array"}`, 1)
	row := `[54,"male","obese",115,4.6821]`
	for _, c := range []struct{ contentType, accept, body, want string }{
		{"text/csv", "", "54,male,obese,115,4.6821\n54,male,obese,115,4.6821\n", "faster\nfaster"},
		{"application/json", "", `{"data":` + row + `}`, "faster"},
		{"application/json", "application/jsonlines", `{"data":` + row + `}`, `"faster"`},
		{"application/json", "application/jsonlines;data=text", `{"data":` + row + `}`, `{"source":"faster"}`},
		{"application/json", "application/json", `{"data":[` + row + `,` + row + `]}`, `{"predictions":["faster","faster"]}`},
		{"application/json", "", `{"schema":` + vector + `,"data":` + row + `}`, "0.7918924,0.20810759"},
		{"application/json", "application/jsonlines", `{"schema":` + vector + `,"data":` + row + `}`, `{"features":[0.7918924,0.20810759]}`},
		{"application/json", "application/jsonlines; data=text", `{"schema":` + vector + `,"data":` + row + `}`, `{"source":"0.7918924 0.20810759"}`},
		{"application/jsonlines", "application/jsonlines", `{"schema":` + vector + `,"data":` + row + "}\n{\"data\":[" + row + "," + row + "]}",
			strings.TrimSpace(strings.Repeat("{\"features\":[0.7918924,0.20810759]}\n", 3))},
		// Requests of another kind are answered as ever, but in CSV where nothing is asked for.
		{"application/json", "application/json", `{"instances":[{"sex":"male","weight":"obese","age":54,"pressure":115,"triglycerides":4.6821}]}`,
			`{"predictions":[{"label":"faster","probabilities":[0.7918924,0.20810759]}]}`},
	} {
		headers := []string{}
		if c.accept != "" {
			headers = []string{"Accept", c.accept}
		}
		if a := p.invoke(c.contentType, c.body, headers...); a.status != 200 || a.body != c.want {
			t.Errorf("%s as %q: %d %s; want %s", c.body, c.accept, a.status, a.body, c.want)
		}
	}
	for body, want := range map[string]string{
		`{"data":[54.5,"male","obese",115,4.6821]}`:                                                   "data.age: 54.5 is not a whole number",
		`{"schema":{"input":[]},"data":[1]}`:                                                          "has no columns",
		`{"schema":` + strings.Replace(mixedSchema, `"label"`, `"lable"`, 1) + `,"data":` + row + `}`: `no output is named \"lable\"`,
	} {
		if a := p.invoke("application/json", body); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s; want %s", body, a.status, a.body, want)
		}
	}
	if a := p.invoke("text/csv", ""); a.status != 204 {
		t.Errorf("an empty body: %d %s", a.status, a.body)
	}

	// Nobody says what the default is: the container's own for its requests.
	p = start(t, "serve", nil, "testdata/models/mixed")
	body := `{"schema":` + vector + `,"data":` + row + `}`
	if a := p.invoke("application/json", body); a.body != "0.7918924,0.20810759" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d %s", a.status, a.body)
	}
	p = start(t, "serve", []string{"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=application/json"}, "testdata/models/mixed")
	if a := p.invoke("application/json", body); a.body != `{"predictions":[[0.7918924,0.20810759]]}` {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestSettingsOfRepliesThatDoNotFitStopTheStart(t *testing.T) {
	for _, c := range []struct {
		model, yaml string
		env         []string
		says        []string
	}{
		{"iris", "name: x\npost:\n  - softmax: output_probability\n  - argmax: probabilities\n", nil, []string{"clary.yaml, line 4: post[1]: there is no output", "output_probability"}},
		{"iris", "post:\n  - softmax: output_label\n", nil, []string{"line 2: post[0]: output", "is int64, and floating-point numbers are wanted"}},
		{"diabetes", "post:\n  - labels: {output: variable, names: [a, b]}\n", nil, []string{"2 names for output", "1 classes"}},
		{"iris", "post:\n  - labels: {output: output_probability, labels_file: labels.txt}\n", nil, []string{"line 2: labels_file", "labels.txt"}},
		{"iris", "post:\n  - sofmax: y\n", nil, []string{"line 2: there is no post[0].sofmax; did you mean post[0].softmax?"}},
		{"iris", "reply:\n  style: predictions\n  fields: {score: probability}\n", nil, []string{"clary.yaml: reply: score: there is no output"}},
		{"iris", "reply:\n  style: prediction\n", nil, []string{"line 2: reply.style has no", "did you mean predictions?"}},
		{"iris", "image: {layout: chw}\n", nil, []string{"clary.yaml: image.layout is one of nchw, nhwc"}},
		{"identity-string", "", []string{"SAGEMAKER_INFERENCE_OUTPUT=probability"}, []string{"SAGEMAKER_INFERENCE_OUTPUT: ", "floating-point"}},
		{"iris", "", []string{"SAGEMAKER_SPARKML_SCHEMA=" + mixedSchema}, []string{"SAGEMAKER_SPARKML_SCHEMA: ", "the column"}},
	} {
		dir := artifactOf(t, c.model, "clary.yaml", c.yaml)
		code, stdout, stderr := outcome(t, c.env, dir, "--host", "127.0.0.1", "--port", "0")
		var line struct{ Error, Msg string }
		for _, text := range strings.Split(stdout, "\n") {
			if strings.Contains(text, `"level":"error"`) {
				if err := json.Unmarshal([]byte(text), &line); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range c.says {
			if code != 1 || !strings.Contains(line.Msg+line.Error, s) {
				t.Errorf("%s %v: exit %d, %s %s\nwant %q", c.yaml, c.env, code, stdout, stderr, s)
			}
		}
	}
}

func TestWhatComesOutIsSaidEverywhere(t *testing.T) {
	dir := artifactOf(t, "digits", "clary.yaml", "post:\n  - labels: {names: [zero, one, two, three, four, five, six, seven, eight, nine]}\n  - top_k: {k: 2}\n")
	code, stdout, stderr := outcome(t, nil, "inspect", dir)
	if code != 0 || !regexp.MustCompile(`(?m)^output +labels +string\[N,2\]`).MatchString(stdout) || !regexp.MustCompile(`(?m)^output +scores +float32\[N,2\]`).MatchString(stdout) {
		t.Errorf("inspect: %d %s %s", code, stdout, stderr)
	}
	p := start(t, "serve", nil, dir)
	if a := p.get("/"); !strings.Contains(strings.Join(strings.Fields(a.body), ""), `"outputs":[{"name":"labels","type":"string","shape":[-1,2]},{"name":"scores","type":"float32","shape":[-1,2]}]`) {
		t.Errorf("GET /: %s", a.body)
	}
	zeros := strings.TrimSuffix(strings.Repeat("0,", 64), ",")
	if a := p.invoke("text/csv", zeros, "Accept", "text/csv; header=present"); a.status != 200 || !strings.HasPrefix(a.body, "labels_0,labels_1,scores_0,scores_1\none,") {
		t.Errorf("%d %s", a.status, a.body)
	}
	v2 := `{"inputs":[{"name":"image","shape":[1,1,8,8],"datatype":"FP32","data":[` + zeros + `]}],"outputs":[{"name":"labels"}]}`
	if a := p.invoke("application/json", v2); a.status != 200 || !strings.Contains(a.body, `"datatype":"BYTES","shape":[1,2],"data":["one",`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The lines to paste follow what clary.yaml and the settings change.
func TestPastedLinesWorkUnderEveryStyle(t *testing.T) {
	for _, c := range []struct {
		model, yaml string
		env         []string
	}{
		{"text", "reply: {style: huggingface}", nil},
		{"iris", "reply: {style: xgboost}\nlibsvm: {index_base: 0}", nil},
		{"iris", "reply: {style: predictions, fields: {score: \"output_probability[1]\"}}", nil},
		{"mixed", "reply: {style: tfs}", []string{"SAGEMAKER_SPARKML_SCHEMA=" + mixedSchema}},
	} {
		p := start(t, "serve", c.env, artifactOf(t, c.model, "clary.yaml", c.yaml))
		var d struct {
			Formats []struct {
				MediaType string `json:"media_type"`
				Accepts   bool
				Example   string
			}
		}
		if err := json.Unmarshal([]byte(p.get("/").body), &d); err != nil {
			t.Fatal(err)
		}
		csv := false
		for _, f := range d.Formats {
			csv = csv || f.MediaType == "text/csv" && f.Accepts
			if f.Example == "" || strings.Contains(f.Example, "python3") {
				continue
			}
			out, err := exec.Command("bash", "-c", f.Example+" -f").CombinedOutput()
			if err != nil || len(out) == 0 {
				t.Errorf("%s %s: %s: %s, %v", c.model, c.yaml, f.Example, out, err)
			}
		}
		if !csv {
			t.Errorf("%s %s: CSV is not accepted: %+v", c.model, c.yaml, d.Formats)
		}
	}
}

// Dense and sparse rows, in each media type that has them.
func TestBuiltInAlgorithmsRequestsReachTheModel(t *testing.T) {
	p := start(t, "serve", nil, iris)
	dense := p.invoke("text/csv", "6.0,0,0,1.5\n6.0,2.2,5.0,1.5")
	sparse := `{"data":{"features":{"keys":[0,3],"shape":[4],"values":[6.0,1.5]}}}`
	full := `{"features":[6.0,2.2,5.0,1.5]}`
	for contentType, body := range map[string]string{
		"application/json":                       `{"instances":[` + sparse + `,` + full + `],"configuration":{}}`,
		"application/jsonlines":                  sparse + "\n" + full + "\n",
		"application/json; charset=utf-8":        `{"instances":[` + sparse + `,{"data":{"features":{"values":[6.0,2.2,5.0,1.5]}}}]}`,
		"application/jsons":                      sparse + full,
		"application/x-ndjson; charset=us-ascii": sparse + "\r\n" + full,
	} {
		if a := p.invoke(contentType, body); dense.status != 200 || a.status != 200 || a.body != dense.body {
			t.Errorf("%s %s: %d %s; want %s", contentType, body, a.status, a.body, dense.body)
		}
	}
	for body, want := range map[string]string{
		`{"instances":[{"data":{"features":{"keys":[4],"shape":[4],"values":[1]}}}]}`: "the key 4",
		`{"instances":[{"data":{"features":{"keys":[0],"shape":[5],"values":[1]}}}]}`: "a shape of 5 features where 4",
		sparse + "\n" + full: "a value a line is application/jsonlines",
	} {
		if a := p.invoke("application/json", body); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s; want %q", body, a.status, a.body, want)
		}
	}
}
