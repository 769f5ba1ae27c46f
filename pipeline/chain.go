package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/handler"
)

// Options are what a Chain is told beside its pipeline.yaml.
type Options struct {
	Handler handler.Handler   // of the models in this process
	Models  map[string]Member // by step, those that have one
	Ports   PortRange         // for commands
	Env     []string          // of commands, under their own
	Grace   time.Duration     // between a command's SIGTERM and its SIGKILL
	// Local takes one request to models in this process: it decodes,
	// runs l, and encodes what accept asks for.
	Local func(ctx context.Context, l *Linked, in *Message, accept string) (*Message, error)
	Watch func(Event) // what happens to the steps; called by several goroutines
}

// A Chain is a pipeline: its steps, what watches over them and the way
// through.
type Chain struct {
	mode   string
	steps  []*Step
	hops   []hop
	direct map[string]hop
	client *http.Client
	fresh  *http.Client                // for what must not go over a connection that was used before
	run    []func(ctx context.Context) // what Start starts
	stop   context.CancelFunc
	ends   sync.WaitGroup
}

// A hop is one step, or several in this process between which tensors go.
type hop struct {
	steps  []*Step
	linked *Linked // nil where the step is reached by HTTP
	do     func(ctx context.Context, in *Message, accept string) (*Message, error)
}

// New puts a chain together and checks that its models fit.
func New(p artifact.Pipeline, o Options) (*Chain, error) {
	c := &Chain{mode: p.Mode, client: newClient(true), fresh: newClient(false), direct: map[string]hop{}, stop: func() {}}
	shares, err := portShares(p, o.Ports)
	if err != nil {
		return nil, err
	}
	var locals []*Step // the run of models that is being gathered
	gather := func() error {
		if len(locals) == 0 {
			return nil
		}
		h, err := c.local(locals, o)
		locals = nil
		c.hops = append(c.hops, h)
		return err
	}
	for _, conf := range p.Steps {
		s := newStep(conf.Name, "", conf.Accept, conf.Timeout)
		c.steps = append(c.steps, s)
		if conf.Model != "" {
			s.kind, s.state = "model", Ready
			if locals = append(locals, s); p.Mode == artifact.Serial {
				continue
			}
		}
		if err := gather(); err != nil {
			return nil, err
		}
		if conf.Model != "" {
			continue
		}
		if err := c.remote(s, conf, p.Dir, &shares, o); err != nil {
			return nil, fmt.Errorf("step %q: %w", s.name, err)
		}
		c.hops = append(c.hops, hop{steps: []*Step{s}, do: (&remote{s, c.client, c.fresh}).do})
	}
	if err := gather(); err != nil {
		return nil, err
	}
	if p.Mode == artifact.Direct {
		for _, h := range c.hops {
			c.direct[h.steps[0].name] = h
		}
	}
	return c, nil
}

func portShares(p artifact.Pipeline, ports PortRange) ([]PortRange, error) {
	commands := 0
	for _, s := range p.Steps {
		if s.Command != nil {
			commands++
		}
	}
	if commands == 0 {
		return nil, nil
	}
	return ports.share(commands)
}

// local makes a hop of models.
func (c *Chain) local(steps []*Step, o Options) (hop, error) {
	var models []Member
	for _, s := range steps {
		models = append(models, o.Models[s.name])
	}
	l, err := link(o.Handler, steps, models)
	if err != nil {
		return hop{}, err
	}
	return hop{steps: steps, linked: l, do: func(ctx context.Context, in *Message, accept string) (*Message, error) {
		defer in.Body.Close()
		return o.Local(ctx, l, in, accept)
	}}, nil
}

// remote says what keeps a container's state, and a command running.
func (c *Chain) remote(s *Step, conf artifact.PipelineStep, dir string, shares *[]PortRange, o Options) error {
	ping := pingWith(c.client)
	if conf.URL != "" {
		s.kind, s.base = "url", conf.URL
		c.run = append(c.run, func(ctx context.Context) { s.watch(ctx, ping, o.Watch) })
		return nil
	}
	s.kind = "command"
	cmd := command{args: append([]string(nil), conf.Command...), dir: filepath.Join(dir, conf.Dir), env: o.Env}
	if filepath.IsAbs(conf.Dir) {
		cmd.dir = conf.Dir
	}
	if program := cmd.args[0]; strings.ContainsRune(program, filepath.Separator) && !filepath.IsAbs(program) {
		cmd.args[0] = filepath.Join(dir, program)
	}
	if _, err := exec.LookPath(cmd.args[0]); err != nil && !errors.Is(err, exec.ErrDot) {
		return err
	}
	for name, value := range conf.Env {
		cmd.env = append(cmd.env[:len(cmd.env):len(cmd.env)], variable(name, value))
	}
	share := (*shares)[0]
	*shares = (*shares)[1:]
	v := &supervisor{step: s, grace: o.Grace, ping: ping, tell: o.Watch, pick: share.pick,
		start: func(port int, rest PortRange) (child, error) {
			return started(cmd.start([]string{variable("SAGEMAKER_BIND_TO_PORT", port), variable("SAGEMAKER_SAFE_PORT_RANGE", rest)},
				func(line string) { o.Watch(Event{Step: s.name, Kind: EventOutput, Line: line}) }))
		}}
	c.run = append(c.run, v.run)
	return nil
}

