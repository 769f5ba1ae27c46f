package artifact

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// PipelineName is what the file that names the steps of a pipeline is called.
const PipelineName = "pipeline.yaml"

// The ways in which a pipeline uses its steps, as SageMaker calls them.
const (
	Serial = "serial" // each step's reply is the next one's request
	Direct = "direct" // the request names its step
)

// The bounds of a pipeline, as SageMaker sets them (contract §5.1).
const (
	minSteps = 2
	maxSteps = 15
)

// Pipeline is what a pipeline.yaml says (docs/pipelines.md).
type Pipeline struct {
	Name    string         `yaml:"name"`    // of the pipeline in metrics; the folder's where it is not said
	Mode    string         `yaml:"mode"`    // serial, which is the default, or direct
	Timeout time.Duration  `yaml:"timeout"` // for one request along the whole chain; 0 is none
	Steps   []PipelineStep `yaml:"steps"`   // 2 to 15, in their order

	Dir string // the file's folder, which paths in it are relative to
}

// A PipelineStep is one container or one model of a pipeline: one of URL,
// Command and Model is set.
type PipelineStep struct {
	Name    string            `yaml:"name"`
	URL     string            `yaml:"url"`     // of a container that runs already
	Command []string          `yaml:"command"` // what starts one
	Model   string            `yaml:"model"`   // to be served in this process: a .onnx file, a folder or a model.tar.gz
	Dir     string            `yaml:"dir"`     // the command's working directory
	Env     map[string]string `yaml:"env"`     // of the command, on top of the server's own
	Accept  string            `yaml:"accept"`  // the media type that the step is asked for, unless a client asks for another
	Timeout time.Duration     `yaml:"timeout"` // for this step's part of one request; 0 is none

	Line int // in the file
}

// Kind says which of URL, Command and Model is set.
func (s *PipelineStep) Kind() string {
	switch {
	case s.URL != "":
		return "url"
	case s.Command != nil:
		return "command"
	}
	return "model"
}

// hostname is what SageMaker takes as a ContainerHostname, and what a step is
// named: it goes into headers, metrics and log lines.
var hostname = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$`)

// FindPipeline returns the path of the pipeline.yaml in the folder dir, "" if
// it holds none.
func FindPipeline(dir string) (string, error) {
	if path := filepath.Join(dir, PipelineName); isFile(path) {
		return path, nil
	}
	if other := filepath.Join(dir, "pipeline.yml"); isFile(other) {
		return "", fmt.Errorf("%s would not be read: name it %s", other, PipelineName)
	}
	return "", nil
}

// ReadPipeline reads the pipeline.yaml at path.
func ReadPipeline(path string) (Pipeline, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Pipeline{}, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return Pipeline{}, fmt.Errorf("%s is a folder; name the %s in it", path, PipelineName)
	}
	text, err := readLimited(path)
	if err != nil {
		return Pipeline{}, err
	}
	p, err := ParsePipeline(path, text)
	if err != nil {
		return Pipeline{}, err
	}
	p.Dir = filepath.Dir(path)
	if p.Name == "" {
		p.Name = filepath.Base(p.Dir)
	}
	return p, nil
}

// ParsePipeline reads the text of a pipeline.yaml, as strictly as ParseConfig
// does. Its errors give file, line and step.
func ParsePipeline(file string, text []byte) (Pipeline, error) {
	var p Pipeline
	d, err := decode(file, PipelineName, text, &p)
	if err == nil {
		err = d.checkPipeline(&p)
	}
	if err != nil {
		return Pipeline{}, err
	}
	return p, nil
}

func (d *decoder) checkPipeline(p *Pipeline) error {
	switch p.Mode {
	case "":
		p.Mode = Serial
	case Serial, Direct:
	default:
		return d.errorf(d.lines["mode"], "mode is serial or direct, not %q", p.Mode)
	}
	if line, set := d.lines["timeout"]; set && p.Timeout <= 0 {
		return d.errorf(line, "timeout is longer than nothing, not %v", p.Timeout)
	}
	if n := len(p.Steps); n < minSteps || n > maxSteps {
		return d.errorf(max(1, d.lines["steps"]), "a pipeline has %d to %d steps, not %d", minSteps, maxSteps, n)
	}
	seen := map[string]int{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if !hostname.MatchString(s.Name) {
			return d.errorf(s.Line, "steps[%d]: a step has a name of 1 to 63 letters and digits, with hyphens between them, not %q", i, s.Name)
		}
		if first, again := seen[s.Name]; again {
			return d.errorf(s.Line, "steps[%d]: the step on line %d is called %q already", i, first, s.Name)
		}
		seen[s.Name] = s.Line
		if err := s.check(); err != nil {
			return d.errorf(s.Line, "step %q: %v", s.Name, err)
		}
	}
	return nil
}

func (s *PipelineStep) check() error {
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{{"url", s.URL != ""}, {"command", s.Command != nil}, {"model", s.Model != ""}} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	switch {
	case len(kinds) == 0:
		return fmt.Errorf("it needs one of url, command and model")
	case len(kinds) > 1:
		return fmt.Errorf("it has %s; one of them says what it is", strings.Join(kinds, " and "))
	case s.Timeout < 0:
		return fmt.Errorf("timeout is longer than nothing, not %v", s.Timeout)
	case s.Command == nil && (s.Dir != "" || s.Env != nil):
		return fmt.Errorf("dir and env belong to a command")
	case s.URL != "":
		return checkURL(s.URL)
	case s.Command != nil:
		return checkCommand(s.Command, s.Env)
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("url is like http://host:8080, not %q", text)
	}
	return nil
}

// ours are the variables that a command is told by whoever starts it.
var ours = []string{"SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE"}

func checkCommand(command []string, env map[string]string) error {
	switch {
	case len(command) == 0 || command[0] == "":
		return fmt.Errorf("command is a list: a program and its arguments")
	case len(command) == 1 && strings.ContainsAny(command[0], " \t"):
		return fmt.Errorf("command is a list, not a line for a shell: [%s]", strings.Join(strings.Fields(command[0]), ", "))
	}
	for name := range env {
		if slices.Contains(ours, name) {
			return fmt.Errorf("env: %s is chosen by the server, from its own SAGEMAKER_SAFE_PORT_RANGE", name)
		}
	}
	return nil
}
