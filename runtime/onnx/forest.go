package onnx

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// A forest is a TreeEnsembleClassifier node, as
// https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html
// describes it, whose weights of zero are cut.
//
// A leaf has a weight for each class that it speaks for. Converters of
// scikit-learn's forests write all classes, and most leaves know but one: of a
// hundred classes ninety-nine weights are zero, which ONNX Runtime loads, keeps,
// and adds up at each leaf that it comes to. Without them the scores are the same
// bits, a model is opened in a half of the memory or less, and runs faster.
//
// That holds where a class which no leaf speaks for is as good as one of zero:
// where there are more than two classes, no weight is negative, each leaf keeps
// one, and nothing is added to the scores or made of them.
type forest struct {
	file   io.ReaderAt
	size   int64
	node   protoField
	ids    [3]protoField // class_treeids, class_nodeids and class_ids: of each weight
	weight protoField    // class_weights
}

// errNamed ends the reading of an attribute of which the name is enough.
var errNamed = errors.New("it has a name")

var forestIDs = [3]string{"class_treeids", "class_nodeids", "class_ids"}

// edits returns what replaces parts of the node, in any order; nil where there
// is nothing to cut.
func (f *forest) edits() ([]stretch, error) {
	ok, err := f.read()
	if ok && err == nil {
		ok, err = f.worth()
	}
	if !ok || err != nil {
		return nil, err
	}
	kept, err := f.keep()
	if kept == nil || err != nil {
		return nil, err
	}
	return kept.edits(f), nil
}

// read finds the attributes, and reports whether it is a forest of which
// weights may be cut.
func (f *forest) read() (bool, error) {
	r := newProtoReader(f.file, f.size)
	classes, plain, seen := 0, true, []string(nil)
	err := r.fields(f.node.start, f.node.end, func(a protoField) error {
		if !a.is(5) {
			return nil
		}
		name, transform, values := "", "", 0
		err := r.fields(a.start, a.end, func(v protoField) (err error) {
			switch {
			case v.is(1):
				if name, err = r.text(v); err == nil && name != "post_transform" && !strings.HasPrefix(name, "classlabels_") {
					err = errNamed // millions of values may follow
				}
			case v.is(4):
				transform, err = r.text(v)
			case v.is(9):
				values++
			case v.num == 8 && name == "classlabels_int64s":
				var some []int64
				some, err = r.ints(nil, v)
				values += len(some)
			}
			return err
		})
		if err == errNamed {
			err = nil
		}
		plain = plain && !slices.Contains(seen, name) // of two, who knows which counts
		seen = append(seen, name)
		switch name {
		case forestIDs[0]:
			f.ids[0] = a
		case forestIDs[1]:
			f.ids[1] = a
		case forestIDs[2]:
			f.ids[2] = a
		case "class_weights":
			f.weight = a
		case "classlabels_int64s", "classlabels_strings":
			classes += values
		case "post_transform":
			plain = plain && (transform == "" || transform == "NONE")
		case "base_values", "base_values_as_tensor", "class_weights_as_tensor":
			plain = false
		}
		return err
	})
	there := f.weight.end > 0
	for _, id := range f.ids {
		there = there && id.end > 0
	}
	return there && plain && classes > 2, err
}

// worth reports whether the weights are such as may be cut, an eighth of them
// at least: what is kept is held in memory until the model is open.
func (f *forest) worth() (bool, error) {
	const least, most = 0x1p-126, math.MaxFloat32
	weights, zeros, all := newNumbers(f.file, f.size, f.weight, 7), 0, 0
	for ; ; all++ {
		bits, more, err := weights.next()
		if err != nil || !more {
			return zeros > 0 && zeros >= all/8, err
		}
		switch w := math.Float32frombits(uint32(bits)); {
		case w == 0:
			zeros++
		case !(w >= least && w <= most): // negative, or no ordinary number
			return false, nil
		}
	}
}

// A leaves holds the weights that are kept, packed as the attributes want them.
type leaves struct {
	ids     [3][]byte
	weights []byte
	cut     bool // some were not kept
}

// A weight is that of one class in a leaf.
type weight struct {
	ids   [3]uint64
	value float32
}

func (l *leaves) add(w weight) {
	for i, id := range w.ids {
		l.ids[i] = protowire.AppendVarint(l.ids[i], id)
	}
	l.weights = protowire.AppendFixed32(l.weights, math.Float32bits(w.value))
}

// end keeps what a leaf wants, of which all is there.
func (l *leaves) end(leaf []weight) {
	some := false
	for _, w := range leaf {
		some = some || w.value > 0
	}
	for _, w := range leaf {
		if w.value > 0 || !some {
			l.add(w)
		} else {
			l.cut = true
		}
	}
}

