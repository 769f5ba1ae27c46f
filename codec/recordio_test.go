package codec_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
	"google.golang.org/protobuf/encoding/protowire"
)

// A caseTensor is a tensor in a cases.jsonl: its elements' bytes, or strings.
type caseTensor struct {
	Name    string
	DType   string
	Shape   []int
	Data    []byte
	Strings []string
}

func (c caseTensor) tensor(t testing.TB) runtime.Tensor {
	t.Helper()
	out := runtime.Tensor{Name: c.Name, Shape: c.Shape}
	if d := dtypeNamed(t, c.DType); d == runtime.String {
		out.Data = c.Strings
	} else {
		out.Data = runtime.Make(d, len(c.Data)/d.Size())
		copy(runtime.Bytes(out.Data), c.Data)
	}
	return out
}

func dtypeNamed(t testing.TB, name string) runtime.DType {
	t.Helper()
	for d := runtime.DType(0); d < 32; d++ {
		if d.Known() && d.String() == name {
			return d
		}
	}
	t.Fatalf("no type is called %q", name)
	return 0
}

// A decodeCase is a line of a cases.jsonl.
type decodeCase struct {
	Name   string
	Body   []byte
	Params map[string]string
	Want   []struct {
		Name  string
		DType string
		Shape []int
	}
	Tensors []caseTensor
	// What Encode is given; Body is what it must write.
	Outputs []caseTensor
	Labels  []string
	As      string
}

func (c *decodeCase) want(t testing.TB) []runtime.Info {
	var infos []runtime.Info
	for _, w := range c.Want {
		infos = append(infos, runtime.Info{Name: w.Name, DType: dtypeNamed(t, w.DType), Shape: w.Shape})
	}
	return infos
}

// cases reads testdata/<folder>/cases.jsonl.
func cases(t testing.TB, folder string) []decodeCase {
	t.Helper()
	f, err := os.Open("testdata/" + folder + "/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []decodeCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var c decodeCase
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%s: %d cases, %v", f.Name(), len(all), lines.Err())
	}
	return all
}

// sameTensor compares bit for bit, so that NaN is NaN.
func sameTensor(a, b runtime.Tensor) bool {
	if a.Name != b.Name || a.DType() != b.DType() || !slices.Equal(a.Shape, b.Shape) {
		return false
	}
	if a.DType() == runtime.String {
		return reflect.DeepEqual(a.Data, b.Data)
	}
	return bytes.Equal(runtime.Bytes(a.Data), runtime.Bytes(b.Data))
}

// decodeCases holds a codec against the tensors that a reference library reads.
func decodeCases(t *testing.T, c codec.Codec, folder string) {
	for _, v := range cases(t, folder) {
		if v.Outputs != nil {
			continue
		}
		r := codec.Request{Want: v.want(t), Params: v.Params}
		in, err := c.Decode(v.Body, &r)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if len(in) != len(v.Tensors) || r.Found.Dialect != codec.Rows {
			t.Errorf("%s: %d tensors, want %d; dialect %v", v.Name, len(in), len(v.Tensors), r.Found.Dialect)
			continue
		}
		for i := range in {
			if want := v.Tensors[i].tensor(t); in[i].Check() != nil || !sameTensor(in[i], want) {
				t.Errorf("%s:\n got %v\nwant %v", v.Name, in[i], want)
			}
		}
	}
}

func TestRecordsThatTheProtobufLibraryWritesAreRead(t *testing.T) {
	decodeCases(t, codec.RecordIO{}, "recordio")
}

func TestRecordsAreWrittenAsTheProtobufLibraryWritesThem(t *testing.T) {
	n := 0
	for _, c := range cases(t, "recordio") {
		if c.Outputs == nil {
			continue
		}
		n++
		var out []runtime.Tensor
		var infos []runtime.Info
		for _, o := range c.Outputs {
			out = append(out, o.tensor(t))
			infos = append(infos, runtime.Info{Name: o.Name})
		}
		infos[len(infos)-1].Labels = c.Labels
		got, err := codec.RecordIO{}.Encode([]byte("before"), out, &codec.Reply{Infos: infos, Params: map[string]string{"as": c.As}})
		if err != nil || string(got) != "before"+string(c.Body) {
			t.Errorf("%s: %v\n got %x\nwant %x", c.Name, err, got, c.Body)
		}
	}
	if n < 15 {
		t.Errorf("%d cases", n)
	}
}

