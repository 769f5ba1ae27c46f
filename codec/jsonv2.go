package codec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// v2Types are KServe V2's names of the element types. The protocol has none
// for the float8 types; theirs are ONNX's.
var v2Types = map[string]runtime.DType{
	"BOOL": runtime.Bool, "UINT8": runtime.Uint8, "UINT16": runtime.Uint16, "UINT32": runtime.Uint32, "UINT64": runtime.Uint64,
	"INT8": runtime.Int8, "INT16": runtime.Int16, "INT32": runtime.Int32, "INT64": runtime.Int64,
	"FP16": runtime.Float16, "BF16": runtime.BFloat16, "FP32": runtime.Float32, "FP64": runtime.Float64, "BYTES": runtime.String,
	"FLOAT8E4M3FN": runtime.Float8E4M3FN, "FLOAT8E4M3FNUZ": runtime.Float8E4M3FNUZ,
	"FLOAT8E5M2": runtime.Float8E5M2, "FLOAT8E5M2FNUZ": runtime.Float8E5M2FNUZ,
}

// v2Name returns the name of d in KServe V2.
func v2Name(d runtime.DType) string {
	for name, t := range v2Types {
		if t == d {
			return name
		}
	}
	return ""
}

// A v2Tensor is one of KServe V2's inputs while its members come in.
type v2Tensor struct {
	name  string
	named bool
	shape []int
	dtype runtime.DType
	data  int  // where the data begins
	done  bool // the data is read
	size  int  // of data in binary; -1: it is in JSON
}

// v2Inputs reads the list of KServe V2's inputs.
func (d *jsonBody) v2Inputs() error {
	for first := true; ; first = false {
		more, err := d.list(first)
		if err != nil {
			return err
		}
		d.row++
		if !more {
			d.row = -1
			return d.missing(1)
		}
		if err := d.v2Input(); err != nil {
			return err
		}
	}
}

