package codec

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// arrowEntries are a dictionary.
type arrowEntries struct {
	data any
	null []bool // which of them are null; nil where none is
}

// readDictionary reads a dictionary, which replaces the one of its number or
// adds to it.
func (s *arrowStream) readDictionary(t flatTable, body []byte) error {
	id := t.int(0, 8)
	delta := t.int(2, 1) != 0
	header, _ := t.table(1)
	b, err := s.batch(header, body)
	if err != nil {
		return err
	}
	f := s.encoded[id]
	if f == nil {
		return nil // of a column that is not for the model
	}
	entries := *f
	entries.encoded = false
	v, err := b.values(&entries, b.rows)
	if err != nil {
		return fmt.Errorf("dictionary %d: %w", id, err)
	}
	dict := s.dictionaries[id]
	if dict == nil || !delta {
		dict = &arrowEntries{data: runtime.Make(f.dtype, 0)}
		s.dictionaries[id] = dict
	}
	if len(v.nulls) > 0 || dict.null != nil {
		if err := s.take(runtime.Len(dict.data)+b.rows, 1); err != nil {
			return err
		}
		null := make([]bool, b.rows)
		for _, k := range v.nulls {
			null[k] = true
		}
		dict.null = append(append(dict.null, make([]bool, runtime.Len(dict.data)-len(dict.null))...), null...)
	}
	dict.data = concat(dict.data, v.data)
	return nil
}

// indices reads the values of a field as indices into its dictionary.
func (b *arrowBatch) indices(f *arrowField, n int, v *arrowValues) error {
	data, err := b.plain(arrowInt, f.index, n, v.nulls)
	if err != nil {
		return err
	}
	if data, err = Convert(runtime.Int64, data); err != nil {
		return err
	}
	dict := b.dictionaries[f.dictionary]
	if dict == nil || runtime.DTypeOf(dict.data) != f.dtype {
		return fmt.Errorf("there is no dictionary %d of %v", f.dictionary, f.dtype)
	}
	if err := b.take(n, elementSize(f.dtype)); err != nil {
		return err
	}
	indices, c := data.([]int64), makeCells(f.dtype, n)
	if err := c.pick(cellsOf(dict.data), indices, v.nulls); err != nil {
		return err
	}
	v.data = c.data(f.dtype)
	if dict.null == nil {
		return nil
	}
	if err := b.take(n, nullOverhead); err != nil {
		return err
	}
	var nulls []int
	for i, k := range indices {
		if len(v.nulls) > 0 && v.nulls[0] == i {
			v.nulls = v.nulls[1:]
		} else if !dict.null[k] {
			continue
		}
		nulls = append(nulls, i)
	}
	v.nulls = nulls
	return nil
}
