package codec_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

const v2BinaryType = "application/vnd.sagemaker-triton.binary+json"

var v2Datatypes = map[string]runtime.DType{
	"BOOL": runtime.Bool, "UINT8": runtime.Uint8, "UINT16": runtime.Uint16, "UINT32": runtime.Uint32, "UINT64": runtime.Uint64,
	"INT8": runtime.Int8, "INT16": runtime.Int16, "INT32": runtime.Int32, "INT64": runtime.Int64,
	"FP16": runtime.Float16, "BF16": runtime.BFloat16, "FP32": runtime.Float32, "FP64": runtime.Float64, "BYTES": runtime.String,
}

// decodeV2 reads JSON with tail behind it.
func decodeV2(header, tail string, want []runtime.Info) ([]runtime.Tensor, codec.Found, error) {
	r := codec.Request{Want: want, Params: map[string]string{"json-header-size": strconv.Itoa(len(header))}}
	ts, err := codec.V2Binary{}.Decode([]byte(header+tail), &r)
	return ts, r.Found, err
}

// The vectors were made by Triton's client: testdata/v2binary/generate.py.
func TestV2BinaryReadsWhatTritonsClientWrites(t *testing.T) {
	text, err := os.ReadFile("testdata/v2binary/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Size    *int `json:"json_header_size"` // null: the body is JSON alone
		Body    []byte
		Tensors []struct {
			Name, Datatype, Data string
			Shape                []int
			Strings              []string
		}
		Outputs [][2]any
		ID      string
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) < 20 {
		t.Fatalf("%d vectors (%v)", len(vectors), err)
	}
	for i, v := range vectors {
		var c codec.Codec = codec.JSON{}
		r := codec.Request{}
		if v.Size != nil {
			c, r.Params = codec.V2Binary{}, map[string]string{"json-header-size": strconv.Itoa(*v.Size)}
		}
		found := codec.Found{Dialect: codec.V2, ID: v.ID, Binary: v.Outputs == nil}
		for _, o := range v.Outputs {
			found.Outputs = append(found.Outputs, codec.Output{Name: o[0].(string), Binary: o[1].(bool)})
		}
		var want []runtime.Tensor
		for _, w := range v.Tensors {
			d := v2Datatypes[w.Datatype]
			r.Want = append(r.Want, runtime.Info{Name: w.Name, DType: d, Shape: make([]int, len(w.Shape))})
			for j := range w.Shape {
				r.Want[len(r.Want)-1].Shape[j] = -1
			}
			raw, err := hex.DecodeString(w.Data)
			if err != nil {
				t.Fatal(err)
			}
			data := runtime.Make(d, len(w.Strings))
			if d != runtime.String {
				data = runtime.Make(d, len(raw)/d.Size())
				copy(runtime.Bytes(data), raw)
			}
			for j, s := range w.Strings {
				b, err := base64.StdEncoding.DecodeString(s)
				if err != nil {
					t.Fatal(err)
				}
				data.([]string)[j] = string(b)
			}
			want = append(want, runtime.Tensor{Name: w.Name, Shape: w.Shape, Data: data})
		}
		for _, infer := range []bool{false, true} {
			if infer {
				r.Want = nil
			}
			got, err := c.Decode(v.Body, &r)
			if err != nil || !sameTensors(got, want) || !reflect.DeepEqual(r.Found, found) {
				t.Errorf("vector %d: %v %+v (%v)\nwant %v %+v", i, got, r.Found, err, want, found)
			}
		}
	}
}

// sameTensors compares bit for bit.
func sameTensors(a, b []runtime.Tensor) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].DType() != b[i].DType() || fmt.Sprint(a[i].Shape) != fmt.Sprint(b[i].Shape) ||
			!bytes.Equal(runtime.Bytes(a[i].Data), runtime.Bytes(b[i].Data)) {
			return false
		}
		if s, ok := a[i].Data.([]string); ok && !reflect.DeepEqual(s, b[i].Data) && len(s) > 0 {
			return false
		}
	}
	return true
}

func TestV2BinaryIsConvertedToTheModelsType(t *testing.T) {
	got, _, err := decodeV2(`{"inputs":[{"name":"x","shape":[2],"datatype":"INT32","parameters":{"binary_data_size":8}}]}`,
		"\x01\x00\x00\x00\xfe\xff\xff\xff", []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1}}})
	if err != nil || !reflect.DeepEqual(got[0].Data, []float32{1, -2}) {
		t.Errorf("%v (%v)", got, err)
	}
}

