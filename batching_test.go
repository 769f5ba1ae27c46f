package clary_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claryhq/clary/bench/networks"
	"google.golang.org/protobuf/encoding/protowire"
)

// oneRun is a server whose Runs go one at a time, each with so many threads.
func oneRun(t *testing.T, threads int, model string, env ...string) *process {
	t.Helper()
	return start(t, "serve", append(env, "SAGEMAKER_MODEL_SERVER_WORKERS=1", fmt.Sprintf("CLARY_INTRA_OP_THREADS=%d", threads)), model)
}

// random is an input of random numbers.
func random(name string, shape ...int) value {
	v := value{Name: name, DType: "float32", Shape: shape}
	r := rand.New(rand.NewPCG(3, uint64(shape[0])))
	n := 1
	for _, d := range shape {
		n *= d
	}
	for range n {
		v.Data = append(v.Data, json.Number(strconv.FormatFloat(r.Float64()*8, 'g', 6, 64)))
	}
	return v
}

// singles are the rows of v, each a body of NPY.
func singles(v value) []string {
	bodies := make([]string, v.rows())
	for i := range bodies {
		bodies[i] = npy(value{Name: v.Name, DType: v.DType, Shape: append([]int{1}, v.Shape[1:]...), Data: v.row(i)})
	}
	return bodies
}

