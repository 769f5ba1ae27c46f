package clary

import "sync"

// A gate counts the requests inside and, once shut, lets no more in. The zero
// value is open.
type gate struct {
	mu    sync.Mutex // guards what follows
	in    int
	shut  bool
	empty chan struct{} // closed when shut and nobody is inside
}

// enter reports whether the gate is open; if so the caller must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.in++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in--; g.in == 0 && g.shut {
		close(g.empty)
	}
}

// inside returns how many have entered and not left.
func (g *gate) inside() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in
}

// close shuts the gate; the channel is closed when the last one has left. It
// is called once.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	g.empty = make(chan struct{})
	if g.in == 0 {
		close(g.empty)
	}
	return g.empty
}