func TestAlignedV2BinaryIsNotCopied(t *testing.T) {
	header := `{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}`
	header += strings.Repeat(" ", 8-len(header)%8)
	body := []byte(header + "\x00\x00\x80\x3f\x00\x00\x00\x40")
	r := codec.Request{Params: map[string]string{"json-header-size": strconv.Itoa(len(header))}}
	got, err := codec.V2Binary{}.Decode(body, &r)
	if err != nil {
		t.Fatal(err)
	}
	copy(body[len(header):], "\x00\x00\x40\x40")
	if x := got[0].Data.([]float32); x[0] != 3 || x[1] != 2 {
		t.Errorf("%v is not the body's memory", x)
	}
}

func TestWrongV2BinaryIsRefused(t *testing.T) {
	input := func(name, datatype, shape string, size any) string {
		return fmt.Sprintf(`{"name":%q,"datatype":%q,"shape":%s,"parameters":{"binary_data_size":%v}}`, name, datatype, shape, size)
	}
	x := input("x", "FP32", "[2]", 8)
	want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1}}}
	text := []runtime.Info{{Name: "x", DType: runtime.String, Shape: []int{-1}}}
	flag := []runtime.Info{{Name: "x", DType: runtime.Bool, Shape: []int{-1}}}
	for _, c := range []struct {
		header, tail string
		want         []runtime.Info
		says         string
	}{
		{`{"inputs":[` + x + `]}`, "1234567", want, "inputs[0].binary_data_size: 8 bytes, and 7 are left behind the JSON"},
		{`{"inputs":[` + x + `]}`, "123456789", want, "1 bytes of binary data that no input claims follow"},
		{`{"inputs":[` + input("x", "FP32", "[3]", 8) + `]}`, "12345678", want, "float32 of shape [3]: 8 bytes where 3 elements of 4 bytes are wanted"},
		{`{"inputs":[` + input("x", "FP32", "[1000000000]", 8) + `]}`, "12345678", want, "8 bytes where 1000000000 elements"},
		{`{"inputs":[` + input("x", "FP32", "[4611686018427387904,4]", 8) + `]}`, "12345678", want, "more elements than an int counts"},
		{`{"inputs":[` + input("x", "FP32", "[2]", 7) + `]}`, "1234567", want, "7 bytes where 2 elements"},
		{`{"inputs":[` + input("x", "FP32", "[2]", -8) + `]}`, "12345678", want, "-8 where a number of bytes is wanted"},
		{`{"inputs":[` + input("x", "FP32", "[2]", "8.5") + `]}`, "12345678", want, "8.5 where a number of bytes is wanted"},
		{`{"inputs":[` + input("x", "FP32", "[2]", `"8"`) + `]}`, "12345678", want, `"8" where a number of bytes is wanted`},
		{`{"inputs":[` + input("x", "FP32", "[2]", `8,"binary_data_size":8`) + `]}`, "12345678", want, "it is given twice"},
		{`{"inputs":[` + input("x", "FP32", "[2]", 1<<40) + `]}`, "12345678", want, "1099511627776 bytes, and 8 are left"},
		{`{"inputs":[` + input("y", "FP32", "[2]", 8) + `]}`, "12345678", want, `no input is called "y"`},
		{`{"inputs":[` + x + "," + x + `]}`, "1234567812345678", want, `input "x" is given twice`},
		{`{"inputs":[{"data":[1,2],` + x[1:] + `]}`, "12345678", want, `both "data" and "binary_data_size" are given`},
		{`{"inputs":[{"name":"x","shape":[2],"datatype":"FP32"}]}`, "12345678", want, `"data" is missing, or "parameters" with the "binary_data_size"`},
		{`{"inputs":[` + input("x", "BOOL", "[3]", 3) + `]}`, "\x00\x01\x02", flag, "element 2 is 2, and a bool is 0 or 1"},
		{`{"inputs":[` + input("x", "BYTES", "[2]", 8) + `]}`, "\x01\x00\x00\x00a\x01\x00\x00", text, "the data ends where the length of element 1 is wanted"},
		{`{"inputs":[` + input("x", "BYTES", "[2]", 9) + `]}`, "\x01\x00\x00\x00a\xff\xff\xff\xff", text, "element 1 has 4294967295 bytes, and 0 are left"},
		{`{"inputs":[` + input("x", "BYTES", "[1]", 6) + `]}`, "\x01\x00\x00\x00ab", text, "1 bytes follow the last of 1 elements"},
		{`{"inputs":[` + input("x", "BYTES", "[1000000000]", 4) + `]}`, "\x00\x00\x00\x00", text, "4 bytes cannot hold 1000000000 elements"},
		{`{"inputs":[` + input("x", "BYTES", "[1]", 4) + `]}`, "\x00\x00\x00\x00", want, "string into the model's float32"},
		{`{"inputs":[` + input("x", "INT64", "[1]", 8) + `]}`, "\xff\xff\xff\xff\xff\xff\xff\x7f", want, "int64 into the model's float32: element 0"},
		{`{"inputs":[` + x + `],"parameters":{"binary_data_output":1}}`, "12345678", want, "parameters: binary_data_output is 1, and true or false is wanted"},
		{`{"inputs":[` + x + `],"outputs":[{"name":"y","parameters":{"binary_data":"yes"}}]}`, "12345678", want, `outputs[0]: binary_data is "yes", and true or false is wanted`},
		{`{"instances":[1,2]}`, "12345678", want, "8 bytes of binary data that no input claims follow"},
		{`{"inputs":[` + x, "12345678", want, "it ends where"},
		{" ", "12345678", want, "JSON"},
	} {
		got, _, err := decodeV2(c.header, c.tail, c.want)
		var e *codec.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%v), want an error that says %q", c.header, got, err, c.says)
		}
	}
	for size, says := range map[string]string{
		"": "is how many bytes of JSON", "x": "is how many bytes of JSON", "-1": "is how many bytes of JSON", "0": "is how many bytes of JSON", "+5": "is how many bytes",
		"1e2": "is how many bytes", "99999999999999999999": "is how many bytes", "3": "json-header-size is 3, and the body has 2 bytes", "missing": "the parameter json-header-size of the media type is missing",
	} {
		r := codec.Request{Params: map[string]string{"json-header-size": size}}
		if size == "missing" {
			r.Params = nil
		}
		_, err := codec.V2Binary{}.Decode([]byte("[]"), &r)
		var e *codec.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), says) {
			t.Errorf("json-header-size=%s: %v, want an error that says %q", size, err, says)
		}
	}
	if _, err := (codec.V2Binary{}).Decode(nil, &codec.Request{}); !errors.Is(err, codec.ErrEmpty) {
		t.Errorf("an empty body: %v", err)
	}
}

