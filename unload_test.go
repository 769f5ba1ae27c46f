package clary_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claryhq/clary/bench/networks"
)

// resident is what the process has of memory, the least of some looks: Go
// gives memory back in its own time.
func (p *process) resident() int64 {
	p.t.Helper()
	least := int64(1) << 62
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			p.t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "VmRSS:")
		kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		least = min(least, kb<<10)
	}
	return least
}

// Memory does not grow with the models that come and go: after many of them it
// is what it was after each had been there once.
func TestUnloadGivesMemoryBack(t *testing.T) {
	if raceEnabled {
		t.Log("with the race detector the bound is wider: its own memory comes on top")
	}
	cycles := 50
	if os.Getenv("CLARY_SOAK") != "" {
		cycles = 1000
	}
	p, base := platform(t, "serve")
	names := []string{"iris", "digits", "diabetes", "mixed", "multi", "external", "digits-fp16", "text", "squeezenet", "wide"}
	for _, name := range names[:8] {
		place(t, base, name, name)
	}
	for _, n := range []struct {
		name    string
		network networks.Network
	}{{"squeezenet", networks.SqueezeNet}, {"wide", networks.ResNet50}} {
		dir := filepath.Join(base, "models", n.name, "model")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := n.network.Write(filepath.Join(dir, "model.onnx"), networks.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
	}
	cycle := func(name string) {
		want(t, "load", p.load(name, filepath.Join(base, "models", name, "model")), 200)
		if name == "iris" {
			want(t, "invoke", p.ask(name, setosaRow), 200, "0,0.9999")
		}
		want(t, "unload", p.unload(name), 200)
	}
	for _, name := range names {
		cycle(name)
	}
	first := p.resident()
	for i := range cycles {
		cycle(names[i%len(names)])
	}
	last := p.resident()
	t.Logf("after the first pass %d KB, after %d cycles more %d KB", first>>10, cycles, last>>10)
	if limit := first + first/10 + 4<<20; last > limit && !raceEnabled {
		t.Errorf("resident memory grew from %d to %d bytes over %d cycles, %d is the most", first, last, cycles, limit)
	}
}