// v2Input reads one input; its members may come in any order.
func (d *jsonBody) v2Input() (err error) {
	t := v2Tensor{size: -1}
	for first := true; ; first = false {
		key, more, err := d.member(first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		d.field = ""
		switch string(key) {
		case "name":
			err = d.v2Once("name", t.named)
			if err == nil {
				t.named = true
				t.name, err = d.string("the input's name")
			}
		case "datatype":
			if err = d.v2Once("datatype", t.dtype != 0); err == nil {
				t.dtype, err = d.v2Datatype()
			}
		case "shape":
			if err = d.v2Once("shape", t.shape != nil); err == nil {
				t.shape, err = d.dimensions()
			}
		case "data":
			if err = d.v2Once("data", t.data > 0); err == nil {
				t.data = d.i
				if t.named && t.dtype != 0 && t.shape != nil {
					err = d.v2Data(&t)
				} else {
					err = d.skip(2)
				}
			}
		case "parameters":
			err = d.v2Size(&t)
		default:
			err = d.skip(2)
		}
		if err != nil {
			return err
		}
	}
	d.field = ""
	switch {
	case !t.named:
		return d.errorf(`"name" is missing`)
	case t.dtype == 0:
		return d.errorf(`"datatype" is missing`)
	case t.shape == nil:
		return d.errorf(`"shape" is missing`)
	case t.size >= 0 && t.data > 0:
		return d.errorf(`both "data" and "binary_data_size" are given; the values are in JSON or in binary`)
	case t.size >= 0:
		return d.v2Binary(&t)
	case t.data == 0 && d.binary:
		return d.errorf(`"data" is missing, or "parameters" with the "binary_data_size"`)
	case t.data == 0:
		return d.errorf(`"data" is missing; JSON carries the values as numbers or strings, not in binary after it`)
	case t.done:
		return nil
	}
	end := d.i
	d.i = t.data
	err = d.v2Data(&t)
	d.i = end
	return err
}

// v2Once refuses a member that was there before.
func (d *jsonBody) v2Once(member string, before bool) error {
	if before {
		return d.errorf("%q is given twice", member)
	}
	d.field = member
	return nil
}

func (d *jsonBody) v2Datatype() (runtime.DType, error) {
	name, err := d.string("the data type")
	if err != nil {
		return 0, err
	}
	t, ok := v2Types[name]
	if !ok {
		return 0, d.errorf("%s is no data type of KServe V2 (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES)", strconv.Quote(clip(name)))
	}
	return t, nil
}

// v2Data reads the data of t, flat or nested, into the input of its name. The
// values are read as the type that the request says, then converted to the
// model's.
func (d *jsonBody) v2Data(t *v2Tensor) error {
	t.done = true
	in, want, err := d.v2Target(t)
	if err != nil {
		return err
	}
	model := in.dtype
	if t.dtype != model || d.infer {
		// No more room than the body can fill, whatever the shape says.
		in.elements = newElements(t.dtype, min(want, (len(d.b)-d.i)/2+1))
	}
	if err := d.value(in, 0); err != nil {
		return err
	}
	seen := len(t.shape) // the dimensions that lists can show
	if in.n == 0 {
		seen = min(seen, in.rank)
	}
	if in.n != want || in.rank > 1 && !agree(t.shape[:seen], in.shape[:in.rank]) {
		return d.errorf("%d values of shape %s where the shape %s wants %d", in.n, shapeText(in.shape[:in.rank], nil), shapeText(t.shape, nil), want)
	}
	return d.v2Fill(in, t, model, in.elements.finish())
}

// v2Target returns the input that t's data goes to, and how many elements t's
// shape has.
func (d *jsonBody) v2Target(t *v2Tensor) (in *jsonTensor, want int, err error) {
	if want, err = runtime.Elements(t.shape); err != nil {
		return nil, 0, d.errorf("%v", err)
	}
	i, ok := d.find([]byte(t.name), d.row)
	if !ok {
		if !d.infer {
			d.field = "name"
			return nil, 0, d.unknown([]byte(t.name))
		}
		if i, err = d.add(t.name); err != nil {
			return nil, 0, err
		}
		d.in[i].dtype = t.dtype
	}
	in = &d.in[i]
	d.field = "data"
	if in.rows++; in.rows > 1 {
		return nil, 0, d.errorf("input %q is given twice", t.name)
	}
	return in, want, nil
}

// v2Fill makes data, which t announced, the input's, converted to the model's
// type.
func (d *jsonBody) v2Fill(in *jsonTensor, t *v2Tensor, model runtime.DType, data any) error {
	converted, err := Convert(model, data)
	if err != nil {
		return d.errorf("%v into the model's %v: %v", t.dtype, model, err)
	}
	in.elements = elements{dtype: model, data: converted, n: runtime.Len(converted)}
	in.rank = copy(in.shape[:], t.shape)
	return nil
}

// v2Envelope reads what stands beside the inputs: the request's id, whether it
// wants binary outputs, and the outputs that it asks for.
func (d *jsonBody) v2Envelope(id, outputs, parameters int) error {
	if parameters > 0 {
		d.i, d.key = parameters, "parameters"
		if err := d.v2Flag("binary_data_output", &d.found.Binary); err != nil {
			return err
		}
	}
	if id > 0 {
		d.i, d.key = id, "id"
		id, err := d.string("the request's id")
		if err != nil {
			return err
		}
		d.found.ID = strings.Clone(id) // it may outlive the body
	}
	if outputs == 0 {
		return nil
	}
	d.i, d.key = outputs, "outputs"
	var asked []Output
	before := map[string]bool{}
	for first := true; ; first = false {
		more, err := d.list(first)
		if err != nil {
			return err
		}
		if !more {
			d.found.Outputs = asked
			return nil
		}
		d.row = len(asked)
		out, err := d.v2Output()
		if err != nil {
			return err
		}
		if before[out.Name] {
			return d.errorf("the output %q is asked for twice", out.Name)
		}
		before[out.Name] = true
		asked = append(asked, out)
	}
}

// v2Output reads one output that is asked for.
func (d *jsonBody) v2Output() (out Output, err error) {
	named := false
	out.Binary = d.found.Binary
	for first := true; ; first = false {
		key, more, err := d.member(first)
		switch {
		case err != nil:
			return out, err
		case !more && !named:
			return out, d.errorf(`"name" is missing`)
		case !more:
			return out, nil
		case string(key) == "parameters":
			err = d.v2Flag("binary_data", &out.Binary)
		case string(key) != "name":
			err = d.skip(2)
		case named:
			err = d.errorf(`"name" is given twice`)
		default:
			named = true
			out.Name, err = d.string("the output's name")
			out.Name = strings.Clone(out.Name)
		}
		if err != nil {
			return out, err
		}
	}
}

// appendV2 appends KServe V2's reply, with those outputs in binary that the
// request asks for so, or all. With one it is more than JSON, and says so in r.
func appendV2(dst []byte, out []runtime.Tensor, r *Reply, all bool) ([]byte, error) {
	start, binary := len(dst), all
	dst = append(dst, `{"model_name":`...)
	dst = appendString(dst, r.Model)
	if r.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, r.ID)
	}
	dst = append(dst, `,"outputs":[`...)
	for i := range out {
		t := &out[i]
		if t.Kind() != runtime.KindTensor {
			return dst, fmt.Errorf("KServe V2 carries tensors, and the output %q is a sequence or a map; ask in another dialect: %w", t.Name, ErrNotAcceptable)
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"name":`...)
		dst = appendString(dst, t.Name)
		dst = append(dst, `,"datatype":"`...)
		dst = append(dst, v2Name(t.DType())...)
		dst = append(dst, `","shape":[`...)
		dst = appendEach(dst, t.Shape, func(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) })
		if all || r.binary(t.Name) {
			binary = true
			dst = append(dst, `],"parameters":{"binary_data_size":`...)
			dst = strconv.AppendInt(dst, int64(binarySize(t.Data)), 10)
			dst = append(dst, `}}`...)
			continue
		}
		dst = slices.Grow(dst, jsonSize(out[i:i+1]))
		dst = append(dst, `],"data":[`...)
		dst = appendElements(dst, t.Data, 0, runtime.Len(t.Data))
		dst = append(dst, `]}`...)
	}
	dst = append(dst, `]}`...)
	if !binary {
		return dst, nil
	}
	r.ContentType = v2BinaryTypes[0] + ";" + headerSize + "=" + strconv.Itoa(len(dst)-start)
	for i := range out {
		if all || r.binary(out[i].Name) {
			dst = appendBinary(dst, out[i].Data)
		}
	}
	return dst, nil
}