func TestTheReplyIsBinaryWhereTheRequestSaysSo(t *testing.T) {
	out := []runtime.Tensor{{Name: "y", Shape: []int{2}, Data: []float32{1, 2}}, {Name: "s", Shape: []int{2, 1}, Data: []string{"a", ""}}, {Name: "n", Shape: []int{}, Data: []int64{7}}}
	const floats, texts = "\x00\x00\x80\x3f\x00\x00\x00\x40", "\x01\x00\x00\x00a\x00\x00\x00\x00"
	const y, s, n = `{"name":"y","datatype":"FP32","shape":[2],`, `{"name":"s","datatype":"BYTES","shape":[2,1],`, `{"name":"n","datatype":"INT64","shape":[],`
	sized := func(head string, size int) string {
		return fmt.Sprintf(`%s"parameters":{"binary_data_size":%d}}`, head, size)
	}
	for _, c := range []struct {
		name       string
		codec      codec.Codec
		found      codec.Found
		json, tail string
	}{
		{"nothing", codec.JSON{}, codec.Found{}, y + `"data":[1,2]},` + s + `"data":["a",""]},` + n + `"data":[7]}`, ""},
		{"all", codec.JSON{}, codec.Found{Binary: true}, sized(y, 8) + "," + sized(s, 9) + "," + sized(n, 8), floats + texts + "\x07\x00\x00\x00\x00\x00\x00\x00"},
		{"one", codec.JSON{}, codec.Found{Outputs: []codec.Output{{Name: "s", Binary: true}}}, y + `"data":[1,2]},` + sized(s, 9) + "," + n + `"data":[7]}`, texts},
		{"all but two", codec.JSON{}, codec.Found{Binary: true, Outputs: []codec.Output{{Name: "s"}, {Name: "n"}}}, sized(y, 8) + "," + s + `"data":["a",""]},` + n + `"data":[7]}`, floats},
		{"accepted", codec.V2Binary{}, codec.Found{Dialect: codec.Bare}, sized(y, 8) + "," + sized(s, 9) + "," + sized(n, 8), floats + texts + "\x07\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if c.found.Dialect != codec.Bare {
			c.found.Dialect = codec.V2
		}
		r := codec.Reply{Found: c.found, Model: "m"}
		got, err := c.codec.Encode([]byte(">"), out, &r)
		header := `{"model_name":"m","outputs":[` + c.json + `]}`
		contentType := ""
		if c.tail != "" {
			contentType = fmt.Sprintf("%s;json-header-size=%d", v2BinaryType, len(header))
		}
		if err != nil || string(got) != ">"+header+c.tail || r.ContentType != contentType {
			t.Errorf("%s: %q, %q (%v)\nwant %q, %q", c.name, got, r.ContentType, err, ">"+header+c.tail, contentType)
		}
	}
	_, err := codec.V2Binary{}.Encode(nil, []runtime.Tensor{{Name: "q", Data: []runtime.Map{}}}, &codec.Reply{})
	if !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("a sequence: %v", err)
	}
}

