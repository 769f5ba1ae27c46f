package codec_test

import (
	"bytes"
	"encoding/json"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// same compares tensors by their bits: NaN is itself.
func same(a, b []runtime.Tensor) bool {
	if show(a) != show(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(runtime.Bytes(a[i].Data), runtime.Bytes(b[i].Data)) {
			return false
		}
	}
	return true
}

// infosOf describes tensors as a model that takes just these.
func infosOf(ts []runtime.Tensor) []runtime.Info {
	infos := []runtime.Info{}
	for _, t := range ts {
		infos = append(infos, runtime.Info{Name: t.Name, DType: t.DType(), Shape: t.Shape})
	}
	return infos
}

// What JSON reads, in whichever dialect and for whichever model, is valid JSON
// and comes back from each reply that can carry names.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`[[1,2,3,4]]`, `{"instances":[{"age":39,"job":"x"}]}`, `{"inputs":{"x":[[1.5,-2e3,"NaN",0]]}}`,
		`{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}],"id":"7","outputs":[{"name":"y"}]}`,
		`{"dataframe_split":{"data":[["x",1]],"columns":["job","age"]}}`, `{"instances":[{"data":{"features":{"values":[1,2,3,4]}}}]}`,
		`["\ud83d\ude00\n",""]`, `[true,false]`, `[9007199254740993,18446744073709551615]`, `{"columns":["a"],"data":[[[]]]}`, `[[],[]]`, `[NaN,-Infinity]`,
	} {
		for i := range 11 {
			f.Add([]byte(seed), uint8(i))
		}
	}
	names := []string{"any", "iris", "mixed", "vector", "scalar", "image", "text", "flags", "half", "pair", "none"}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		req := codec.Request{Want: models[names[int(which)%len(names)]]}
		got, err := codec.JSON{}.Decode(body, &req)
		if err != nil {
			return
		}
		plain := bytes.TrimPrefix(body, []byte("\ufeff"))
		if !json.Valid(plain) && !bytes.Contains(plain, []byte("NaN")) && !bytes.Contains(plain, []byte("Infinity")) {
			t.Fatalf("%q is not JSON and was read as %s", body, show(got))
		}
		for _, x := range got {
			if err := x.Check(); err != nil {
				t.Fatal(err)
			}
		}
		for dialect, envelope := range map[codec.Dialect]string{codec.Columns: `{"outputs"`, codec.V2: `{"model_name":"","outputs"`} {
			reply, err := codec.JSON{}.Encode(nil, got, &codec.Reply{Found: codec.Found{Dialect: dialect}})
			if err != nil || !json.Valid(reply) {
				t.Fatalf("%s was written %q, %v", show(got), reply, err)
			}
			again := []byte(`{"inputs"` + strings.TrimPrefix(string(reply), envelope))
			back, err := codec.JSON{}.Decode(again, &codec.Request{Want: infosOf(got)})
			if err != nil || !same(got, back) {
				t.Fatalf("%q is %s,\nwritten %s\ncomes back as %s, %v", body, show(got), reply, show(back), err)
			}
		}
	})
}

func FuzzJSONLines(f *testing.F) {
	for _, seed := range []string{"[1,2,3,4]\n[5,6,7,8]\n", "1\r\n\r\n2", `{"age":1,"job":"a"}` + "\n" + `{"job":"b","age":2}`, `{"features":[1,2,3,4]}`, "\"a\"\n\"b\""} {
		for i := range 9 {
			f.Add([]byte(seed), uint8(i))
		}
	}
	names := []string{"any", "iris", "mixed", "vector", "image", "text", "flags", "half", "pair"}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		got, err := codec.JSONLines{}.Decode(body, &codec.Request{Want: models[names[int(which)%len(names)]]})
		if err != nil || len(got) == 0 {
			return
		}
		lines, err := codec.JSONLines{}.Encode(nil, got, &codec.Reply{Trailing: true})
		if err != nil {
			t.Fatal(err)
		}
		back, err := codec.JSONLines{}.Decode(lines, &codec.Request{Want: infosOf(got)})
		if err != nil || !same(got, back) {
			t.Fatalf("%q is %s,\nwritten %q\ncomes back as %s, %v", body, show(got), lines, show(back), err)
		}
	})
}

// No body costs more than a small multiple of its own size, whatever it claims
// and whether or not it is accepted.
func TestDecodingTakesMemoryInProportionToTheBody(t *testing.T) {
	const size = 1 << 18
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, (size-len(head)-len(tail))/len(unit)) + tail
	}
	bodies := map[string]string{
		"numbers":             fill(`{"instances":[`, `1,`, `1]}`),
		"rows":                fill(`[`, `[1,2,3,4],`, `[1,2,3,4]]`),
		"strings":             fill(`[`, `"",`, `""]`),
		"escaped strings":     fill(`[`, `"\n",`, `""]`),
		"commas in a string":  fill(`["`, `,`, `"]`),
		"commas":              fill(`[`, `,`, `]`),
		"empty lists":         fill(`[`, `[],`, `[]]`),
		"objects":             fill(`{"instances":[`, `{},`, `{}]}`),
		"unknown keys":        fill(`{`, `"a":1,`, `"instances":[]}`),
		"names":               fill(`{"inputs":{`, `"a":1,`, `"b":1}}`),
		"columns":             fill(`{"columns":[`, `"",`, `""],"data":[]}`),
		"requested outputs":   fill(`{"inputs":[],"outputs":[`, `{"name":"a"},`, `{"name":"b"}]}`),
		"a claim of elements": `{"inputs":[{"name":"x","shape":[1000000000,4],"datatype":"FP64","data":[` + fill(``, `1,`, `1]}]}`),
		"many claims":         fill(`{"inputs":[`, `{"name":"x","shape":[1000000000,4],"datatype":"INT64","data":[]},`, `{}]}`),
		"lines":               fill("", "1\n", ""),
		"object lines":        fill("", "{\"x\":1}\n", ""),
	}
	var distinct strings.Builder
	for i := 0; distinct.Len() < size; i++ {
		distinct.WriteString(`"` + string(rune('a'+i%26)) + strings.Repeat("z", i/26%40) + string(rune(0x100+i/1000)) + `":1,`)
	}
	bodies["distinct names"] = `{"inputs":{` + distinct.String() + `"last":1}}`

	for name, body := range bodies {
		for _, model := range []string{"iris", "mixed", "text", "none", "any"} {
			for _, c := range []codec.Codec{codec.JSON{}, codec.JSONLines{}} {
				var before, after goruntime.MemStats
				goruntime.ReadMemStats(&before)
				c.Decode([]byte(body), &codec.Request{Want: models[model]})
				goruntime.ReadMemStats(&after)
				// The body's own copy is one; growing by appending doubles.
				if used := after.TotalAlloc - before.TotalAlloc; used > 24*uint64(len(body)) {
					t.Errorf("%s for model %s as %v: %d bytes for a body of %d", name, model, c.MediaTypes()[0], used, len(body))
				}
			}
		}
	}
}
