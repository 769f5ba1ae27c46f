package codec

import (
	"fmt"
	"slices"

	"github.com/claryhq/clary/runtime"
)

// readTensor reads the feature of this record into the input's row.
func (d *recordReader) readTensor(in *recordInput) error {
	t := &d.tensor
	if err := t.read(in.kind, in.recordFeature.tensor); err != nil {
		return d.fail(in.name, err)
	}
	width, err := t.width()
	if err != nil {
		return d.fail(in.name, err)
	}
	if in.data == nil {
		if err := d.begin(in, width); err != nil {
			return err
		}
	}
	if err := in.check(t, width); err != nil {
		return d.fail(in.name, err)
	}
	return d.write(in, t)
}

// width returns how many values the row has that t is, -1 if t does not say.
func (t *recordTensor) width() (int, error) {
	switch {
	case len(t.shape) > maxRank:
		return 0, fmt.Errorf("a shape of %d dimensions; at most %d are read", len(t.shape), maxRank)
	case len(t.shape) > 0:
		return runtime.Elements(t.shape)
	case len(t.keys) > 0:
		return -1, nil
	}
	return t.n, nil
}

// begin settles how wide in's rows are, by what the first one says, and makes
// room for them.
func (d *recordReader) begin(in *recordInput, width int) error {
	if in.width < 0 {
		in.width = width
	}
	if in.width < 0 {
		var err error
		if in.width, err = d.widest(in); err != nil {
			return err
		}
	}
	own := in.kind.dtype()
	if d.missingNaN && own == runtime.Int32 {
		own = runtime.Float64
	}
	size := own.Size()
	if own == runtime.String {
		size = 16
	}
	if in.info.DType != own {
		size += in.info.DType.Size()
	}
	if err := d.take(in, size); err != nil {
		return err
	}
	in.data = runtime.Make(own, d.rows*in.width)
	return nil
}

// take takes size bytes for each of in's elements from what the body may
// become.
func (d *recordReader) take(in *recordInput, size int) error {
	if err := checkDense("RecordIO", recordPlace(d.row+1, -1), d.rows, in.width, size, d.room); err != nil {
		return err
	}
	d.room -= d.rows * in.width * size
	return nil
}

// widest returns how wide the rows of an input are of which neither the model
// nor the first record says it.
func (d *recordReader) widest(in *recordInput) (int, error) {
	all := recordReader{frames: recordFrames{body: d.frames.body}, inputs: d.inputs, byName: d.byName}
	most := 0
	var t recordTensor
	for ; all.row < d.rows; all.row++ {
		record, err := all.frames.next()
		for ok := true; err == nil && ok; {
			var f recordFeature
			if f, record, ok, err = nextFeature(record); !ok || err != nil || all.find(f.name) != in || f.kind == 0 {
				continue
			}
			if err = t.read(f.kind, f.tensor); err != nil {
				continue
			}
			width, shapeErr := t.width()
			if width >= 0 {
				return width, all.fail(f.name, shapeErr)
			}
			most = max(most, slices.Max(t.keys)+1)
		}
		if err != nil {
			return 0, all.fail(nil, err)
		}
	}
	return most, nil
}

// check holds a row against the input and the rows before it.
func (in *recordInput) check(t *recordTensor, width int) error {
	text := in.info.DType == runtime.String
	switch {
	case (t.kind == recordBytes) != (runtime.DTypeOf(in.data) == runtime.String), text != (t.kind == recordBytes) && in.info.DType.Known():
		if t.kind == recordBytes {
			return fmt.Errorf("bytes where numbers are wanted")
		}
		return fmt.Errorf("numbers where bytes are wanted")
	case len(t.shape) == 0 && t.n == 0 && len(t.keys) == 0 && in.width != 0:
		return fmt.Errorf("it has no values; a row of zeros has a shape")
	case width >= 0 && width != in.width && len(t.shape) > 0:
		return fmt.Errorf("shape %s, where a row of %d values is wanted", shapeText(t.shape, nil), in.width)
	case width >= 0 && width != in.width:
		return fmt.Errorf("%d values where %d are wanted", t.n, in.width)
	case len(t.keys) == 0 && t.n != in.width && t.n != 0:
		return fmt.Errorf("%d values of shape %s and no keys", t.n, shapeText(t.shape, nil))
	case len(t.keys) > 0 && len(t.keys) != t.n:
		return fmt.Errorf("%d keys for %d values", len(t.keys), t.n)
	}
	for _, k := range t.keys {
		if k >= in.width {
			return fmt.Errorf("key %d, where a row has %d values (keys 0 to %d)", k, in.width, in.width-1)
		}
	}
	if k, found := twice(t.keys); found {
		return fmt.Errorf("key %d is there twice", k)
	}
	if len(t.shape) > 1 {
		if in.dims != nil && !slices.Equal(in.dims, t.shape) {
			return fmt.Errorf("shape %s, where records before it have %s", shapeText(t.shape, nil), shapeText(in.dims, nil))
		}
		in.dims = append(in.dims[:0], t.shape...)
	}
	return nil
}

// write writes t, which fits, to the row.
func (d *recordReader) write(in *recordInput, t *recordTensor) error {
	at, own := d.row*in.width, runtime.DTypeOf(in.data)
	if d.missingNaN && t.n < in.width && own.Float() {
		nan, err := nanOf(own)
		if err != nil {
			return d.fail(in.name, err)
		}
		fill(runtime.Bytes(in.data)[at*len(nan):(at+in.width)*len(nan)], nan)
	}
	if len(t.keys) == 0 && t.kind.dtype() == own { // the common case is one copy
		if size := own.Size(); t.kind == recordFloat32 || t.kind == recordFloat64 {
			copy(runtime.Bytes(in.data)[at*size:], t.values)
			return nil
		}
		if data, ok := in.data.([]int32); ok {
			return d.fail(in.name, t.readInt32(data[at:at+t.n]))
		}
	}
	values, err := t.elements()
	if err != nil {
		return d.fail(in.name, err)
	}
	if t.kind.dtype() != own { // float64 holds all of the other two
		if values, err = Convert(runtime.Float64, values); err != nil {
			return d.fail(in.name, err)
		}
		if own != runtime.Float64 {
			if err := d.take(in, runtime.Float64.Size()); err != nil {
				return err
			}
			if in.data, err = Convert(runtime.Float64, in.data); err != nil {
				return d.fail(in.name, err)
			}
		}
	}
	switch data := in.data.(type) {
	case []float32:
		place(data[at:at+in.width], values.([]float32), t.keys)
	case []float64:
		place(data[at:at+in.width], values.([]float64), t.keys)
	case []int32:
		place(data[at:at+in.width], values.([]int32), t.keys)
	case []string:
		place(data[at:at+in.width], values.([]string), t.keys)
	}
	return nil
}

// place writes values to the row, dense where there are no keys.
func place[T any](row, values []T, keys []int) {
	if len(keys) == 0 {
		copy(row, values)
		return
	}
	for i, k := range keys {
		row[k] = values[i]
	}
}