// What is written as features is read again as it was.
func TestRecordsWrittenAsFeaturesAreReadAgain(t *testing.T) {
	for _, out := range [][]runtime.Tensor{
		{{Name: "values", Shape: []int{2, 3}, Data: []float32{1, 2, 3, float32(math.NaN()), -0.5, 1e30}}},
		{{Name: "values", Shape: []int{3, 1, 2}, Data: []float64{1, 2, 3, 4, 5, 1e-300}}},
		{{Name: "values", Shape: []int{2, 0}, Data: []int32{}}},
		{{Name: "values", Shape: []int{2, 2}, Data: []string{"a", "", "ü", "\x00"}}},
		{{Name: "b", Shape: []int{2, 1}, Data: []int32{-1, math.MaxInt32}}, {Name: "a", Shape: []int{2, 2, 2}, Data: make([]float32, 8)}},
	} {
		body, err := codec.RecordIO{}.Encode(nil, out, &codec.Reply{Params: map[string]string{"as": "features"}})
		if err != nil {
			t.Errorf("%v: %v", out, err)
			continue
		}
		var want []runtime.Info
		for _, o := range out {
			want = append(want, runtime.Info{Name: o.Name, DType: o.DType(), Shape: slices.Repeat([]int{-1}, len(o.Shape))})
		}
		for _, r := range []codec.Request{{}, {Want: want}} {
			in, err := codec.RecordIO{}.Decode(body, &r)
			if err != nil || len(in) != len(out) {
				t.Errorf("%v: %v, %v", out, in, err)
				continue
			}
			for i := range in {
				if !sameTensor(in[i], out[i]) {
					t.Errorf("%v came back as %v", out[i], in[i])
				}
			}
		}
	}
}

// message appends a field with a message, string or packed list in it.
func message(num protowire.Number, parts ...[]byte) []byte {
	b := protowire.AppendTag(nil, num, protowire.BytesType)
	return protowire.AppendBytes(b, bytes.Join(parts, nil))
}

func varints(num protowire.Number, v ...uint64) []byte {
	var b []byte
	for _, v := range v {
		b = protowire.AppendVarint(b, v)
	}
	return message(num, b)
}

func float32s(v ...float32) []byte { return message(1, runtime.Bytes(v)) }

// feature is an entry of a Record's features: a tensor of the kind that is a
// Value's field of that number.
func feature(name string, kind protowire.Number, tensor ...[]byte) []byte {
	return message(1, message(1, []byte(name)), message(2, message(kind, tensor...)))
}

