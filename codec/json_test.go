package codec_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// show writes tensors as a test reads them: x float32[2 4] [1 2 3 4].
func show(ts []runtime.Tensor) string {
	var parts []string
	for _, t := range ts {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %v%v %v", t.Name, t.DType(), t.Shape, t.Data)))
	}
	return strings.Join(parts, "; ")
}

func input(name string, d runtime.DType, shape ...int) runtime.Info {
	return runtime.Info{Name: name, DType: d, Shape: shape}
}

// The models that the bodies of these tests are for.
var models = map[string][]runtime.Info{
	"iris":    {input("x", runtime.Float32, -1, 4)},
	"mixed":   {input("age", runtime.Float32, -1, 1), input("job", runtime.String, -1, 1)},
	"vector":  {input("v", runtime.Int64, -1)},
	"scalar":  {input("s", runtime.Float64)},
	"image":   {input("img", runtime.Uint8, -1, 1, 2, 2)},
	"fixed":   {input("x", runtime.Float32, 2, 3)},
	"nobatch": {input("x", runtime.Float32, 3)},
	"text":    {input("t", runtime.String, -1)},
	"flags":   {input("b", runtime.Bool, -1)},
	"half":    {input("h", runtime.Float16, -1)},
	"pair":    {input("a", runtime.Float32, -1, 2), input("b", runtime.Int64, -1)},
	"none":    {},
	"any":     nil,
}

