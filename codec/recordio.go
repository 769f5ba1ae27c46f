package codec

import (
	"encoding/binary"

	"github.com/claryhq/clary/runtime"
)

// RecordIO is application/x-recordio-protobuf, the format of SageMaker's
// built-in algorithms (contract §11.3): frames, each with a message Record of
// package aialgs.data, which is one row.
//
//	frame:  0xCED7230A, the message's length (both uint32, little-endian), the message, zeros up to a multiple of 4
//	Record: features map<string,Value> = 1, label map<string,Value> = 2; uid, metadata, configuration = 3, 4, 5
//	Value:  float32_tensor = 2, float64_tensor = 3, int32_tensor = 7 or bytes = 9
//	tensor: values = 1, keys = 2, shape = 3
//
// Decode also takes one message without a frame, which is what a batch
// transform job sends as a single record (contract §6.2). The only input of a
// model is the feature "values", or the one of its name; of several inputs each
// is the feature of its name. Numbers go to an input's type by the rules of
// docs/types.md, bytes to strings. Labels, and fields that Record does not
// have, are passed over.
//
// A tensor with keys is sparse: what they do not name is zero, or with the
// parameter missing=nan NaN, as XGBoost sees it. It is as long
// as the input's row; where the model leaves that open, as its shape says, or
// the first record that is dense or has a shape, or the greatest key of the
// body. A tensor without any value needs a shape. Written out the rows may take
// 64 MiB or 20 times the body, whichever is more.
//
// Encode writes a frame a row, with each output under its name in label, where
// AWS's images put theirs; a classifier's are "predicted_label" and "score".
// With the parameter as=features they are features, a single one "values":
// what the next container of a pipeline reads. float32 and narrower floats are
// a float32_tensor, bools and integers of at most 32 bits that int32 holds an
// int32_tensor, float64, uint32 and 64-bit integers up to 2^53 a
// float64_tensor, strings bytes. A predicted_label that is a number is a
// float32_tensor, as AWS's clients expect it, unless that would change one.
type RecordIO struct{}

// MediaTypes returns application/x-recordio-protobuf.
func (RecordIO) MediaTypes() []string { return recordIOTypes }

var recordIOTypes = []string{"application/x-recordio-protobuf"}

// Decode implements [Codec].
func (RecordIO) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	d := recordReader{frames: recordFrames{body: body}, room: maxDense(len(body))}
	var err error
	if d.missingNaN, err = missingNaN(r, recordIOTypes[0]); err != nil {
		return nil, err
	}
	if d.rows, err = d.frames.count(); err != nil {
		return nil, err
	}
	if r.Want == nil {
		err = d.infer()
	} else {
		err = d.expect(r.Want)
	}
	if err != nil {
		return nil, err
	}
	for ; d.row < d.rows; d.row++ {
		if err := d.readRow(); err != nil {
			return nil, err
		}
	}
	r.Found.Dialect = Rows
	return d.tensors()
}

// recordMagic begins every frame.
const recordMagic = 0xCED7230A

// recordFrames cuts a body into messages.
type recordFrames struct {
	body []byte
	at   int // where the next frame begins
	n    int // messages so far
}

// count returns how many messages a body holds, once every frame is known to be
// whole.
func (f recordFrames) count() (int, error) {
	for f.at < len(f.body) {
		if _, err := f.next(); err != nil {
			return 0, err
		}
	}
	return f.n, nil
}

// next returns the next message. A body that does not begin with a frame's
// magic number, which no message begins with, is one message.
func (f *recordFrames) next() ([]byte, error) {
	b := f.body[f.at:]
	magic := len(b) >= 4 && binary.LittleEndian.Uint32(b) == recordMagic
	f.n++
	switch {
	case !magic && f.at == 0:
		f.at = len(f.body)
		return f.body, nil
	case len(b) < 8:
		return nil, f.errorf("%d bytes where a frame's header of 8 is wanted", len(b))
	case !magic:
		return nil, f.errorf("%#08x where the magic number %#x is wanted", binary.LittleEndian.Uint32(b), uint32(recordMagic))
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if uint64(n) > uint64(len(b)-8) {
		return nil, f.errorf("a message of %d bytes, of which %d are there", n, len(b)-8)
	}
	end := 8 + int(n)
	f.at += min((end+3)&^3, len(b)) // the last one's padding may be missing
	return b[8:end], nil
}

func (f *recordFrames) errorf(msg string, args ...any) *Error {
	return errorf("RecordIO", recordPlace(f.n, f.at), msg, args...)
}
