package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
)

func info(name string, d runtime.DType, shape ...int) runtime.Info {
	return runtime.Info{Name: name, DType: d, Shape: shape}
}

func TestOutputsBecomeInputsByNameElseByOrder(t *testing.T) {
	const f, i = runtime.Float32, runtime.Int64
	sequence := runtime.Info{Name: "s", Kind: runtime.KindSequence, DType: f}
	anyShape := runtime.Info{Name: "u", DType: f, Unranked: true}
	for _, c := range []struct {
		name            string
		outputs, inputs []runtime.Info
		want            []int
		err             string
	}{
		{"one to one", []runtime.Info{info("y", f, -1, 4)}, []runtime.Info{info("x", f, -1, 4)}, []int{0}, ""},
		{"by name, against the order", []runtime.Info{info("a", f, -1), info("b", f, -1)}, []runtime.Info{info("b", f, -1), info("a", f, -1)}, []int{1, 0}, ""},
		{"outputs that nobody takes", []runtime.Info{info("a", f, -1), info("b", f, -1)}, []runtime.Info{info("b", f, -1)}, []int{1}, ""},
		{"by order", []runtime.Info{info("a", f, -1), info("b", f, -1)}, []runtime.Info{info("x", f, -1), info("y", f, -1)}, []int{0, 1}, ""},
		{"by type", []runtime.Info{info("label", i, -1), info("probabilities", f, -1, 3)}, []runtime.Info{info("x", f, -1, 3)}, []int{1}, ""},
		{"one by name, the other left", []runtime.Info{info("a", f, -1), info("b", f, -1)}, []runtime.Info{info("b", f, -1), info("x", f, -1)}, []int{1, 0}, ""},
		{"open dimensions", []runtime.Info{info("y", f, -1, -1)}, []runtime.Info{info("x", f, 1, 4)}, []int{0}, ""},
		{"any rank", []runtime.Info{anyShape}, []runtime.Info{info("x", f, 1, 4)}, []int{0}, ""},
		{"a scalar", []runtime.Info{info("y", f)}, []runtime.Info{info("x", f)}, []int{0}, ""},
		{"nothing wanted", []runtime.Info{info("y", f)}, nil, []int{}, ""},
		{"type", []runtime.Info{info("y", i, -1, 4)}, []runtime.Info{info("x", f, -1, 4)}, nil, `it takes "x" float32[-1 4], and there is "y" int64[-1 4]`},
		{"width", []runtime.Info{info("y", f, -1, 3)}, []runtime.Info{info("x", f, -1, 4)}, nil, `"y" float32[-1 3]`},
		{"rank", []runtime.Info{info("y", f, -1)}, []runtime.Info{info("x", f, -1, 4)}, nil, `"y" float32[-1]`},
		{"kind", []runtime.Info{sequence}, []runtime.Info{info("x", f, -1)}, nil, `"s", a sequence`},
		{"a namesake of another type", []runtime.Info{info("x", i, -1), info("z", f, -1)}, []runtime.Info{info("x", f, -1)}, nil, `its input "x" float32[-1] is not the output "x" int64[-1]`},
		{"two for one", []runtime.Info{info("a", f, -1), info("b", f, -1)}, []runtime.Info{info("x", f, -1)}, nil, "more than one of"},
		{"too few", []runtime.Info{info("a", f, -1)}, []runtime.Info{info("a", f, -1), info("x", f, -1)}, nil, "nothing left"},
	} {
		got, err := match(c.outputs, c.inputs)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, %v, want %q", c.name, got, err, c.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

// plus is a model that adds to its input.
type plus struct {
	by   float32
	fail error
}

func (p plus) Inputs() []runtime.Info  { return []runtime.Info{info("x", runtime.Float32, -1)} }
func (p plus) Outputs() []runtime.Info { return []runtime.Info{info("y", runtime.Float32, -1)} }
func (p plus) Close() error            { return nil }
func (p plus) Run(_ context.Context, in, _ []runtime.Tensor) ([]runtime.Tensor, error) {
	if len(in) != 1 || in[0].Name != "x" {
		return nil, errors.New("the input is not called x")
	}
	y := slices.Clone(in[0].Data.([]float32))
	for i := range y {
		y[i] += p.by
	}
	return []runtime.Tensor{{Name: "y", Shape: in[0].Shape, Data: y}}, p.fail
}

func linkOf(t testing.TB, models ...plus) *Linked {
	t.Helper()
	var steps []*Step
	var members []Member
	for i, m := range models {
		steps = append(steps, newStep(string(rune('a'+i)), "model", "", 0))
		members = append(members, Member{Model: m, Inputs: m.Inputs(), Outputs: m.Outputs()})
	}
	l, err := link(handler.Default{}, steps, members)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOnlyTheFirstDecodesAndOnlyTheLastEncodes(t *testing.T) {
	l := linkOf(t, plus{by: 1}, plus{by: 10}, plus{by: 100})
	req := &handler.Request{ContentType: "text/csv", Accept: "text/csv"}
	reply, err := Run(handler.WithRequest(t.Context(), req), l, nil, []byte("1\n2\n"))
	if err != nil || string(reply.Body) != "112.0\n113.0\n" && string(reply.Body) != "112\n113" && string(reply.Body) != "112.0\n113.0" {
		t.Errorf("%q, %v", reply.Body, err)
	}
	for _, m := range l.members {
		if s := m.step.Status(); s.Requests != 1 || s.Errors != 0 || s.Latency.Count != 1 {
			t.Errorf("step %s has counted %+v", s.Name, s)
		}
	}
}

func TestAFailureInThisProcessNamesItsStep(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		l    *Linked
		body string
		want string
	}{
		{linkOf(t, plus{}, plus{fail: boom}, plus{}), "1\n", `step "b": boom`},
		{linkOf(t, plus{}, plus{}), "word\n", `step "a": `},
	} {
		req := &handler.Request{ContentType: "text/csv", Accept: "text/csv"}
		_, err := Run(handler.WithRequest(t.Context(), req), c.l, nil, []byte(c.body))
		var step *StepError
		if !errors.As(err, &step) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestAStepInThisProcessIsNotStartedTooLateEither(t *testing.T) {
	l := linkOf(t, plus{}, plus{})
	l.members[1].step.stats.ok(time.Now(), time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := l.PredictFn(ctx, handler.Tensors{{Name: "x", Shape: []int{1}, Data: []float32{1}}}, nil)
	if !errors.Is(err, ErrLate) || !strings.Contains(err.Error(), `step "b"`) {
		t.Errorf("got %v", err)
	}
}

func TestModelsThatDoNotFitAreRefusedAtTheStart(t *testing.T) {
	silent := Member{Model: plus{}}
	known := Member{Model: plus{}, Inputs: []runtime.Info{info("x", runtime.Int64, -1)}, Outputs: []runtime.Info{info("x", runtime.Int64, -1)}}
	other := Member{Model: plus{}, Inputs: plus{}.Inputs(), Outputs: plus{}.Outputs()}
	steps := []*Step{newStep("one", "model", "", 0), newStep("two", "model", "", 0)}
	for want, models := range map[string][]Member{
		`step "one": its model does not tell`:         {silent, other},
		`step "two" does not fit behind step "one": `: {known, other},
	} {
		if _, err := link(handler.Default{}, steps, models); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// BenchmarkLinked is what a step costs beside its Run, which here does nothing.
func BenchmarkLinked(b *testing.B) {
	idle := idleModel{out: []runtime.Tensor{{Name: "y", Shape: []int{1}, Data: []float32{1}}}}
	var steps []*Step
	var members []Member
	for range 3 {
		steps = append(steps, newStep("s", "model", "", 0))
		members = append(members, Member{Model: idle, Inputs: plus{}.Inputs(), Outputs: plus{}.Outputs()})
	}
	l, err := link(handler.Default{}, steps, members)
	if err != nil {
		b.Fatal(err)
	}
	ctx := handler.WithRequest(b.Context(), &handler.Request{})
	in := handler.Tensors{{Name: "x", Shape: []int{1}, Data: []float32{1}}}
	for b.Loop() {
		if _, err := l.PredictFn(ctx, in, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/3, "ns/step")
}

type idleModel struct {
	plus
	out []runtime.Tensor
}

func (m idleModel) Run(context.Context, []runtime.Tensor, []runtime.Tensor) ([]runtime.Tensor, error) {
	return m.out, nil
}
