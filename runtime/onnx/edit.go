package onnx

import (
	"cmp"
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

// edits are what replaces parts of the main graph in file, of size bytes, in
// order: of what only costs when it is run.
func (g *Graph) edits(file io.ReaderAt, size int64) (edits []stretch, err error) {
	for _, c := range g.cuts {
		edits = append(edits, c.edits()...)
	}
	for _, node := range g.forests {
		f := forest{file: file, size: size, node: node}
		some, err := f.edits()
		if err != nil {
			return nil, err
		}
		edits = append(edits, some...)
	}
	slices.SortFunc(edits, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })
	return edits, nil
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
	if len(g.cuts) > 0 && g.Opsets[""] == 0 { // Identity is ai.onnx's
		all = append(all, stretch{text: message(8, number(2, identityOpset))})
	}
	return all
}

// edited returns the file with its edits made, in memory outside the Go heap
// that free gives back; nil, and a free that does nothing, where there are none.
func (g *Graph) edited() (image []byte, free func(), err error) {
	free = func() {}
	if len(g.cuts) == 0 && len(g.forests) == 0 {
		return nil, free, nil
	}
	f, err := os.Open(g.path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if st.Size() < g.main.end {
		return nil, nil, errTruncated
	}
	edits, err := g.edits(f, st.Size())
	if err != nil || len(edits) == 0 {
		return nil, free, err
	}
	stretches, size := g.stretches(edits, st.Size()), int64(0)
	for _, s := range stretches {
		size += s.size()
	}
	image, err = syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %d bytes for the graph: %w", runtime.ErrMemory, size, err)
	}
	free = func() { syscall.Munmap(image) }
	to := image
	for _, s := range stretches {
		n := copy(to, s.text)
		if s.text == nil {
			if n, err = f.ReadAt(to[:s.size()], s.start); err != nil {
				free()
				return nil, func() {}, err
			}
		}
		to = to[n:]
	}
	return image, free, nil
}