func frame(message []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xCED7230A)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(message)))
	b = append(b, message...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func TestRecordsThatAreNotWhatTheyClaimAreRefused(t *testing.T) {
	good := frame(feature("values", 2, float32s(1, 2, 3, 4)))
	one := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 4}}}
	open := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, -1}}}
	ints := []runtime.Info{{Name: "x", DType: runtime.Int32, Shape: []int{-1, 4}}}
	words := []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{-1, 1}}}
	two := []runtime.Info{{Name: "age", DType: runtime.Float32, Shape: []int{-1, 1}}, {Name: "job", DType: runtime.Float32, Shape: []int{-1, 1}}}
	fixed := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{1, 4}}}
	length := func(n uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[4:], n)
		return b
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name string
		body []byte
		want []runtime.Info
		err  string
	}{
		// Frames.
		{"a header cut", good[:7], one, "record 1, byte 0: 7 bytes where a frame's header of 8"},
		{"a second header cut", join(good, good[:5]), one, "record 2, byte 40: 5 bytes where"},
		{"a message cut", good[:len(good)-4], one, "record 1, byte 0: a message of 32 bytes, of which 28 are there"},
		{"a length beyond the body", length(math.MaxUint32), one, "of 4294967295 bytes, of which 32 are there"},
		{"a length with the flags of dmlc", length(1<<29 | 32), one, "are there"},
		{"another magic number", join(good, []byte("\x0b\x23\xd7\xce\x00\x00\x00\x00")), one, "record 2, byte 40: 0xced7230b where the magic number 0xced7230a"},
		{"JSON", []byte(`{"instances":[[1,2,3,4]]}`), one, "record 1: it is no protobuf message"},
		{"text", []byte("1,2,3,4\n"), one, "record 1: "},
		// Messages.
		{"no features", frame(nil), one, `record 1: the record has no feature "values", nor one named "x"`},
		{"no features and no model", frame(nil), nil, "record 1: the record has no features"},
		{"labels only", frame(message(2, message(1, []byte("values")))), one, "no feature"},
		{"another feature", frame(feature("y", 2, float32s(1))), one, `feature "y": the model's one input takes the feature "values", or "x"`},
		{"two features", frame(join(feature("values", 2, float32s(1, 2, 3, 4)), feature("x", 2, float32s(1, 2, 3, 4)))), one, `feature "x": the record has a feature "values" too`},
		{"no such input", join(frame(join(feature("age", 2, float32s(1)), feature("jop", 2, float32s(1))))), two, `feature "jop": there is no such input; the model takes age, job`},
		{"an input missing", frame(feature("age", 2, float32s(1))), two, `record 1: the record has no feature "job"`},
		{"an input missing in a later record", join(frame(join(feature("age", 2, float32s(1)), feature("job", 2, float32s(1)))), frame(feature("job", 2, float32s(1)))), two, `record 2: the record has no feature "age"`},
		{"no tensor", frame(message(1, message(1, []byte("values")), message(2))), one, "it holds no float32"},
		{"an unknown tensor", frame(feature("values", 5, float32s(1, 2, 3, 4))), one, `record 1, feature "values": it holds no float32, float64 or int32 tensor`},
		{"a message within cut", frame(feature("values", 2, []byte("\x0a\x10\x00"))), one, "no protobuf message"},
		{"half a float", frame(feature("values", 2, message(1, make([]byte, 15)))), one, "15 bytes ends within one"},
		{"half a double", frame(feature("values", 3, message(1, make([]byte, 31)))), one, "31 bytes ends within one"},
		{"half an int", frame(feature("values", 7, message(1, []byte{1, 2, 3, 0x80}))), one, "4 bytes ends within one"},
		{"an int of eleven bytes", frame(feature("values", 7, message(1, []byte("\x01\x02\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")))), one, "value 3"},
		{"groups without end", bytes.Repeat([]byte{0x0b}, 20000), one, "no protobuf message"},
		// Rows.
		{"too few values", frame(feature("values", 2, float32s(1, 2, 3))), one, `record 1, feature "values": 3 values where 4 are wanted`},
		{"too many values in a later record", join(good, good, frame(feature("values", 2, float32s(1, 2, 3, 4, 5)))), one, `record 3, feature "values": 5 values where 4`},
		{"rows of different widths", join(good, frame(feature("values", 2, float32s(1, 2, 3)))), open, "record 2, feature \"values\": 3 values where 4"},
		{"no values", frame(feature("values", 2)), one, "it has no values; a row of zeros has a shape"},
		{"more records than the model takes", join(good, good), fixed, "shape [2,4] where [1,4]"},
		{"a shape that is not the values'", frame(feature("values", 2, float32s(1, 2, 3), varints(3, 4))), one, "3 values of shape [4] and no keys"},
		{"a shape that is not the model's", frame(feature("values", 2, float32s(1), varints(2, 0), varints(3, 5))), one, "shape [5], where a row of 4 values"},
		{"a shape that changes", join(frame(feature("values", 2, float32s(1, 2, 3, 4, 5, 6), varints(3, 2, 3))), frame(feature("values", 2, float32s(1, 2, 3, 4, 5, 6), varints(3, 3, 2)))), nil, "record 2, feature \"values\": shape [3,2], where records before it have [2,3]"},
		{"a key beyond the row", frame(feature("values", 2, float32s(1), varints(2, 4))), one, "key 4, where a row has 4 values (keys 0 to 3)"},
		{"a key beyond all bounds", frame(feature("values", 2, float32s(1), varints(2, 1<<63))), open, "the key 9223372036854775808 is beyond"},
		{"a key twice", frame(feature("values", 2, float32s(1, 2, 3), varints(2, 3, 0, 3))), one, "key 3 is there twice"},
		{"keys without values", frame(feature("values", 2, float32s(1, 2), varints(2, 0, 1, 2))), one, "3 keys for 2 values"},
		{"a shape of many dimensions", frame(feature("values", 2, float32s(1), varints(3, make([]uint64, 17)...))), one, "17 dimensions"},
		{"a shape beyond counting", frame(feature("values", 2, float32s(1), varints(2, 0), varints(3, 1<<40, 1<<40))), open, "more elements than"},
		// Bodies that would become far larger than they are.
		{"a row of 8 GiB", frame(feature("values", 2, float32s(1), varints(2, 1<<31))), open, "send fewer rows at a time"},
		{"a shape of 40 TB", frame(feature("values", 2, varints(3, 1e13))), open, "send fewer rows at a time"},
		{"many rows after a long one", join(frame(feature("values", 2, message(1, make([]byte, 400000)))), bytes.Repeat(frame(nil), 10000)), open, "send fewer rows at a time"},
		// Types.
		{"a fraction for an int", join(frame(feature("values", 2, float32s(1, 2, 3, 4))), frame(feature("values", 2, float32s(1, 2, 3.5, 4)))), ints, `record 2, feature "x": element 2: 3.5 is not a whole number`},
		{"bytes for numbers", frame(feature("values", 9, message(1, []byte("a")))), one, "bytes where numbers are wanted"},
		{"numbers for strings", frame(feature("values", 2, float32s(1))), words, "numbers where bytes are wanted"},
		{"numbers after bytes", join(frame(feature("values", 9, message(1, []byte("a")))), frame(feature("values", 2, float32s(1)))), nil, "record 2, feature \"values\": numbers where bytes"},
		{"bytes that are not UTF-8", frame(feature("values", 9, message(1, []byte("\xff")))), words, "value 0 is not UTF-8"},
	} {
		in, err := codec.RecordIO{}.Decode(c.body, &codec.Request{Want: c.want})
		var e *codec.Error
		if !errors.As(err, &e) || !errors.Is(err, runtime.ErrInput) || e.Format != "RecordIO" || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v\nwant an error with %q", c.name, in, err, c.err)
		}
	}
	if _, err := (codec.RecordIO{}).Decode(nil, &codec.Request{Want: one}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

func TestWhatNoRecordHoldsIsNotAcceptable(t *testing.T) {
	for _, c := range []struct {
		name   string
		out    []runtime.Tensor
		params map[string]string
		err    string
	}{
		{"a sequence", []runtime.Tensor{{Name: "y", Data: []runtime.Map{}}}, nil, `output "y" is a sequence`},
		{"no rows in common", []runtime.Tensor{{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{2}, Data: []float32{1, 2}}}, nil, "no common rows"},
		{"rank 0", []runtime.Tensor{{Name: "a", Data: []float32{1}}}, nil, "no common rows"},
		{"an integer beyond 2^53", []runtime.Tensor{{Name: "y", Shape: []int{2}, Data: []int64{0, 1<<53 + 1}}}, nil, "9007199254740993"},
		{"another as", []runtime.Tensor{{Name: "y", Shape: []int{1}, Data: []float32{1}}}, map[string]string{"as": "rows"}, `as="rows"`},
	} {
		body, err := codec.RecordIO{}.Encode(nil, c.out, &codec.Reply{Params: c.params})
		if !errors.Is(err, codec.ErrNotAcceptable) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want an error with %q", c.name, body, err, c.err)
		}
	}
}

