package codec

import (
	"bytes"
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