// keep goes through all weights, of which the file holds any number; nil where
// all of them stay.
func (f *forest) keep() (*leaves, error) {
	var ids [3]*numbers
	for i, field := range f.ids {
		ids[i] = newNumbers(f.file, f.size, field, 8)
	}
	weights, kept := newNumbers(f.file, f.size, f.weight, 7), new(leaves)
	var leaf []weight
	for {
		bits, more, err := weights.next()
		if err != nil {
			return nil, err
		}
		w := weight{value: math.Float32frombits(uint32(bits))}
		for i := range ids {
			id, there, err := ids[i].next()
			if err != nil || there != more {
				return nil, err // as many of each there must be: ONNX Runtime says so
			}
			w.ids[i] = id
		}
		if len(leaf) > 0 && (!more || leaf[0].ids[0] != w.ids[0] || leaf[0].ids[1] != w.ids[1]) {
			kept.end(leaf)
			leaf = leaf[:0]
		}
		if !more {
			break
		}
		leaf = append(leaf, w)
	}
	if !kept.cut {
		return nil, nil
	}
	return kept, nil
}

// edits are the attributes of what was kept, and the node's header before them.
func (l *leaves) edits(f *forest) []stretch {
	edits := make([]stretch, 0, 5)
	size := f.node.end - f.node.start
	replace := func(a protoField, text []byte) {
		edits = append(edits, stretch{start: a.tag, end: a.end, text: text})
		size += int64(len(text)) - (a.end - a.tag)
	}
	const floats, ints = 6, 7 // AttributeProto's types
	for i, a := range f.ids {
		replace(a, message(5, message(1, []byte(forestIDs[i])), message(8, l.ids[i]), number(20, ints)))
	}
	replace(f.weight, message(5, message(1, []byte("class_weights")), message(7, l.weights), number(20, floats)))
	head := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.BytesType), uint64(size))
	return append(edits, stretch{start: f.node.tag, end: f.node.start, text: head})
}

// numbers go through the values of a repeated field of a message, packed or
// not: integers, or the bits of float32.
type numbers struct {
	r      *protoReader
	num    protowire.Number
	tag    byte // of a value that is not packed
	at     int64
	packed int64 // where the packed field ends that at is in; 0: it is in none
	end    int64
}

func newNumbers(file io.ReaderAt, size int64, message protoField, num protowire.Number) *numbers {
	n := &numbers{r: newProtoReader(file, size), num: num, tag: byte(num<<3) | byte(protowire.VarintType), at: message.start, end: message.end}
	if num == 7 {
		n.tag = byte(num<<3) | byte(protowire.Fixed32Type)
	}
	return n
}

// next returns the next value; there is false after the last.
func (n *numbers) next() (v uint64, there bool, err error) {
	// Nearly all are one behind the other, each with its tag.
	if off := n.at - n.r.base; n.packed == 0 && off >= 0 && off+11 <= int64(len(n.r.buf)) && n.at+11 <= n.end && n.r.buf[off] == n.tag {
		b, size := n.r.buf[off+1:off+11], 0
		if n.num == 7 {
			v, size = uint64(binary.LittleEndian.Uint32(b)), 4
		} else {
			v, size = protowire.ConsumeVarint(b)
		}
		if size > 0 {
			n.at += 1 + int64(size)
			return v, true, nil
		}
	}
	for {
		if n.at < n.packed {
			v, err = n.value(n.packed)
			return v, err == nil, err
		}
		n.packed = 0
		if n.at >= n.end {
			return 0, false, nil
		}
		f, after, err := n.r.field(n.at, n.end)
		if err != nil {
			return 0, false, err
		}
		if f.num != n.num {
			n.at = after
			continue
		}
		switch {
		case f.typ == protowire.VarintType && n.num != 7:
			n.at = after
			return f.value, true, nil
		case f.typ == protowire.Fixed32Type && n.num == 7:
			n.at = f.start
			v, err = n.value(f.end)
			return v, err == nil, err
		case f.typ == protowire.BytesType:
			n.at, n.packed = f.start, f.end
		default: // protobuf ignores a field of another form
			n.at = after
		}
	}
}

// value reads one at n.at: of four bytes where the field is of floats.
func (n *numbers) value(end int64) (uint64, error) {
	b, err := n.r.at(n.at, 10)
	if err != nil {
		return 0, err
	}
	b = b[:min(int64(len(b)), end-n.at)]
	if n.num == 7 {
		bits, size := protowire.ConsumeFixed32(b)
		if size < 0 {
			return 0, wireError(size)
		}
		n.at += int64(size)
		return uint64(bits), nil
	}
	v, size := protowire.ConsumeVarint(b)
	if size < 0 {
		return 0, wireError(size)
	}
	n.at += int64(size)
	return v, nil
}
