package codec

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/claryhq/clary/runtime"
)

// A recordReader reads records into the rows of inputs.
type recordReader struct {
	frames recordFrames
	rows   int
	row    int // the record that is being read, from 0
	room   int // bytes that the inputs may still take
	inputs []recordInput
	byName map[string]int // nil where the only input of a model takes the feature "values"
	tensor recordTensor   // of the feature that is being read

	missingNaN bool // of sparse rows
}

// A recordInput is an input and the feature of a record that goes to it.
type recordInput struct {
	recordFeature
	info  runtime.Info
	width int   // values in a row; -1 while that is open
	dims  []int // a row's shape, where a record has one of several dimensions
	data  any   // rows * width elements, of the type of the records
}

// expect prepares the inputs that a model takes.
func (d *recordReader) expect(want []runtime.Info) error {
	d.inputs = make([]recordInput, len(want))
	for i := range want {
		info := &want[i]
		if info.Kind != runtime.KindTensor || !info.DType.Known() {
			return errorf("RecordIO", "", "the model's input %q is not a tensor of a known type, and records hold nothing else", info.Name)
		}
		d.inputs[i] = recordInput{info: *info, width: rowWidth(info, d.rows)}
	}
	if len(want) != 1 {
		d.index()
	}
	return nil
}

// infer takes the features of the first record for the inputs.
func (d *recordReader) infer() error {
	frames := d.frames
	record, err := frames.next()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for {
		f, rest, ok, err := nextFeature(record)
		switch {
		case err != nil:
			return d.fail(nil, err)
		case !ok && len(seen) == 0:
			return d.errorf(nil, "the record has no features")
		case !ok:
			d.index()
			return nil
		case len(seen) == maxInferred:
			return d.errorf(nil, "more than %d features", maxInferred)
		}
		record = rest
		if name := string(f.name); !seen[name] {
			seen[name] = true
			d.inputs = append(d.inputs, recordInput{info: runtime.Info{Name: name, Unranked: true}, width: -1})
		}
	}
}

func (d *recordReader) index() {
	d.byName = make(map[string]int, len(d.inputs))
	for i := range d.inputs {
		d.byName[d.inputs[i].info.Name] = i
	}
}

// find returns the input of the feature of that name, nil if there is none.
func (d *recordReader) find(name []byte) *recordInput {
	if d.byName == nil {
		if in := &d.inputs[0]; string(name) == "values" || string(name) == in.info.Name {
			return in
		}
		return nil
	}
	if i, ok := d.byName[string(name)]; ok {
		return &d.inputs[i]
	}
	return nil
}

// readRow reads the next record.
func (d *recordReader) readRow() error {
	record, err := d.frames.next()
	if err != nil {
		return err
	}
	for i := range d.inputs {
		d.inputs[i].recordFeature = recordFeature{}
	}
	if err := d.features(record); err != nil {
		return err
	}
	for i := range d.inputs {
		in := &d.inputs[i]
		switch {
		case in.kind != 0:
			err = d.readTensor(in)
		case in.name != nil:
			err = d.errorf(in.name, "it holds no float32, float64 or int32 tensor and no bytes")
		case d.byName == nil && in.info.Name != "values":
			err = d.errorf(nil, `the record has no feature "values", nor one named %s`, quote(in.info.Name))
		default:
			err = d.errorf(nil, "the record has no feature %s", quote(in.info.Name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// features finds the input of each feature of a record.
func (d *recordReader) features(record []byte) error {
	for {
		f, rest, ok, err := nextFeature(record)
		if err != nil {
			return d.fail(nil, err)
		}
		if !ok {
			return nil
		}
		record = rest
		in := d.find(f.name)
		switch {
		case in == nil && d.byName == nil:
			return d.errorf(f.name, `the model's one input takes the feature "values", or %s`, quote(d.inputs[0].info.Name))
		case in == nil:
			return d.errorf(f.name, "there is no such input; the model takes %s", d.inputNames())
		case in.name != nil && !bytes.Equal(in.name, f.name):
			return d.errorf(f.name, "the record has a feature %s too, and both are for one input", quote(string(in.name)))
		}
		if f.name == nil {
			f.name = []byte{}
		}
		in.recordFeature = f // the last of one name counts, as in any protobuf map
	}
}

func (d *recordReader) inputNames() string {
	infos := make([]runtime.Info, len(d.inputs))
	for i := range d.inputs {
		infos[i] = d.inputs[i].info
	}
	return inputNames(infos)
}

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

// tensors returns the inputs as they are to be run.
func (d *recordReader) tensors() ([]runtime.Tensor, error) {
	out := make([]runtime.Tensor, len(d.inputs))
	for i := range d.inputs {
		in := &d.inputs[i]
		var shape []int
		var err error
		if in.dims != nil {
			shape, err = fitShape(nil, &in.info, append([]int{d.rows}, in.dims...), true)
		} else {
			shape, err = fitRows(&in.info, d.rows, in.width)
		}
		if err != nil {
			return nil, errorf("RecordIO", "", "input %q: %v", in.info.Name, err)
		}
		out[i] = runtime.Tensor{Name: in.info.Name, Shape: shape, Data: in.data}
		if in.info.DType == runtime.Undefined {
			continue
		}
		if out[i].Data, err = Convert(in.info.DType, in.data); err != nil {
			return nil, d.unconverted(in)
		}
	}
	return out, nil
}

// unconverted finds the record of the first value that is not one of the
// input's type.
func (d *recordReader) unconverted(in *recordInput) error {
	data, own := runtime.Bytes(in.data), runtime.DTypeOf(in.data)
	size := own.Size() * in.width
	for d.row = 0; len(data) > 0; d.row++ {
		if _, err := Convert(in.info.DType, runtime.View(own, data[:size])); err != nil {
			return d.errorf([]byte(in.info.Name), "%v", err)
		}
		data = data[size:]
	}
	return nil
}

// errorf returns an error at this record's feature of that name, nil: at the
// record.
func (d *recordReader) errorf(name []byte, msg string, args ...any) error {
	where := recordPlace(d.row+1, -1)
	if name != nil {
		where += ", feature " + quote(string(name))
	}
	return errorf("RecordIO", where, msg, args...)
}

// fail is errorf for an error that says only what; nil stays nil.
func (d *recordReader) fail(name []byte, err error) error {
	if err == nil {
		return nil
	}
	return d.errorf(name, "%v", err)
}

// recordPlace names a record, counted from 1, and the byte it begins at unless
// that is negative.
func recordPlace(n, at int) string {
	where := "record " + strconv.Itoa(n)
	if at >= 0 {
		where += ", byte " + strconv.Itoa(at)
	}
	return where
}
