package clary

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/pipeline"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A conductor serves a pipeline in the place of one model.
type conductor struct {
	*Server
	conf      artifact.Pipeline
	file      string
	admission *admission // of what runs in this process
	metrics   *modelMetrics
	models    map[string]*live               // by step, those in this process
	chain     atomic.Pointer[pipeline.Chain] // nil until its models are open
	whole     atomic.Pointer[live]           // the chain as one model, where nothing of it is elsewhere
	ready     atomic.Bool                    // every step has been
}

// stepGrace is how long a command of a pipeline may take to end once it has
// been asked to, at the end, when no request is left.
const stepGrace = 3 * time.Second

// pipelinePath is the pipeline.yaml that cfg means, "" where it means a model.
func pipelinePath(cfg *Config) (string, error) {
	switch ext := filepath.Ext(cfg.Model); {
	case cfg.Pipeline == "none":
		return "", nil
	case cfg.Pipeline != "":
		return cfg.Pipeline, nil
	case cfg.ManyModels(): // their folder is no artifact
		return "", nil
	case ext == ".yaml" || ext == ".yml":
		return cfg.Model, nil
	}
	return artifact.FindPipeline(cfg.Model)
}

// newConductor returns nil where cfg names no pipeline.
func newConductor(s *Server) (*conductor, error) {
	path, err := pipelinePath(&s.cfg)
	if path == "" || err != nil {
		return nil, err
	}
	if s.many != nil {
		return nil, errors.New("CLARY_PIPELINE: a server is for one pipeline or for many models; many models can be a step, as a command or a container")
	}
	c := &conductor{Server: s, file: path, models: map[string]*live{}, admission: newAdmission(cmp.Or(s.cfg.Workers, cores()), s.cfg.Queue)}
	if s.plain {
		c.admission = c.admission.open() // as that of one model
	}
	if c.conf, err = artifact.ReadPipeline(path); err != nil {
		return nil, err
	}
	c.metrics = s.newMetrics(c.conf.Name, c.admission)
	return c, nil
}

// load opens the models that are in this process, starts the commands and
// waits until every step is ready.
func (c *conductor) load(ctx context.Context) error {
	begin := time.Now()
	members, err := c.open(ctx)
	if ctx.Err() != nil {
		return nil // the server is stopping; that is no failure to load
	}
	if err != nil {
		return err
	}
	chain, err := pipeline.New(c.conf, pipeline.Options{Handler: c.handler, Models: members, Ports: c.cfg.Ports, Env: stepEnvironment(c.cfg.Environ),
		Grace: stepGrace, Local: c.local, Watch: c.tell})
	if err != nil {
		return fmt.Errorf("%s: %w", c.file, err)
	}
	c.registry.MustRegister(stepCollector{chain})
	chain.Start()
	c.chain.Store(chain)
	if err := chain.Wait(ctx); err != nil {
		return nil // as above
	}
	if l := chain.Linked(); l != nil {
		m := c.segment(l)
		c.whole.Store(m)
	}
	c.metrics.setup.Set(time.Since(c.started).Seconds())
	c.metrics.loading.Set(time.Since(begin).Seconds())
	c.ready.Store(true)
	c.log.Info("ready", zap.String("pipeline", c.conf.Name), zap.String("mode", c.conf.Mode), zap.Int("steps", len(c.conf.Steps)),
		zap.Duration("load_ms", time.Since(begin)))
	_ = c.log.Sync() // whoever waits for this line should not wait for the buffer
	releaseFiles()
	return nil
}

// open opens the models of the steps that are in this process.
func (c *conductor) open(ctx context.Context) (map[string]pipeline.Member, error) {
	members := map[string]pipeline.Member{}
	for _, step := range c.conf.Steps {
		if step.Model == "" {
			continue
		}
		at := func(err error) error {
			return fmt.Errorf("%s, line %d: step %q: %w", c.file, step.Line, step.Name, err)
		}
		if _, whole := c.handler.(handler.Transformer); whole {
			return nil, at(errors.New("the handler has a TransformFn, which takes and gives bytes, and a model in this process passes tensors: make it a command"))
		}
		if len(members) == 0 {
			if err := c.startRuntime(); err != nil {
				return nil, err
			}
		}
		path := step.Model
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.conf.Dir, path)
		}
		a, err := artifact.Open(path, artifact.Limits{})
		if err != nil {
			return nil, at(fmt.Errorf("no model: %w", err))
		}
		m, err := c.openArtifact(ctx, a, c.conf.Name+"/"+step.Name)
		if err != nil {
			return nil, at(err)
		}
		c.models[step.Name] = m
		members[step.Name] = pipeline.Member{Model: m.model, Inputs: m.inputs, Outputs: m.outputs, Options: m.formats}
	}
	return members, nil
}

// segment is what the models of l are together, as one model.
func (c *conductor) segment(l *pipeline.Linked) *live {
	names := l.Steps()
	last := c.models[names[len(names)-1]]
	accept := last.accept
	for _, step := range c.conf.Steps {
		if step.Name == names[len(names)-1] {
			accept = cmp.Or(step.Accept, accept)
		}
	}
	return &live{name: c.conf.Name, linked: l, inputs: l.Inputs(), outputs: l.Outputs(), formats: c.models[names[0]].formats,
		accept: accept, timeout: c.timeout(), intraOp: last.intraOp, admission: c.admission, metrics: c.metrics}
}

func (c *conductor) timeout() time.Duration { return cmp.Or(c.cfg.Timeout, c.conf.Timeout) }

// close ends the commands and closes the models.
func (c *conductor) close() error {
	err := c.abandon()
	for _, m := range c.models {
		err = errors.Join(err, m.Close())
	}
	return err
}

// abandon ends the commands, whatever else is still going on.
func (c *conductor) abandon() error {
	if c == nil {
		return nil
	}
	if chain := c.chain.Load(); chain != nil {
		return chain.Close()
	}
	return nil
}

// stepEnvironment is what a pipeline's commands are given of the server's own
// environment: all but what says where this server listens and what it serves.
// A Clary among them listens to this machine alone, and does not take this
// server's pipeline for its own.
func stepEnvironment(environ []string) []string {
	env := make([]string, 0, len(environ)+2)
	for _, kv := range environ {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE", "SM_MODEL_DIR", "CLARY_PIPELINE", "CLARY_HOST":
		default:
			env = append(env, kv)
		}
	}
	return append(env, "CLARY_PIPELINE=none", "CLARY_HOST=127.0.0.1")
}

// tell logs what happens to the steps.
func (c *conductor) tell(e pipeline.Event) {
	step := zap.String("step", e.Step)
	switch e.Kind {
	case pipeline.EventOutput:
		c.log.Log(levelOf(e.Line), "output", step, zap.String("line", e.Line))
	case pipeline.EventStarted:
		c.log.Info("step started", step, zap.Int("pid", e.PID), zap.String("url", e.URL))
	case pipeline.EventReady:
		c.log.Info("step ready", step)
	case pipeline.EventLost:
		c.log.Warn("step lost", step, zap.Error(e.Err))
	case pipeline.EventExited:
		c.log.Error("step exited", step, zap.Error(e.Err), zap.Duration("again_ms", e.Again))
	}
}

// levelOf is the level that a line of JSON has, as Clary's and many others'
// logs do; info for any other.
func levelOf(line string) zapcore.Level {
	var fields struct{ Level string }
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &fields) != nil {
		return zapcore.InfoLevel
	}
	level, err := zapcore.ParseLevel(fields.Level)
	if err != nil || level > zapcore.ErrorLevel { // a step's end is not this process's
		return zapcore.InfoLevel
	}
	return level
}
