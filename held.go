package clary

import (
	"context"
	"sync"
)

// A hold bounds the bytes of bodies that are held at the same time. Who finds
// no room waits, in the order of coming, before anything is read: the client's
// bytes stay with the client.
type hold struct {
	most int64

	mu      sync.Mutex // guards what follows
	held    int64
	waiting []*holder
}

// A holder waits for room.
type holder struct {
	n     int64
	ready chan struct{} // closed when it has the room
}

// take waits for n bytes, or all there are when n is more. It returns what
// give has to be called with.
func (h *hold) take(ctx context.Context, n int64) (int64, error) {
	n = min(n, h.most)
	h.mu.Lock()
	if len(h.waiting) == 0 && h.held+n <= h.most {
		h.held += n
		h.mu.Unlock()
		return n, nil
	}
	w := &holder{n, make(chan struct{})}
	h.waiting = append(h.waiting, w)
	h.mu.Unlock()
	select {
	case <-w.ready:
		return n, nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.waiting {
		if h.waiting[i] == w {
			h.waiting = append(h.waiting[:i], h.waiting[i+1:]...)
			h.pass()
			return 0, context.Cause(ctx)
		}
	}
	h.held -= n // it was ready just now
	h.pass()
	return 0, context.Cause(ctx)
}

func (h *hold) give(n int64) {
	h.mu.Lock()
	h.held -= n
	h.pass()
	h.mu.Unlock()
}

// pass lets those in for whom there is room.
func (h *hold) pass() {
	for len(h.waiting) > 0 && h.held+h.waiting[0].n <= h.most {
		w := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.held += w.n
		close(w.ready)
	}
}
