package onnx

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claryhq/clary/runtime"
)

// A stretch is a part of the edited file: of the original, or new.
type stretch struct {
	start, end int64 // of the original, if text is nil; else what text replaces
	text       []byte
}

func (s stretch) size() int64 {
	if s.text != nil {
		return int64(len(s.text))
	}
	return s.end - s.start
}

// An edition is the graph without what only costs when it is run.
type edition struct {
	image []byte   // the file, in memory outside the Go heap; nil: as it is
	trees []*trees // of the forests in it
}

func (e *edition) free() {
	if e.image != nil {
		syscall.Munmap(e.image)
		e.image = nil
	}
}

// edits are what replaces parts of the main graph in file, of size bytes, in
// order, and the forests that it then refers to.
func (g *Graph) edits(ctx context.Context, file io.ReaderAt, size int64) (edits []stretch, all []*trees, err error) {
	g.taken, g.grown = 0, 0
	for _, c := range g.cuts {
		edits = append(edits, c.edits()...)
	}
	for _, f := range g.forests {
		f.file, f.size = file, size
		t, err := f.plant(ctx)
		if err != nil {
			return nil, nil, err
		}
		if t != nil {
			edits = append(edits, f.edits(len(all))...)
			all = append(all, t)
			g.taken += f.op.node.end - f.op.node.tag
			g.grown += t.bytes()
		}
	}
	slices.SortFunc(edits, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })
	return edits, all, nil
}

// stretches lays out the edited file, whose original is size bytes long.
func (g *Graph) stretches(edits []stretch, size int64) []stretch {
	all := []stretch{{0, g.main.tag, nil}, {text: []byte{}}} // the second: the graph's header
	at, graph := g.main.start, int64(0)
	for _, e := range append(slices.Clip(edits), stretch{start: g.main.end, end: g.main.end, text: []byte{}}) {
		all = append(all, stretch{start: at, end: e.start}, e)
		graph += e.start - at + e.size()
		at = e.end
	}
	all[1].text = protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), uint64(graph))
	all = append(all, stretch{start: g.main.end, end: size})
	if _, there := g.Opsets[""]; !there { // Identity is ai.onnx's
		all = append(all, stretch{text: message(8, number(2, identityOpset))})
	}
	if g.taken > 0 { // by operators of our own
		all = append(all, stretch{text: message(8, message(1, []byte(ownDomain)), number(2, 1))})
	}
	return all
}

// edit makes the edition; the caller frees it.
func (g *Graph) edit(ctx context.Context) (e *edition, err error) {
	e = &edition{}
	if len(g.cuts) == 0 && len(g.forests) == 0 {
		return e, nil
	}
	f, err := os.Open(g.path)
	if err != nil {
		return e, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return e, err
	}
	if st.Size() < g.main.end {
		return e, errTruncated
	}
	edits, all, err := g.edits(ctx, f, st.Size())
	if err != nil || len(edits) == 0 {
		return e, err
	}
	stretches, size := g.stretches(edits, st.Size()), int64(0)
	for _, s := range stretches {
		size += s.size()
	}
	image, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return e, fmt.Errorf("%w: %d bytes for the graph: %w", runtime.ErrMemory, size, err)
	}
	e.image, e.trees = image, all
	for _, s := range stretches {
		n := copy(image, s.text)
		if s.text == nil {
			if n, err = f.ReadAt(image[:s.size()], s.start); err != nil {
				e.free()
				return e, err
			}
		}
		image = image[n:]
	}
	return e, nil
}