// crowd sends the bodies from 32 clients while others keep the model busy with
// a long one, so that there are always some that wait; it returns the answers,
// the long one's last.
func (p *process) crowd(bodies []string, long, accept string) []answer {
	p.t.Helper()
	const clients = 32
	answers := make([]answer, len(bodies)+1)
	ask := func(into *answer, body string) {
		a, err := p.try(p.request("POST", "/invocations", body, "Content-Type", "application/x-npy", "Accept", accept))
		if err != nil || a.status != 200 {
			p.t.Errorf("%d %.200s, %v", a.status, a.body, err)
		}
		*into = a
	}
	done := make(chan struct{})
	ask(&answers[len(bodies)], long)
	var busy, group sync.WaitGroup
	for range 2 { // one is read or written while the other runs
		busy.Go(func() {
			for {
				ask(new(answer), long)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for c := range clients {
		group.Go(func() {
			for i := c; i < len(bodies); i += clients {
				ask(&answers[i], bodies[i])
			}
		})
	}
	group.Wait()
	close(done)
	busy.Wait()
	return answers
}

// metric is the sum of a metric's values.
func (p *process) metric(name string) (sum float64) {
	p.t.Helper()
	for line := range strings.Lines(p.get("/metrics").body) {
		if key, number, ok := strings.Cut(strings.TrimSpace(line), " "); ok && (key == name || strings.HasPrefix(key, name+"{")) {
			v, err := strconv.ParseFloat(number, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// A server that merges requests gives the bits that one gives which does not,
// at one thread a Run.
func TestBatchedAnswersAreTheSameBits(t *testing.T) {
	const dir = "testdata/models/digits"
	images, long := singles(random("image", 256, 1, 8, 8)), npy(random("image", 600, 1, 8, 8))
	on, off := oneRun(t, 1, dir), oneRun(t, 1, dir, "CLARY_BATCHING=off")
	batched, alone := on.crowd(images, long, "application/x-npy"), off.crowd(images, long, "application/x-npy")
	for i := range alone {
		if batched[i].body != alone[i].body {
			t.Errorf("answer %d differs: %q and %q", i, batched[i].body, alone[i].body)
		}
	}
	on.batches(true)
	off.batches(false)
}

// batches fails unless many requests were merged, or none was.
func (p *process) batches(want bool) {
	p.t.Helper()
	requests, merged := p.metric("sagemaker_invocations_total"), p.metric("clary_merged_total")
	if want && merged < requests/4 || !want && merged > 0 {
		p.t.Errorf("of %v requests %v were merged; batching was to be %v", requests, merged, want)
	}
	if n := p.metric("clary_batches_undone_total"); n != 0 {
		p.t.Errorf("%v batches were undone", n)
	}
}

// With more threads in a Run the last bits may differ: labels are equal, and
// scores within 1e-6.
func TestBatchedAnswersOfWideRunsAreNear(t *testing.T) {
	rows, long := singles(random("X", 256, 4)), npy(random("X", 20000, 4))
	on, off := oneRun(t, 2, iris), oneRun(t, 2, iris, "CLARY_BATCHING=off")
	batched, alone := on.crowd(rows, long, "application/json"), off.crowd(rows, long, "application/json")
	type reply struct {
		Predictions []struct {
			Label         int
			Probabilities []float64
		}
	}
	for i := range alone {
		var a, b reply
		must(json.Unmarshal([]byte(batched[i].body), &a))
		must(json.Unmarshal([]byte(alone[i].body), &b))
		if len(a.Predictions) == 0 || len(a.Predictions) != len(b.Predictions) {
			t.Fatalf("answer %d: %.200s and %.200s", i, batched[i].body, alone[i].body)
		}
		for j := range a.Predictions {
			x, y := a.Predictions[j], b.Predictions[j]
			if x.Label != y.Label || len(x.Probabilities) == 0 || len(x.Probabilities) != len(y.Probabilities) {
				t.Fatalf("answer %d, row %d: %v and %v", i, j, x, y)
			}
			for k := range x.Probabilities {
				if math.Abs(x.Probabilities[k]-y.Probabilities[k]) > 1e-6 {
					t.Fatalf("answer %d, row %d: %v and %v", i, j, x, y)
				}
			}
		}
	}
	on.batches(true)
	off.batches(false)
}

// onnxModel is a folder with a model from x to y, float32 of [rows, 2], rows 0
// being open, and a clary.yaml: many a Tanh, to take its time, and an operator.
func onnxModel(t *testing.T, operator string, rows uint64, yaml string) string {
	t.Helper()
	field := func(n protowire.Number, parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), all)
	}
	number := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	text := func(n protowire.Number, s string) []byte { return field(n, []byte(s)) }
	first := text(2, "N")
	if rows > 0 {
		first = number(1, rows)
	}
	var nodes []byte
	last, second := "x", number(1, 2)
	if operator == "ReduceMax" {
		second = text(2, "tokens")
	}
	tensor := func(n protowire.Number, name string) []byte {
		return field(n, text(1, name), field(2, field(1, number(1, 1), field(2, field(1, first), field(1, second)))))
	}
	for i := range 40 {
		next := fmt.Sprint("t", i)
		nodes = append(nodes, field(1, text(1, last), text(2, next), text(4, "Tanh"))...)
		last = next
	}
	node := [][]byte{text(1, last), text(2, "y"), text(4, operator)}
	if operator == "Softmax" { // over the batch: 1 for a row alone, less beside others
		node = append(node, field(5, text(1, "axis"), number(3, 0), number(20, 2)))
	}
	if operator == "GatherElements" { // by x itself as the index in its row: other numbers than 0 and 1 are an error
		nodes = append(nodes, field(1, text(1, "x"), text(2, "i"), text(4, "Cast"), field(5, text(1, "to"), number(3, 7), number(20, 2)))...)
		node = append(node, text(1, "i"), field(5, text(1, "axis"), number(3, 1), number(20, 2)))
	}
	outputs := tensor(12, "y")
	if operator == "ReduceMax" { // of each row, in s
		nodes = append(nodes, field(1, text(1, last), text(2, "s"), text(4, operator), field(5, text(1, "axes"), number(8, 1), number(20, 7)), field(5, text(1, "keepdims"), number(3, 0), number(20, 2)))...)
		node[2] = text(4, "Identity")
		outputs = append(outputs, field(12, text(1, "s"), field(2, field(1, number(1, 1), field(2, field(1, first)))))...)
	}
	model := append(number(1, 8), field(8, number(2, 13))...)
	model = append(model, field(7, nodes, field(1, node...), text(2, operator), tensor(11, "x"), outputs)...)
	dir := t.TempDir()
	must(os.WriteFile(filepath.Join(dir, "model.onnx"), model, 0o600))
	must(os.WriteFile(filepath.Join(dir, "clary.yaml"), []byte(yaml), 0o600))
	return dir
}

// Whether requests are merged is found out, and clary.yaml's word goes before
// what was found.
func TestWhichModelsAreBatched(t *testing.T) {
	for what, c := range map[string]struct {
		operator, yaml string
		merged         bool
	}{
		"independent rows":               {"Tanh", "", true},
		"independent rows, forbidden":    {"Tanh", "batching: {mode: off}\n", false},
		"rows that see each other":       {"Softmax", "", false},
		"rows that see each other, told": {"Softmax", "batching: {mode: on}\n", true},
	} {
		t.Run(what, func(t *testing.T) {
			p := oneRun(t, 1, onnxModel(t, c.operator, 0, c.yaml))
			answers := p.crowd(singles(random("x", 512, 2)), npy(random("x", 1<<16, 2)), "text/csv")
			p.batches(c.merged)
			ones := 0
			for _, a := range answers[:len(answers)-1] {
				if strings.TrimSpace(a.body) == "1,1" {
					ones++
				}
			}
			if c.operator == "Softmax" && (ones == len(answers)-1) == c.merged {
				t.Errorf("%d of %d rows were alone", ones, len(answers)-1)
			}
		})
	}
}

// Rows of many lengths are run together where clary.yaml says what they are
// padded with, and each answer is as long as its request.
func TestRaggedRequestsAreRunTogether(t *testing.T) {
	var bodies []string
	for i := range 256 {
		bodies = append(bodies, npy(random("x", i%2+1, i%13+1)))
	}
	long := npy(random("x", 2048, 64))
	on := oneRun(t, 1, onnxModel(t, "ReduceMax", 0, "batches: [2, 4, 8, 16, 32]\nbatching:\n  fill: true\n  pad: {x: -0.0}\n"))
	off := oneRun(t, 1, onnxModel(t, "ReduceMax", 0, "batching: {mode: off}\n"))
	together, alone := on.crowd(bodies, long, "application/json"), off.crowd(bodies, long, "application/json")
	for i := range alone {
		if together[i].body != alone[i].body {
			t.Fatalf("answer %d is %.300s, want %.300s", i, together[i].body, alone[i].body)
		}
	}
	on.batches(true)
	off.batches(false)
}

// A model with a fixed batch takes what fits it, and nothing is merged.
func TestAFixedBatchIsRunAsItIs(t *testing.T) {
	for _, yaml := range []string{"", "batching: {mode: on}\n"} {
		p := oneRun(t, 1, onnxModel(t, "Tanh", 4, yaml))
		bodies := make([]string, 64)
		for i := range bodies {
			bodies[i] = npy(random("x", 4, 2))
		}
		answers := p.crowd(bodies, bodies[0], "text/csv")
		for _, a := range answers {
			if a.body != answers[0].body || strings.Count(strings.TrimSpace(a.body), "\n") != 3 {
				t.Fatalf("%q and %q", a.body, answers[0].body)
			}
		}
		if a := p.invoke("text/csv", "1,2\n"); a.status != 400 {
			t.Errorf("one row of four: %d %s", a.status, a.body)
		}
	}
}

// What the model refuses in one client's rows, and a client that goes away, are
// nothing to those that are in the same batch.
func TestAGoodRequestIsAnsweredInBadCompany(t *testing.T) {
	p := oneRun(t, 1, onnxModel(t, "GatherElements", 0, "batching: {mode: on}\n"))
	row := func(a, b int) string {
		return npy(value{DType: "float32", Shape: []int{1, 2}, Data: []any{json.Number(strconv.Itoa(a)), json.Number(strconv.Itoa(b))}})
	}
	good := []string{row(0, 0), row(0, 1), row(1, 0), row(1, 1)}
	want := make([]answer, len(good))
	for i := range good {
		if want[i] = p.invoke("application/x-npy", good[i]); want[i].status != 200 {
			t.Fatalf("%d %s", want[i].status, want[i].body)
		}
	}
	if a := p.invoke("application/x-npy", row(7, 7)); a.status == 200 {
		t.Fatalf("a bad row: %s", a.body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var unruly sync.WaitGroup
	for i := range 4 {
		unruly.Go(func() {
			for ctx.Err() == nil {
				body, patience := row(7, 7), time.Minute
				if i%2 == 0 {
					body, patience = good[0], 2*time.Millisecond
				}
				brief, end := context.WithTimeout(ctx, patience)
				a, err := p.try(p.request("POST", "/invocations", body, "Content-Type", "application/x-npy").WithContext(brief))
				if err == nil && (a.status == 200) != (i%2 == 0) {
					t.Errorf("client %d: %d %s", i, a.status, a.body)
				}
				end()
			}
		})
	}
	var bodies []string
	for i := range 512 {
		bodies = append(bodies, good[i%len(good)])
	}
	answers := p.crowd(bodies, npyOf(1<<14, 2), "application/json")
	cancel()
	unruly.Wait()
	for i := range bodies {
		if answers[i].body != want[i%len(good)].body {
			t.Errorf("answer %d is %s, want %s", i, answers[i].body, want[i%len(good)].body)
		}
	}
	if p.metric("clary_merged_total") == 0 || p.metric("clary_batches_undone_total") == 0 {
		t.Error("no batch was made, or none failed")
	}
}

// What cannot be in time is refused at once, and is to be sent again.
func TestWhatCannotBeInTimeIsRefused(t *testing.T) {
	p := oneRun(t, 1, "testdata/models/digits", "CLARY_LATENCY_TARGET=0.2")
	image := npy(random("image", 1, 1, 8, 8))
	for range 20 {
		if a := p.invoke("application/x-npy", image); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	a := p.invoke("application/x-npy", npyOf(90000, 1, 8, 8))
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "deadline") {
		t.Errorf("90,000 images within 0.2 s: %d %v %s", a.status, a.header, a.body)
	}
	p.metricBecomes(`clary_late_total{model="digits"}`, 1)
	if a := p.invoke("application/x-npy", image); a.status != 200 {
		t.Errorf("after it: %d %s", a.status, a.body)
	}
}

// npyOf is an array of float32 zeros.
func npyOf(shape ...int) string {
	n := 1
	text := make([]string, len(shape))
	for i, d := range shape {
		n *= d
		text[i] = strconv.Itoa(d)
	}
	return npyWith("<f4", strings.Join(text, ", "), 4*n)
}

// A lone caller of a model that takes long gets all cores, where there is
// memory for it and nobody has said otherwise.
func TestALoneCallerGetsAllCores(t *testing.T) {
	dir, err := networks.Thumbnail.Make(t.TempDir(), networks.Options{})
	if err != nil {
		t.Fatal(err)
	}
	image := npyOf(1, 3, 8, 8)
	ask := func(p *process) {
		if a := p.invoke("application/x-npy", image); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	p := start(t, "serve", nil, dir)
	p.until("a lone caller gets all cores", func() bool { ask(p); return p.metric("clary_wide_runs_total") > 0 })
	for what, env := range map[string][]string{
		"off":       {"CLARY_ELASTIC=off"},
		"threads":   {"CLARY_INTRA_OP_THREADS=1"},
		"no memory": {"CLARY_MODEL_MEMORY=8MiB"},
	} {
		p := start(t, "serve", env, dir)
		for range 50 {
			ask(p)
		}
		if what == "no memory" {
			p.until("the log says why not", func() bool { ask(p); return strings.Contains(p.log(), "a lone caller gets one core") })
		}
		if n := p.metric("clary_wide_runs_total"); n != 0 {
			t.Errorf("%s: %v wide runs", what, n)
		}
	}
}

// Bodies that wait are the clients': the server holds no more of them than its
// setting says.
func TestWaitingBodiesAreBounded(t *testing.T) {
	p := start(t, "serve", []string{"CLARY_QUEUE_BYTES=4000000", "SAGEMAKER_MODEL_JOB_QUEUE_SIZE=200"}, "testdata/models/identity-float32")
	body := npyOf(125000, 3) // 1.5 MB
	ask := func() {
		a, err := p.try(p.request("POST", "/invocations", body, "Content-Type", "application/x-npy", "Accept", "application/x-npy"))
		if err != nil || a.status != 200 || len(a.body) < 1500000 {
			t.Errorf("%d, %d bytes, %v", a.status, len(a.body), err)
		}
	}
	ask()
	before := p.memory("VmHWM")
	var group sync.WaitGroup
	for range 128 {
		group.Go(func() { ask(); ask() })
	}
	group.Wait()
	// Without a bound it is 1 GB, and with the race detector 2.
	if grown := p.memory("VmHWM") - before; grown > 400<<20 {
		t.Errorf("128 bodies of 1.5 MB took %d MB, of which 4 may be held", grown>>20)
	}
}