// reread makes a request of what a reply carried and decodes it.
func reread(t *testing.T, ts []runtime.Tensor) []runtime.Tensor {
	t.Helper()
	var r codec.Reply
	reply, err := codec.V2Binary{}.Encode(nil, ts, &r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := codec.ParseMediaType(r.ContentType)
	if err != nil || m.Type != v2BinaryType {
		t.Fatalf("%q: %v", r.ContentType, err)
	}
	size, err := strconv.Atoi(m.Params["json-header-size"])
	if err != nil {
		t.Fatal(err)
	}
	header := strings.Replace(string(reply[:size]), `"outputs":`, `"inputs":`, 1)
	got, _, err := decodeV2(header, string(reply[size:]), nil)
	if err != nil {
		t.Fatalf("%v in %q", err, header)
	}
	return got
}

func TestEveryTypeComesBackFromV2Binary(t *testing.T) {
	var ts []runtime.Tensor
	for name, d := range v2Datatypes {
		data := runtime.Make(d, 6)
		if raw := runtime.Bytes(data); d != runtime.Bool {
			for i := range raw {
				raw[i] = byte(200 + i)
			}
		} else {
			raw[1] = 1
		}
		ts = append(ts, runtime.Tensor{Name: name, Shape: []int{2, 3}, Data: data})
	}
	ts = append(ts, runtime.Tensor{Name: "none", Shape: []int{0, 2}, Data: []float64{}}, runtime.Tensor{Name: "texts", Shape: []int{2}, Data: []string{"\xff\x00", "ü"}})
	if got := reread(t, ts); !sameTensors(got, ts) {
		t.Errorf("%v\nwant %v", got, ts)
	}
}

func FuzzV2Binary(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}12345678`), uint16(92), false)
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}},{"name":"n","shape":[1],"datatype":"BOOL","data":[true]}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}`+"\x01\x00\x00\x00a"), uint16(205), true)
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[0],"datatype":"BF16","parameters":{"binary_data_size":0}}],"parameters":{"binary_data_output":true}}`), uint16(133), false)
	f.Fuzz(func(t *testing.T, body []byte, size uint16, infer bool) {
		r := codec.Request{Params: map[string]string{"json-header-size": strconv.Itoa(int(size))}}
		if !infer {
			r.Want = []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1}}}
		}
		got, err := codec.V2Binary{}.Decode(body, &r)
		if err != nil {
			var e *codec.Error
			if !errors.As(err, &e) && !errors.Is(err, codec.ErrEmpty) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		names := map[string]bool{}
		for i, tensor := range got {
			if err := tensor.Check(); err != nil {
				t.Fatal(err)
			}
			got[i].Name = "x" + strconv.Itoa(i)
			names[tensor.Name] = true
		}
		if len(names) != len(got) {
			t.Fatalf("names that repeat: %v", got)
		}
		if back := reread(t, got); !sameTensors(back, got) {
			t.Fatalf("%v came back as %v", got, back)
		}
	})
}

func BenchmarkV2Binary(b *testing.B) {
	for _, n := range []int{4, 150528} {
		header := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1,%d],"datatype":"FP32","parameters":{"binary_data_size":%d}}]}`, n, 4*n)
		body := append([]byte(header), make([]byte, 4*n)...)
		for i := range n {
			binary.LittleEndian.PutUint32(body[len(header)+4*i:], uint32(i))
		}
		want := []runtime.Info{{Name: "x", DType: runtime.Float32, Shape: []int{-1, n}}}
		params := map[string]string{"json-header-size": strconv.Itoa(len(header))}
		var in []runtime.Tensor
		b.Run(fmt.Sprintf("decode %d", n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if in, err = (codec.V2Binary{}).Decode(body, &codec.Request{Want: want, Params: params}); err != nil {
					b.Fatal(err)
				}
			}
		})
		var dst []byte
		b.Run(fmt.Sprintf("encode %d", n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = (codec.V2Binary{}).Encode(dst[:0], in, &codec.Reply{Model: "m"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