// started keeps a nil *process from becoming a child that is not nil.
func started(p *process, err error) (child, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Start starts the commands and the pings. Close ends them.
func (c *Chain) Start() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for _, run := range c.run {
		c.ends.Go(func() { run(ctx) })
	}
}

// Close stops the commands, all at the same time, and waits for them.
func (c *Chain) Close() error {
	c.stop()
	c.ends.Wait()
	c.client.CloseIdleConnections()
	return nil
}

// Wait returns when every step is ready, or with ctx.
func (c *Chain) Wait(ctx context.Context) error {
	for _, s := range c.steps {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Ready is nil when every step is ready; else it says of one why not.
func (c *Chain) Ready() error {
	for _, s := range c.steps {
		if _, err := s.ready(); err != nil {
			return err
		}
	}
	return nil
}

// Status returns what is known of the steps, in their order.
func (c *Chain) Status() []Status {
	list := make([]Status, len(c.steps))
	for i, s := range c.steps {
		list[i] = s.Status()
	}
	return list
}

// Linked returns the models of a serial chain that has nothing but models in
// this process, else nil: its requests are then like those of any one model.
func (c *Chain) Linked() *Linked {
	if c.mode == artifact.Serial && len(c.hops) == 1 {
		return c.hops[0].linked
	}
	return nil
}

// Direct returns the model in this process that is the step of that name, nil
// where it is reached by HTTP. No such step is an error that lists them.
func (c *Chain) Direct(name string) (*Linked, error) {
	h, err := c.pick(name)
	return h.linked, err
}

func (c *Chain) pick(name string) (hop, error) {
	if h, ok := c.direct[name]; ok {
		return h, nil
	}
	var names []string
	for _, s := range c.steps {
		names = append(names, s.name)
	}
	given := fmt.Sprintf("there is no step %q", name)
	if name == "" {
		given = "the request names no step"
	}
	return hop{}, handler.Errorf(http.StatusBadRequest, "%s: X-Amzn-SageMaker-Target-Container-Hostname is one of %s", given, strings.Join(names, ", "))
}

// Send takes a message through a direct chain's step of that name. The body of
// what comes back is to be read and closed while ctx lasts.
func (c *Chain) Send(ctx context.Context, name string, in *Message, accept string) (*Message, error) {
	h, err := c.pick(name)
	if err != nil {
		in.Body.Close()
		return nil, err
	}
	return h.do(ctx, in, cmp.Or(asked(accept), h.last().accept))
}

// Run takes a message through a serial chain: the body of each step's reply
// and what is said of it become the next one's request. A 204 ends the chain.
// The body of what comes back is to be read and closed while ctx lasts.
func (c *Chain) Run(ctx context.Context, in *Message, accept string) (*Message, error) {
	// Nothing is started that could not be finished.
	if err := c.Ready(); err != nil {
		in.Body.Close()
		return nil, err
	}
	client := in.Header
	given := http.Header{} // what the steps have said to the client
	for i, h := range c.hops {
		wanted := h.last().accept
		if i == len(c.hops)-1 {
			wanted = cmp.Or(asked(accept), wanted)
		}
		out, err := h.do(ctx, in, wanted)
		if err != nil {
			return nil, err
		}
		for name, values := range out.Header {
			if ours(name) {
				given[name] = values
			}
		}
		if i == len(c.hops)-1 || out.Status == http.StatusNoContent {
			out.Header = merged(given, out.Header)
			return out, nil
		}
		out.Header = merged(client, out.Header)
		if a := given[attributes]; a != nil {
			out.Header[attributes] = a
		}
		in = out
	}
	return nil, errors.New("bug: a chain without steps")
}

func (h hop) last() *Step { return h.steps[len(h.steps)-1] }

// asked is an Accept that asks for something.
func asked(accept string) string {
	if strings.TrimSpace(accept) == "*/*" {
		return ""
	}
	return accept
}

// merged is what SageMaker says with a message and what is said of its body.
func merged(sagemaker, entity http.Header) http.Header {
	h := http.Header{}
	for name, values := range sagemaker {
		if ours(name) {
			h[name] = values
		}
	}
	for _, name := range []string{contentType, contentEncoding, jsonLength} {
		if v := entity[name]; v != nil {
			h[name] = v
		}
	}
	return h
}
