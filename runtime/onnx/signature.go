package onnx

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/claryhq/clary/runtime"
)

// A signature is what the inputs and outputs of a session look like. Sessions
// that are alike in it share one, and with it the calls that wait for the next
// run, whose memory is in the processor's caches whichever of a thousand such
// models runs next. Sessions whose calls belong to them alone, which have memory
// on their GPU, share with nobody.
type signature struct {
	inputs  []runtime.Info
	outputs []runtime.Info
	names   **C.char // the inputs', then the outputs'; as ONNX Runtime wants them
	dims    int      // room for the shapes of all inputs

	key      [sha256.Size]byte
	shared   bool
	sessions int // that have it; guarded by signatures.mu

	mu   sync.Mutex
	idle []*call // calls that wait for the next run, those used last at the end; guarded by mu
}

// signatures are those that can be shared, as there is one environment for all
// sessions.
var signatures = struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*signature
}{all: map[[sha256.Size]byte]*signature{}}

// spares is how many calls a shared signature keeps, so that each of the shapes
// that come again and again finds one with its values.
const spares = 8

// signatureOf returns the signature of a session, to be left when that closes.
func signatureOf(inputs, outputs []runtime.Info, shared bool) *signature {
	made := &signature{inputs: inputs, outputs: outputs, shared: shared, sessions: 1}
	if shared {
		made.key = sha256.Sum256(fmt.Appendf(nil, "%#v %#v", inputs, outputs))
		signatures.mu.Lock()
		defer signatures.mu.Unlock()
		if there := signatures.all[made.key]; there != nil {
			there.sessions++
			return there
		}
		signatures.all[made.key] = made
	}
	made.names = cstrings(inputs, outputs)
	for i := range inputs {
		made.dims += rankRoom(&inputs[i])
	}
	return made
}

// leave takes one session out; none of its calls may be in use. With the last
// one everything is freed.
func (g *signature) leave() {
	signatures.mu.Lock()
	g.sessions--
	last := g.sessions == 0
	if last && g.shared {
		delete(signatures.all, g.key)
	}
	signatures.mu.Unlock()
	if !last {
		return
	}
	for _, c := range g.idle {
		c.free()
	}
	C.free(unsafe.Pointer(g.names))
}

// idleCall takes an idle call, one that has run inputs of these shapes if there
// is any; nil where a new one should be made.
func (g *signature) idleCall(in []runtime.Tensor) *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := len(g.idle) - 1
	if g.shared {
		for at >= 0 && !g.idle[at].suits(in) {
			at--
		}
		if at < 0 && len(g.idle) >= spares {
			at = 0
		}
	}
	if at < 0 {
		return nil
	}
	c := g.idle[at]
	g.idle = slices.Delete(g.idle, at, at+1)
	return c
}

// keep takes a call back.
func (g *signature) keep(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.idle = append(g.idle, c)
}

// cstrings returns the names of infos as an array of C strings, one allocation
// in all.
func cstrings(infos ...[]runtime.Info) **C.char {
	const word = unsafe.Sizeof(uintptr(0))
	var all []string
	size := 0
	for _, list := range infos {
		for _, info := range list {
			all = append(all, info.Name)
			size += len(info.Name) + 1
		}
	}
	head := len(all) * int(word)
	block := C.malloc(C.size_t(head + size))
	pointers := unsafe.Slice((**C.char)(block), len(all))
	text := unsafe.Slice((*byte)(unsafe.Add(block, head)), size)
	for i, name := range all {
		pointers[i] = (*C.char)(unsafe.Pointer(&text[0]))
		text[copy(text, name)] = 0
		text = text[len(name)+1:]
	}
	return (**C.char)(block)
}
