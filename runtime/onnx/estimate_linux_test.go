package onnx

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/runtime"
)

// openedEnv names the model that a child of the test opens, to see what it
// takes.
const openedEnv = "CLARY_TEST_OPENED"

// A footprint is what opening a model took, in bytes.
type footprint struct{ Peak, Steady int64 }

// TestOpenedChild is no test but in a child of TestEstimates.
func TestOpenedChild(t *testing.T) {
	path := os.Getenv(openedEnv)
	if path == "" {
		return
	}
	first, err := Open(t.Context(), "../../testdata/models/iris/model.onnx", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	Trim()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak begins here
		t.Fatal(err)
	}
	before := status(t, "VmRSS")
	session, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	peak := status(t, "VmHWM")
	for range 3 { // what Go has put by goes with the second
		debug.FreeOSMemory()
	}
	Trim()
	line, err := json.Marshal(footprint{peak - before, status(t, "VmRSS") - before})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("footprint %s", line)
}

// status reads one line of /proc/self/status, in bytes.
func status(t *testing.T, key string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), key+":")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if !ok || err != nil {
		t.Fatalf("no %s in /proc/self/status", key)
	}
	return kb << 10
}

// openElsewhere opens a model in a process of its own.
func openElsewhere(t *testing.T, path string) (f footprint) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOpenedChild$", "-test.v")
	cmd.Env = append(os.Environ(), openedEnv+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, rest, _ := bytes.Cut(out, []byte("footprint "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if err := json.Unmarshal(line, &f); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return f
}

// What a graph tells of its opening is near to what the opening takes: it must
// not be less by more than a tenth and 2 MB, nor two and a half times as much
// and 2 MB more: operators differ in how often they copy their weights.
func TestEstimatesOfOpening(t *testing.T) {
	dir := t.TempDir()
	models := []string{"../../testdata/models/iris/model.onnx", "../../testdata/models/digits/model.onnx",
		"../../testdata/models/text/model.onnx", "../../testdata/models/external/model.onnx"}
	for name, n := range map[string]networks.Network{"squeezenet": networks.SqueezeNet, "resnet50": networks.ResNet50} {
		path := filepath.Join(dir, name+".onnx")
		if err := n.Write(path, networks.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		models = append(models, path)
	}
	made := write(t, file(graphSpec{
		nodes: messages(
			op("", "ConstantOfShape", names("half"), names("w"), tensorAttribute("value", weights("", []float32{0.5}, 1))),
			op("", "Constant", nil, names("whole"), tensorAttribute("value", weights("", []int64{4096, 2048}, 2))),
			op("", "Expand", names("one", "whole"), names("v")),
			op("", "MatMul", names("x", "w"), names("a")),
			op("", "MatMul", names("a", "v"), names("y")),
		),
		initializers: messages(weights("half", []int64{2048, 4096}, 2), weights("one", []float32{1}, 1)),
		inputs:       messages(info("x", runtime.Float32, nil, 2048)),
		outputs:      messages(info("y", runtime.Float32, nil, 2048)),
	}.bytes()))
	models = append(models, made)
	if !raced { // a forest is read into Go's heap
		models = append(models, write(t, file(grownTrees(10, 20_000).graph().bytes())))
	}
	for _, path := range models {
		g, err := Read(path, "")
		if err != nil {
			t.Fatal(err)
		}
		took := openElsewhere(t, path)
		t.Logf("%s: peak %d KB of %d expected, steady %d KB of %d", filepath.Base(path), took.Peak>>10, g.Peak()>>10, took.Steady>>10, g.Steady()>>10)
		for _, c := range []struct {
			what           string
			expected, took int64
		}{{"peak", g.Peak(), took.Peak}, {"steady", g.Steady(), took.Steady}} {
			if c.expected < c.took-c.took/10-2<<20 || c.expected > c.took*5/2+2<<20 {
				t.Errorf("%s: the %s is %d bytes, expected were %d", path, c.what, c.took, c.expected)
			}
		}
	}
	if g, err := Read(made, ""); err != nil || g.Made != 2*2048*4096*4 || g.Size > 1000 {
		t.Errorf("a graph that makes 64 MiB: %+v, %v", g, err)
	}
}
