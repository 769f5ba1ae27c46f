package clary_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/claryhq/clary/bench/networks"
)

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
	p, base := platform(t, "serve", "GOGC=25") // little garbage, or the first look would allow for what is none
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
	first := p.memory("VmRSS")
	for i := range cycles {
		cycle(names[i%len(names)])
	}
	limit := first + first/10 + 4<<20
	t.Logf("after the first pass %d KB, after %d cycles more %d KB", first>>10, cycles, p.memory("VmRSS")>>10)
	if raceEnabled {
		return
	}
	// Go gives memory back in its own time.
	p.until(fmt.Sprintf("%d cycles leave %d bytes at most", cycles, limit), func() bool { return p.memory("VmRSS") <= limit })
}
