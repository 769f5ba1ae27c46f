package codec

import (
	"strconv"

	"github.com/claryhq/clary/runtime"
)

// A featureVector is a row of features in an object (contract §11.2): dense,
// {"values": [...]}, or sparse, {"keys": [...], "shape": [n], "values": [...]},
// where what the keys do not name is zero, or NaN (see [SparseOptions]).
type featureVector struct {
	keys  []int
	shape int    // how many features it says there are; -1: not said
	given []byte // the values of a sparse row, while they are put in their places

	sparse bool // keys were there
}

// featureObject reads the object at the cursor, which stands under "data" or
// holds a vector.
func (d *jsonInputs) featureObject() error {
	if d.field == "data" {
		return d.dataObject()
	}
	field := d.field
	if d.vector == nil {
		d.vector = new(featureVector)
	}
	v := d.vector
	v.shape, v.sparse = -1, false
	values := -1 // how many
	for first := true; ; first = false {
		name, more, err := d.member(first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		d.depth = 0
		switch d.field = field + "." + string(name); string(name) {
		case "values":
			if values >= 0 {
				return d.errorf("given twice")
			}
			values, err = d.readValues()
		case "keys":
			if v.sparse {
				return d.errorf("given twice")
			}
			err = d.readKeys()
		case "shape":
			if v.shape >= 0 {
				return d.errorf("given twice")
			}
			err = d.readShape()
		default:
			d.field = field
			return d.errorf("%s is not known here; a vector of features has values, and a sparse one keys and shape too", strconv.Quote(clip(string(name))))
		}
		if err != nil {
			return err
		}
	}
	d.field, d.depth = field, 0
	switch {
	case values < 0:
		return d.errorf(`"values" is missing`)
	case len(d.in) != 1:
		return nil
	case v.sparse:
		return d.densify(&d.in[0], values)
	case v.shape >= 0 && v.shape != values:
		return d.errorf("%d values where the shape says %d", values, v.shape)
	}
	return d.dimension(&d.in[0], 0, values)
}

// dataObject reads {"features": ...}.
func (d *jsonInputs) dataObject() error {
	for first := true; ; first = false {
		name, more, err := d.member(first)
		if !more {
			return err
		}
		if string(name) != "features" {
			return d.errorf("%s is not known here; a vector of features is", strconv.Quote(clip(string(name))))
		}
		if err := d.features("data.features"); err != nil {
			return err
		}
		d.field = "data"
	}
}

// readValues reads the values of a vector and returns how many there are, without
// looking at how many there ought to be. Of several inputs each takes one.
func (d *jsonInputs) readValues() (int, error) {
	if len(d.in) == 0 && d.infer {
		d.add("") // the first: never too many
	}
	if len(d.in) != 1 {
		return len(d.in), d.listRow()
	}
	t := &d.in[0]
	if t.rows > d.count {
		return 0, d.errorf("a row has its features twice")
	}
	t.rows++
	t.flat = true
	if t.rank < 0 {
		t.open(1)
	}
	if t.rank != 1 {
		return 0, d.errorf("a vector where lists %d deep are wanted, as before it", t.rank)
	}
	if c := d.peek(); c != '[' && c != 0 {
		return 0, d.errorf("%s where a list of features is wanted", clip(d.token(d.i)))
	}
	before := t.n
	for first := true; ; first = false {
		more, err := d.list(first)
		if !more {
			return t.n - before, err
		}
		d.idx[0], d.depth = t.n-before, 1
		c := d.peek()
		if c == '[' {
			return 0, d.errorf("a list where %s is wanted", t.wanted())
		}
		if err := d.element(t, c); err != nil {
			return 0, err
		}
	}
}

// readShape reads how many features a vector has.
func (d *jsonInputs) readShape() error {
	shape, err := d.dimensions()
	if err != nil {
		return err
	}
	if d.vector.shape, err = runtime.Elements(shape); err != nil {
		return d.errorf("%v", err)
	}
	return nil
}

// readKeys reads the places of a sparse vector's values.
func (d *jsonInputs) readKeys() error {
	v := d.vector
	v.sparse, v.keys = true, v.keys[:0]
	if len(d.in) > 1 {
		return d.errorf("sparse features are for a model with one input; this one has %s", d.inputNames())
	}
	for first := true; ; first = false {
		more, err := d.list(first)
		if !more {
			return err
		}
		d.idx[0], d.depth = len(v.keys), 1
		n, end := scanNumber(d.b, d.i, strict)
		key, why := toSigned[int64](n, d.b[d.i:end])
		if end == d.i || why != accepted || key < 0 || key > maxColumn {
			return d.errorf("%s where the place of a feature is wanted, a whole number from 0", clip(d.token(d.i)))
		}
		v.keys = append(v.keys, int(key))
		d.i = end
	}
}

// densify puts the last n values of t, a sparse row's, in their places among
// zeros.
func (d *jsonInputs) densify(t *jsonTensor, n int) error {
	v := d.vector
	width := -1
	if t.info != nil {
		width = rowWidth(t.info, 1)
	}
	if width < 0 {
		width = t.shape[0] // an earlier row's
	}
	switch {
	case t.dtype == runtime.String:
		return d.errorf("sparse features are numbers, and the model takes strings")
	case len(v.keys) != n:
		return d.errorf("%d keys for %d values", len(v.keys), n)
	case width < 0 && v.shape < 0:
		return d.errorf(`"shape" is missing, and the model does not say how many features there are`)
	case width < 0:
		width = v.shape
	case v.shape >= 0 && v.shape != width:
		return d.errorf("a shape of %d features where %d are wanted", v.shape, width)
	}
	for _, key := range v.keys {
		if key >= width {
			return d.errorf("the key %d, and there are %d features, the first is 0", key, width)
		}
	}
	if key, found := twice(v.keys); found {
		return d.errorf("the key %d is given twice", key)
	}
	missing, err := missingNaN(d.request, "application/json")
	if err != nil {
		return err
	}
	if t.data == nil {
		t.become(runtime.Float64)
	}
	if t.free && missing {
		if why := t.widen(); why != accepted {
			return d.errorf("%s", why.explain(runtime.Float64, "one of the features"))
		}
	}
	size := t.dtype.Size()
	if err := checkDense("JSON", "", d.count+1, width, size, maxDense(len(d.b))); err != nil {
		return err
	}
	t.extend(width - n)
	row := runtime.Bytes(t.data)[(t.n-width)*size : t.n*size]
	v.given = append(v.given[:0], row[:n*size]...)
	clear(row)
	if missing && n < width {
		nan, err := nanOf(t.dtype)
		if err != nil {
			return d.errorf("%v", err)
		}
		fill(row, nan)
	}
	for i, key := range v.keys {
		copy(row[key*size:][:size], v.given[i*size:])
	}
	return d.dimension(t, 0, width)
}