func TestJSONIsReadInEveryDialect(t *testing.T) {
	cases := []struct {
		name, model, body, want string
		dialect                 codec.Dialect
	}{
		{"rows of the only input", "iris", `{"instances":[[1,2,3,4],[5,6,7,8.5]]}`, "x float32[2 4] [1 2 3 4 5 6 7 8.5]", codec.Rows},
		{"a reply in rows", "iris", `{"predictions":[[1,2,3,4]]}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"a reply in columns", "pair", `{"outputs":{"b":[3],"a":[[1,2]]}}`, "a float32[1 2] [1 2]; b int64[1] [3]", codec.Columns},
		{"a reply in columns of the only output", "iris", `{"outputs":[[1,2,3,4]]}`, "x float32[1 4] [1 2 3 4]", codec.Columns},
		{"a reply of KServe V2", "iris", `{"id":"i","model_name":"m","outputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, "x float32[1 4] [1 2 3 4]", codec.V2},
		{"white space anywhere", "iris", " { \"instances\" :\r\n [ [ 1 , 2\t, 3 , 4 ] ] } \n", "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"a byte order mark", "iris", "\ufeff[[1,2,3,4]]", "x float32[1 4] [1 2 3 4]", codec.Bare},
		{"scalars as rows", "vector", `{"instances":[1,2,3]}`, "v int64[3] [1 2 3]", codec.Rows},
		{"scalars as rows of one element", "mixed", `{"instances":[{"age":1,"job":"a"}]}`, "age float32[1 1] [1]; job string[1 1] [a]", codec.Rows},
		{"rows by name in any order", "mixed", `{"instances":[{"age":39,"job":"x"},{"job":"y","age":1}]}`, "age float32[2 1] [39 1]; job string[2 1] [x y]", codec.Rows},
		{"rows by name with lists", "mixed", `{"instances":[{"age":[39],"job":["x"]}]}`, "age float32[1 1] [39]; job string[1 1] [x]", codec.Rows},
		{"an escaped name", "iris", `{"instances":[{"\u0078":[1,2,3,4]}]}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"rows as lists with a value for each input", "mixed", `{"instances":[[39,"x"],[1,"y"]]}`, "age float32[2 1] [39 1]; job string[2 1] [x y]", codec.Rows},
		{"rows as lists of lists", "pair", `{"instances":[[[1,2],3],[[4,5],6]]}`, "a float32[2 2] [1 2 4 5]; b int64[2] [3 6]", codec.Rows},
		{"features", "iris", `{"instances":[{"features":[1,2,3,4]}]}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"features in their other forms", "iris", `{"instances":[{"data":{"features":{"values":[1,2,3,4]}}},{"data":{"features":[5,6,7,8]}},{"features":{"values":[9,10,11,12]}}],"configuration":{}}`, "x float32[3 4] [1 2 3 4 5 6 7 8 9 10 11 12]", codec.Rows},
		{"features for many inputs", "mixed", `{"instances":[{"features":[39,"x"]}]}`, "age float32[1 1] [39]; job string[1 1] [x]", codec.Rows},
		{"features of an image", "image", `{"instances":[{"features":[1,2,3,4]},{"features":[5,6,7,8]}]}`, "img uint8[2 1 2 2] [1 2 3 4 5 6 7 8]", codec.Rows},
		{"features without a list of rows", "iris", `{"features":[1,2,3,4]}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"data with features", "iris", `{"data":{"features":{"values":[1,2,3,4]}}}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"no rows", "iris", `{"instances":[]}`, "x float32[0 4] []", codec.Rows},
		{"no rows for many", "mixed", `{"instances":[]}`, "age float32[0 1] []; job string[0 1] []", codec.Rows},
		{"a key that says nothing", "iris", `{"signature_name":"serving_default","instances":[[1,2,3,4]],"x":{"y":[null,true,"\ud83d\ude00",-1.5e3]}}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"one row for a model without rows", "nobatch", `{"instances":[[1,2,3]]}`, "x float32[3] [1 2 3]", codec.Rows},

		{"a bare list of rows", "iris", `[[1,2,3,4],[5,6,7,8]]`, "x float32[2 4] [1 2 3 4 5 6 7 8]", codec.Bare},
		{"a bare row", "iris", `[1,2,3,4]`, "x float32[1 4] [1 2 3 4]", codec.Bare},
		{"a bare row of an image", "image", `[[[1,2],[3,4]]]`, "img uint8[1 1 2 2] [1 2 3 4]", codec.Bare},
		{"a bare number", "scalar", `2.5`, "s float64[] [2.5]", codec.Bare},
		{"a bare number as a row", "vector", `7`, "v int64[1] [7]", codec.Bare},
		{"a bare string", "text", `"hello"`, "t string[1] [hello]", codec.Bare},
		{"bare objects", "mixed", `[{"age":39,"job":"x"}]`, "age float32[1 1] [39]; job string[1 1] [x]", codec.Bare},
		{"bare rows for many", "mixed", `[[39,"x"],[40,"y"]]`, "age float32[2 1] [39 40]; job string[2 1] [x y]", codec.Bare},
		{"nothing for a model without inputs", "none", `[]`, "", codec.Bare},

		{"columns", "mixed", `{"inputs":{"job":["x","y"],"age":[[39],[1]]}}`, "age float32[2 1] [39 1]; job string[2 1] [x y]", codec.Columns},
		{"the only column without its name", "iris", `{"inputs":[[1,2,3,4]]}`, "x float32[1 4] [1 2 3 4]", codec.Columns},
		{"the only column as a row", "iris", `{"inputs":{"x":[1,2,3,4]}}`, "x float32[1 4] [1 2 3 4]", codec.Columns},
		{"a scalar by name", "scalar", `{"inputs":{"s":1}}`, "s float64[] [1]", codec.Columns},
		{"no columns", "none", `{"inputs":{}}`, "", codec.Columns},
		{"an empty list for a model with an input", "iris", `{"inputs":[]}`, "x float32[0 4] []", codec.Columns},

		{"KServe V2", "iris", `{"inputs":[{"name":"x","shape":[2,4],"datatype":"FP32","data":[1,2,3,4,5,6,7,8]}]}`, "x float32[2 4] [1 2 3 4 5 6 7 8]", codec.V2},
		{"V2 with its members in another order", "iris", `{"id":null,"inputs":[{"data":[[1,2,3,4]],"parameters":{"a":[1]},"shape":[1,4],"datatype":"FP64","name":"x"}]}`, "x float32[1 4] [1 2 3 4]", codec.V2},
		{"V2 with another type", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"INT64","data":[1,2,3,4]}]}`, "x float32[1 4] [1 2 3 4]", codec.V2},
		{"V2 floats for integers", "vector", `{"inputs":[{"name":"v","shape":[2],"datatype":"FP32","data":[1.0,2e3]}]}`, "v int64[2] [1 2000]", codec.V2},
		{"V2 with two inputs", "mixed", `{"inputs":[{"name":"job","shape":[1,1],"datatype":"BYTES","data":["x"]},{"name":"age","shape":[1,1],"datatype":"UINT8","data":[3]}]}`, "age float32[1 1] [3]; job string[1 1] [x]", codec.V2},
		{"V2 halves", "half", `{"inputs":[{"name":"h","shape":[2],"datatype":"FP16","data":[1,"-Infinity"]}]}`, "h float16[2] [15360 64512]", codec.V2},
		{"V2 bools", "flags", `{"inputs":[{"name":"b","shape":[3],"datatype":"BOOL","data":[true,false,1]}]}`, "b bool[3] [true false true]", codec.V2},
		{"V2 without rows", "iris", `{"inputs":[{"name":"x","shape":[0,4],"datatype":"FP32","data":[]}]}`, "x float32[0 4] []", codec.V2},
		{"V2 of rank 0", "scalar", `{"inputs":[{"name":"s","shape":[],"datatype":"FP64","data":[1]}]}`, "s float64[] [1]", codec.V2},
		{"V2 for a model without inputs", "none", `{"inputs":[]}`, "", codec.V2},

		{"pandas split", "iris", `{"columns":["a","b","c","d"],"index":[0,1],"data":[[1,2,3,4],[5,6,7,8]]}`, "x float32[2 4] [1 2 3 4 5 6 7 8]", codec.Rows},
		{"data before columns", "iris", `{"data":[[1,2,3,4]],"columns":[0,1,2,3]}`, "x float32[1 4] [1 2 3 4]", codec.Rows},
		{"columns by name", "mixed", `{"dataframe_split":{"index":[0],"columns":["job","age"],"data":[["x",39],["y",40]]}}`, "age float32[2 1] [39 40]; job string[2 1] [x y]", codec.Rows},
		{"columns by name after the data", "mixed", `{"dataframe_split":{"data":[["x",39]],"columns":["job","age"]},"other":1}`, "age float32[1 1] [39]; job string[1 1] [x]", codec.Rows},
		{"one column by name", "vector", `{"columns":["v"],"data":[[1],[2]]}`, "v int64[2] [1 2]", codec.Rows},
		{"columns of an image", "image", `{"columns":["p","q","r","s"],"data":[[1,2,3,4]]}`, "img uint8[1 1 2 2] [1 2 3 4]", codec.Rows},
		{"a frame without rows", "iris", `{"columns":["a","b","c","d"],"data":[]}`, "x float32[0 4] []", codec.Rows},
		{"records", "mixed", `{"dataframe_records":[{"age":1,"job":"x"}]}`, "age float32[1 1] [1]; job string[1 1] [x]", codec.Rows},

		{"integers without a model", "any", `[[1,2],[3,4]]`, "int64[2 2] [1 2 3 4]", codec.Bare},
		{"numbers without a model", "any", `[1,2.5,"NaN"]`, "float64[3] [1 2.5 NaN]", codec.Bare},
		{"a later number without a point", "any", `{"instances":[{"a":1,"b":"x"},{"a":2.5,"b":"y"}]}`, "a float64[2] [1 2.5]; b string[2] [x y]", codec.Rows},
		{"a float that looks whole", "any", `[1.0,2.0]`, "float64[2] [1 2]", codec.Bare},
		{"bools without a model", "any", `{"inputs":{"f":[true,false]}}`, "f bool[2] [true false]", codec.Columns},
		{"strings without a model", "any", `["NaN","x"]`, "string[2] [NaN x]", codec.Bare},
		{"V2 without a model", "any", `{"inputs":[{"name":"p","shape":[1,2],"datatype":"UINT8","data":[1,2]}]}`, "p uint8[1 2] [1 2]", codec.V2},
		{"a frame without a model", "any", `{"columns":["a","b"],"data":[[1,"x"],[2.5,"y"]]}`, "a float64[2] [1 2.5]; b string[2] [x y]", codec.Rows},
		{"features without a model", "any", `{"instances":[{"features":[1,2]}]}`, "int64[1 2] [1 2]", codec.Rows},
		{"nothing to tell the type by", "any", `[]`, "float64[0] []", codec.Bare},
	}
	for _, c := range cases {
		req := codec.Request{Want: models[c.model]}
		got, err := codec.JSON{}.Decode([]byte(c.body), &req)
		if err != nil {
			t.Errorf("%s: %s: %v", c.name, c.body, err)
			continue
		}
		if s := show(got); s != c.want || req.Found.Dialect != c.dialect {
			t.Errorf("%s: %s\n  is %s in dialect %d,\nwant %s in dialect %d", c.name, c.body, s, req.Found.Dialect, c.want, c.dialect)
		}
		for _, x := range got {
			if err := x.Check(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestJSONFindsTheIDAndTheOutputsOfV2(t *testing.T) {
	body := `{"outputs":[{"name":"label","parameters":{"binary_data":false}},{"name":"p"}],"parameters":{},
		"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}],"id":"r\u002d1"}`
	req := codec.Request{Want: models["iris"], Found: codec.Found{ID: "left over"}}
	if _, err := (codec.JSON{}).Decode([]byte(body), &req); err != nil {
		t.Fatal(err)
	}
	want := codec.Found{Dialect: codec.V2, ID: "r-1", Outputs: []codec.Output{{Name: "label"}, {Name: "p"}}}
	if !reflect.DeepEqual(req.Found, want) {
		t.Errorf("found %+v, want %+v", req.Found, want)
	}
	// In another dialect these keys say nothing.
	if _, err := (codec.JSON{}).Decode([]byte(`{"id":7,"outputs":{},"inputs":{"x":[1,2,3,4]}}`), &req); err != nil || req.Found.ID != "" {
		t.Errorf("found %+v, %v", req.Found, err)
	}
}

func TestJSONStringsAreUnescaped(t *testing.T) {
	cases := map[string]string{
		`"plain"`: "plain", `"caf\u00e9"`: "café", `"\ud83d\ude00"`: "😀", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t",
		`"日本語 and more than eight bytes"`: "日本語 and more than eight bytes", `"\u0000"`: "\x00", `"a\u0041\n"`: "aA\n", `""`: "", `"1.5"`: "1.5", `"NaN"`: "NaN",
		"\"\u007f\u2028\"": "\u007f\u2028",
	}
	for raw, want := range cases {
		got, err := codec.JSON{}.Decode([]byte(`[`+raw+`]`), &codec.Request{Want: models["text"]})
		if err != nil || got[0].Data.([]string)[0] != want {
			t.Errorf("%s = %v, %v; want %q", raw, got, err, want)
		}
	}
}

func TestJSONReadsManyInputsByName(t *testing.T) {
	var want []runtime.Info
	var members []string
	for i := range 300 {
		name := fmt.Sprintf("column %d", i)
		want = append(want, input(name, runtime.Int64, -1))
		members = append(members, fmt.Sprintf("%q:%d", name, i))
	}
	_, err := codec.JSON{}.Decode([]byte(`{"instances":[{"other":1}]}`), &codec.Request{Want: want})
	if err == nil || !strings.Contains(err.Error(), `"column 7" and 292 more`) {
		t.Errorf("an unknown name: %v", err)
	}
	slices.Reverse(members)
	body := `{"instances":[{` + strings.Join(members, ",") + `}]}`
	for _, infos := range [][]runtime.Info{want, nil} {
		got, err := codec.JSON{}.Decode([]byte(body), &codec.Request{Want: infos})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range got {
			if s := fmt.Sprintf("column %d", x.Data.([]int64)[0]); s != x.Name {
				t.Fatalf("%s holds %v", x.Name, x.Data)
			}
		}
	}
}

func TestAnEmptyBodyIsErrEmpty(t *testing.T) {
	for _, c := range []codec.Codec{codec.JSON{}, codec.JSONLines{}} {
		for _, body := range []string{"", " \r\n\t ", "\ufeff", "\n\n"} {
			if _, err := c.Decode([]byte(body), &codec.Request{Want: models["iris"]}); !errors.Is(err, codec.ErrEmpty) {
				t.Errorf("%T %q: %v", c, body, err)
			}
		}
	}
}