// A label that float32 would change keeps its value.
func TestALabelIsNeverRounded(t *testing.T) {
	out := []runtime.Tensor{{Name: "label", Shape: []int{1}, Data: []int64{1<<24 + 1}}, {Name: "p", Shape: []int{1, 1}, Data: []float32{1}}}
	body, err := codec.RecordIO{}.Encode(nil, out, &codec.Reply{Infos: []runtime.Info{{}, {Labels: []string{"a"}}}})
	if err != nil || !bytes.Contains(body, runtime.Bytes([]float64{1<<24 + 1})) {
		t.Errorf("%x, %v", body, err)
	}
}

func FuzzRecordIO(f *testing.F) {
	for _, c := range cases(f, "recordio") {
		f.Add(c.Body, uint8(0))
		f.Add(c.Body, uint8(1))
	}
	f.Add(frame(feature("values", 2, float32s(1), varints(2, 1<<31))), uint8(2))
	shapes := [][]runtime.Info{
		nil,
		{{Name: "x", DType: runtime.Float32, Shape: []int{-1, 4}}},
		{{Name: "x", DType: runtime.Int64, Shape: []int{-1, -1}}},
		{{Name: "job", DType: runtime.String, Shape: []int{-1, 1}}, {Name: "age", DType: runtime.Float64, Shape: []int{-1, 1}}},
		{{Name: "x", DType: runtime.Bool, Unranked: true}},
	}
	f.Fuzz(func(t *testing.T, body []byte, n uint8) {
		if len(body) > 1<<16 {
			return
		}
		want := shapes[int(n)%len(shapes)]
		in, err := codec.RecordIO{}.Decode(body, &codec.Request{Want: want})
		if err != nil {
			return
		}
		for i := range in {
			if err := in[i].Check(); err != nil {
				t.Fatal(err)
			}
			if size := len(runtime.Bytes(in[i].Data)); size > 64<<20+20*len(body) {
				t.Fatalf("%d bytes became %d", len(body), size)
			}
		}
		again, err := codec.RecordIO{}.Encode(nil, in, &codec.Reply{Params: map[string]string{"as": "features"}})
		if err != nil {
			if errors.Is(err, codec.ErrNotAcceptable) { // int64 beyond float64
				return
			}
			t.Fatal(err)
		}
		if len(again) == 0 {
			return
		}
		infos := make([]runtime.Info, len(in))
		for i := range in {
			infos[i] = runtime.Info{Name: in[i].Name, DType: in[i].DType(), Shape: slices.Repeat([]int{-1}, len(in[i].Shape))}
		}
		back, err := codec.RecordIO{}.Decode(again, &codec.Request{Want: infos})
		if err != nil {
			t.Fatalf("%x: %v", again, err)
		}
		for i := range in {
			if !sameTensor(back[i], in[i]) {
				t.Fatalf("%v came back as %v", in[i], back[i])
			}
		}
	})
}
