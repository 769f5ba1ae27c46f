package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
	"google.golang.org/protobuf/encoding/protowire"
)

// A recordOutput is an output as the records hold it.
type recordOutput struct {
	key   string
	kind  recordKind
	data  any   // of kind's element type
	width int   // elements in a row
	shape []int // what to say of a row's shape; nil: nothing
}

// Encode implements [Codec].
func (RecordIO) Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error) {
	part := protowire.Number(2)
	switch as := strings.ToLower(r.Params["as"]); as {
	case "", "label":
	case "features":
		part = 1
	default:
		return nil, fmt.Errorf("%w: application/x-recordio-protobuf with as=%s: it may be label or features", ErrNotAcceptable, quote(as))
	}
	rows, err := recordRows(out)
	if err != nil {
		return nil, err
	}
	outputs := make([]recordOutput, len(out))
	size := 0 // of a row, nearly
	for i, t := range out {
		if outputs[i], err = newRecordOutput(t); err != nil {
			return nil, err
		}
		size += outputs[i].width*outputs[i].kind.dtype().Size() + len(outputs[i].key) + 32
	}
	switch {
	case part == 1 && len(out) == 1:
		outputs[0].key = "values"
	case part == 2 && newRowWriter(out, r).classifier:
		outputs[0].key, outputs[1].key = "predicted_label", "score"
		outputs[0].forClients(out[0].Data)
	}
	dst = slices.Grow(dst, rows*(size+16))
	for row := range rows {
		if dst, err = appendRecord(dst, part, outputs, row); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// recordRows checks that the outputs are tensors with as many rows each.
func recordRows(out []runtime.Tensor) (int, error) {
	for _, t := range out {
		if t.Kind() != runtime.KindTensor {
			return 0, fmt.Errorf("%w: output %q is a sequence or a map, which no record holds; accept application/json", ErrNotAcceptable, t.Name)
		}
		if err := t.Check(); err != nil {
			return 0, err
		}
	}
	rows, ok := commonRows(out)
	if !ok {
		return 0, fmt.Errorf("%w: a record is a row, and the outputs have no common rows; accept application/json, or ask for one output with the custom attribute ort-outputs", ErrNotAcceptable)
	}
	return rows, nil
}

// newRecordOutput chooses the tensor for an output's type.
func newRecordOutput(t runtime.Tensor) (recordOutput, error) {
	o := recordOutput{key: t.Name, data: t.Data}
	row := t.Shape[1:]
	o.width, _ = runtime.Elements(row) // Check has counted them
	if len(row) > 1 || o.width == 0 {
		o.shape = row
	}
	d := t.DType()
	switch {
	case d == runtime.String:
		o.kind = recordBytes
		return o, nil
	case d.Float() && d != runtime.Float64:
		o.kind = recordFloat32
	case d == runtime.Float64, d == runtime.Int64, d == runtime.Uint64, d == runtime.Uint32:
		o.kind = recordFloat64
	default:
		o.kind = recordInt32
	}
	if b, ok := t.Data.([]bool); ok { // 0 and 1
		o.data = runtime.View(runtime.Uint8, runtime.Bytes(b))
	}
	var err error
	if o.data, err = Convert(o.kind.dtype(), o.data); err != nil {
		return o, fmt.Errorf("%w: output %q: %w: records hold integers of 64 bits as float64; accept application/json", ErrNotAcceptable, t.Name, err)
	}
	return o, nil
}

// forClients makes a numeric label float32, which is where AWS's clients look
// for it, unless that would make another of it.
func (o *recordOutput) forClients(data any) {
	labels, ok := data.([]int64)
	if !ok {
		return
	}
	values := make([]float32, len(labels))
	for i, v := range labels {
		if v < -1<<24 || v > 1<<24 {
			return
		}
		values[i] = float32(v)
	}
	o.kind, o.data = recordFloat32, values
}

// appendRecord appends the frame of a row.
func appendRecord(dst []byte, part protowire.Number, outputs []recordOutput, row int) ([]byte, error) {
	n := 0
	for i := range outputs {
		n += 1 + protowire.SizeBytes(outputs[i].sizes(row).entry)
	}
	if n > math.MaxUint32 {
		return nil, fmt.Errorf("%w: a row of %d bytes, and a RecordIO frame holds 4 GiB; accept application/x-npz", ErrNotAcceptable, n)
	}
	dst = binary.LittleEndian.AppendUint32(dst, recordMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	for i := range outputs {
		dst = outputs[i].append(dst, part, row)
	}
	for ; n%4 != 0; n++ {
		dst = append(dst, 0)
	}
	return dst, nil
}

// recordSizes are the lengths of the messages around a row's values, and of the
// packed values and shape themselves.
type recordSizes struct{ values, shape, tensor, value, entry int }

func (o *recordOutput) sizes(row int) recordSizes {
	var s recordSizes
	from, to := row*o.width, (row+1)*o.width
	switch data := o.data.(type) {
	case []float32:
		s.values = 4 * o.width
	case []float64:
		s.values = 8 * o.width
	case []int32:
		for _, v := range data[from:to] {
			s.values += protowire.SizeVarint(uint64(v))
		}
	case []string:
		for _, v := range data[from:to] {
			s.tensor += 1 + protowire.SizeBytes(len(v))
		}
	}
	for _, d := range o.shape {
		s.shape += protowire.SizeVarint(uint64(d))
	}
	if s.values > 0 {
		s.tensor += 1 + protowire.SizeBytes(s.values)
	}
	if s.shape > 0 && o.kind != recordBytes {
		s.tensor += 1 + protowire.SizeBytes(s.shape)
	}
	s.value = 1 + protowire.SizeBytes(s.tensor)
	s.entry = 1 + protowire.SizeBytes(len(o.key)) + 1 + protowire.SizeBytes(s.value)
	return s
}

// append appends a map's entry for the row.
func (o *recordOutput) append(dst []byte, part protowire.Number, row int) []byte {
	s := o.sizes(row)
	dst = appendLength(dst, part, s.entry)
	dst = appendLength(dst, 1, len(o.key))
	dst = append(dst, o.key...)
	dst = appendLength(dst, 2, s.value)
	dst = appendLength(dst, protowire.Number(o.kind), s.tensor)
	from, to := row*o.width, (row+1)*o.width
	if s.values > 0 {
		dst = appendLength(dst, 1, s.values)
	}
	switch data := o.data.(type) {
	case []int32:
		for _, v := range data[from:to] {
			dst = protowire.AppendVarint(dst, uint64(v))
		}
	case []string:
		for _, v := range data[from:to] {
			dst = appendLength(dst, 1, len(v))
			dst = append(dst, v...)
		}
		return dst
	default:
		dst = append(dst, runtime.Bytes(data)[row*s.values:(row+1)*s.values]...)
	}
	if s.shape > 0 {
		dst = appendLength(dst, 3, s.shape)
		for _, d := range o.shape {
			dst = protowire.AppendVarint(dst, uint64(d))
		}
	}
	return dst
}

// appendLength appends the tag of a field of n bytes, and n.
func appendLength(dst []byte, num protowire.Number, n int) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(n))
}
