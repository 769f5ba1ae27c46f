package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// Every body here is refused with an *Error that holds the words of want, and
// so tells its sender what to mend and where.
func TestBadJSONIsRefusedWithItsPlace(t *testing.T) {
	deep := strings.Repeat("[", 100000)
	cases := []struct{ name, model, body, want string }{
		{"truncated list", "iris", `[[1,2,3`, `byte 8: it ends where a comma or ]`},
		{"truncated after a comma", "iris", `[[1,2,`, `ends where a value`},
		{"truncated in a string", "text", `["abc`, `ends where the end of a string`},
		{"truncated in an escape", "text", `["abc\u00`, `a valid escape`},
		{"truncated object", "iris", `{"instances":[[1,2,3,4]]`, `ends where a comma or }`},
		{"truncated key", "iris", `{"inst`, `ends where the end of a string`},
		{"no colon", "iris", `{"instances" [1]}`, `where a colon`},
		{"no key", "iris", `{instances:[1]}`, `instances where a key in quotes`},
		{"trailing comma in a list", "iris", `[[1,2,3,4],]`, `"]" where a list`},
		{"trailing comma in a row", "iris", `[[1,2,3,4,]]`, `"]" where a value`},
		{"trailing comma in an object", "iris", `{"instances":[[1,2,3,4]],}`, `where a key in quotes`},
		{"trailing garbage", "iris", `[[1,2,3,4]] x`, `byte 13: x where the end of the body`},
		{"two values", "iris", `[[1,2,3,4]][[1,2,3,4]]`, `where the end of the body`},
		{"a NUL at the end", "iris", "[[1,2,3,4]]\x00", `where the end of the body`},
		{"no comma", "iris", `[[1 2,3,4]]`, `2 where a comma or ]`},
		{"two commas", "iris", `[[1,,2,3]]`, `"," where a value`},
		{"a bare word", "iris", `[[1,two,3,4]]`, `two where a value`},
		{"single quotes", "iris", `{'instances':[]}`, `where a key in quotes`},
		{"a comment", "iris", `[[1,2,3,4]] // rows`, `where the end of the body`},
		{"leading zero", "iris", `[[01,2,3,4]]`, `01 where a number as JSON writes it`},
		{"leading plus", "iris", `[[+1,2,3,4]]`, `+1 where a value`},
		{"leading point", "iris", `[[.5,2,3,4]]`, `.5 where a value`},
		{"trailing point", "iris", `[[5.,2,3,4]]`, `5. where a number as JSON writes it`},
		{"empty exponent", "iris", `[[1e,2,3,4]]`, `1e where a number as JSON writes it`},
		{"hexadecimal", "iris", `[[0x10,2,3,4]]`, `x10 where a comma or ]`},
		{"a lone minus", "iris", `[[-,2,3,4]]`, `- where a number as JSON writes it`},
		{"deep lists", "iris", deep, `lists nest more than 16 deep`},
		{"deep lists in a key that says nothing", "iris", `{"x":` + deep, `at most 64 deep`},
		{"deep objects", "iris", `{"x":` + strings.Repeat(`{"a":`, 100000), `at most 64 deep`},
		{"deep objects as rows", "iris", strings.Repeat(`[{"x":`, 1000), `an object where a number (float32)`},
		{"deep values", "iris", `{"instances":[{"features":` + strings.Repeat(`{"values":`, 100000), `"values" is not known here`},
		{"an invalid escape", "text", `["\x41"]`, `byte 3: \x41`},
		{"a lone surrogate", "text", `["\ud83d"]`, `a surrogate only in a pair`},
		{"a low surrogate first", "text", `["\ude00\ud83d"]`, `a surrogate only in a pair`},
		{"invalid UTF-8", "text", "[\"a\xff\"]", `byte 4`},
		{"UTF-8 cut short", "text", "[\"\xe2\x82\"]", `valid UTF-8`},
		{"a surrogate in UTF-8", "text", "[\"\xed\xa0\x80\"]", `valid UTF-8`},
		{"a control character", "text", "[\"a\nb\"]", `needs no escape`},
		{"invalid UTF-8 in a key", "iris", "{\"\xff\":1,\"instances\":[]}", `valid UTF-8`},

		{"ragged rows", "iris", `[[1,2,3,4],[5,6,7]]`, `[1]: a list of 3 where 4 are wanted`},
		{"ragged deep inside", "image", `[[[[1,2],[3,4]]],[[[1,2],[3]]]]`, `[1][0][1]: a list of 1 where 2`},
		{"a list where a number is", "iris", `[[1,[2],3,4]]`, `[0][1]: a list where a number (float32)`},
		{"a number where a list is", "iris", `[[1,2,3,4],5]`, `[1]: 5 where a list`},
		{"too few columns", "iris", `[[1,2,3]]`, `input "x": shape [1,3] where [?,4] is wanted`},
		{"too many dimensions", "iris", `[[[1,2,3,4]],[[1,2,3,4]]]`, `shape [2,1,4] where [?,4]`},
		{"the wrong fixed rows", "fixed", `[[1,2,3]]`, `shape [1,3] where [2,3]`},
		{"a row that is not in a list", "iris", `{"instances":[1,2,3,4]}`, `shape [4] where [?,4] is wanted; a row is a list in the list of rows`},
		{"an object as a number", "iris", `[[1,{"a":2},3,4]]`, `[0][1]: an object where a number (float32)`},
		{"a string as a number", "iris", `[[1,"2",3,4]]`, `[0][1]: "2" where a number (float32)`},
		{"a bool as a number", "iris", `[[1,true,3,4]]`, `[0][1]: true where a number (float32)`},
		{"null", "iris", `[[1,null,3,4]]`, `a missing number is "NaN"`},
		{"null as a string", "text", `[null]`, `an empty one is ""`},
		{"a number as a string", "text", `["a",5]`, `[1]: 5 is not a string, and string is wanted; quote it`},
		{"a bool as a string", "text", `[true]`, `true is not a string`},
		{"a string as a bool", "flags", `["true"]`, `"true" where a bool`},
		{"2 as a bool", "flags", `[0,2]`, `[1]: 2 is not a bool`},
		{"a fraction as an integer", "vector", `[1,1.5]`, `[1]: 1.5 is not a whole number, and int64`},
		{"too large for an integer", "vector", `[9223372036854775808]`, `outside the range of int64, -9223372036854775808 to 9223372036854775807`},
		{"too large for a byte", "image", `{"instances":[[[[1,2],[3,256]]]]}`, `instances[0][0][1][1]: 256 is outside the range of uint8, 0 to 255`},
		{"negative for a byte", "image", `[[[[-1,2],[3,4]]]]`, `-1 is outside the range of uint8`},
		{"too large for a float", "iris", `[[1,2,3,1e39]]`, `[0][3]: 1e39 is outside the range of float32`},
		{"an endless exponent", "iris", `[[1,2,3,1e999999999999999999999]]`, `outside the range of float32`},
		{"too large for a half", "half", `[70000]`, `outside the range of float16, -65504 to 65504`},
		{"an identifier as a float", "iris", `[[1,2,3,9007199254740993]]`, `write it with a decimal point`},
		{"NaN as an integer", "vector", `["NaN"]`, `"NaN" cannot be int64`},
		{"a bare NaN as an integer", "vector", `[NaN]`, `NaN cannot be int64`},
		{"another spelling of NaN", "iris", `[[1,2,3,"nan"]]`, `"nan" where a number`},

		{"an unknown envelope", "iris", `{"rows":[[1,2,3,4]]}`, `an object with "instances", "inputs" or "dataframe_split" is wanted; it has "rows"`},
		{"an empty object", "iris", `{}`, `an object with "instances"`},
		{"instances and inputs", "iris", `{"instances":[[1,2,3,4]],"inputs":{}}`, `both "instances" and "inputs"`},
		{"instances twice", "iris", `{"instances":[[1,2,3,4]],"instances":[]}`, `"instances" is given twice`},
		{"instances that are no list", "iris", `{"instances":{"x":[1,2,3,4]}}`, `where '[' is wanted`},
		{"an unknown input", "iris", `{"instances":[{"x":[1,2,3,4]},{"y":[1]}]}`, `instances[1]: no input is called "y"; the inputs are "x"`},
		{"a missing input", "mixed", `{"instances":[{"age":1,"job":"a"},{"age":1}]}`, `instances[1]: input "job" is missing`},
		{"an input twice in a row", "mixed", `{"instances":[{"age":1,"job":"a","age":2}]}`, `instances[0].age: input "age" is given twice`},
		{"a scalar row for many inputs", "mixed", `{"instances":[5]}`, `instances[0]: 5 where a row is wanted`},
		{"a short row for many inputs", "mixed", `{"instances":[[5]]}`, `a row of 1 values where 2`},
		{"a long row for many inputs", "mixed", `{"instances":[[5,"a",1]]}`, `a row of more than 2 values`},
		{"a row's value for the wrong input", "mixed", `{"instances":[["a",5]]}`, `instances[0].age: "a" where a number`},
		{"inputs of different rank in two rows", "mixed", `{"instances":[{"age":1,"job":"a"},{"age":[1],"job":"a"}]}`, `instances[1].age: a list where a number`},
		{"features twice", "iris", `{"instances":[{"features":[1,2,3,4],"data":{"features":[1,2,3,4]}}]}`, `features twice`},
		{"sparse features", "iris", `{"instances":[{"data":{"features":{"keys":[0],"shape":[4],"values":[1]}}}]}`, `instances[0].data.features: sparse features`},
		{"a column missing", "mixed", `{"inputs":{"age":[1]}}`, `inputs: input "job" is missing`},
		{"a column unknown", "mixed", `{"inputs":{"age":[1],"job":["a"],"c":[1]}}`, `inputs: no input is called "c"`},
		{"a column twice", "mixed", `{"inputs":{"age":[1],"age":[2]}}`, `inputs.age: input "age" is given twice`},
		{"a value in a column", "mixed", `{"inputs":{"age":[1,"x"],"job":["a"]}}`, `inputs.age[1]: "x" where a number`},
		{"columns without names for many", "mixed", `{"inputs":[[1,2]]}`, `give each by its name: "age", "job"`},
		{"a bare number for many", "mixed", `5`, `give each by its name`},

		{"V2 without a name", "iris", `{"inputs":[{"shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `inputs[0]: "name" is missing`},
		{"V2 without a type", "iris", `{"inputs":[{"name":"x","shape":[1,4],"data":[1,2,3,4]}]}`, `"datatype" is missing`},
		{"V2 without a shape", "iris", `{"inputs":[{"name":"x","datatype":"FP32","data":[1,2,3,4]}]}`, `"shape" is missing`},
		{"V2 without data", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}]}`, `"data" is missing; JSON carries`},
		{"V2 with an unknown type", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FLOAT","data":[1,2,3,4]}]}`, `inputs[0].datatype: "FLOAT" is no data type`},
		{"V2 with an unknown name", "iris", `{"inputs":[{"name":"y","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `no input is called "y"`},
		{"V2 with an input twice", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]},{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `inputs[1].data: input "x" is given twice`},
		{"V2 with a member twice", "iris", `{"inputs":[{"name":"x","name":"x"}]}`, `"name" is given twice`},
		{"V2 with an input missing", "mixed", `{"inputs":[{"name":"age","shape":[1,1],"datatype":"FP32","data":[1]}]}`, `input "job" is missing`},
		{"V2 with a shape of a model's other rank", "iris", `{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}]}`, `shape [2,2] where [?,4]`},
		{"V2 with too little data", "iris", `{"inputs":[{"name":"x","shape":[2,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `4 values of shape [4] where the shape [2,4] wants 8`},
		{"V2 with a huge shape", "iris", `{"inputs":[{"name":"x","shape":[1000000000000,4],"datatype":"INT64","data":[1,2,3,4]}]}`, `wants 4000000000000`},
		{"V2 with an impossible shape", "iris", `{"inputs":[{"name":"x","shape":[9223372036854775807,9223372036854775807],"datatype":"FP32","data":[1]}]}`, `more elements than an int counts`},
		{"V2 with a negative dimension", "iris", `{"inputs":[{"name":"x","shape":[-1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `-1 where a dimension`},
		{"V2 with many dimensions", "iris", `{"inputs":[{"name":"x","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"datatype":"FP32","data":[1]}]}`, `more than 16 dimensions`},
		{"V2 nested against its shape", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[[1,2],[3,4]]}]}`, `4 values of shape [2,2]`},
		{"V2 strings for numbers", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"BYTES","data":["1","2","3","4"]}]}`, `string where float32`},
		{"V2 numbers for strings", "text", `{"inputs":[{"name":"t","shape":[1],"datatype":"INT64","data":[1]}]}`, `int64 where string`},
		{"V2 bools for numbers", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"BOOL","data":[true,true,true,true]}]}`, `bool where float32`},
		{"V2 data beyond its own type", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"INT8","data":[1,2,3,200]}]}`, `inputs[0].data[3]: 200 is outside the range of int8`},
		{"V2 data that its conversion would change", "vector", `{"inputs":[{"name":"v","shape":[2],"datatype":"FP32","data":[1,1.5]}]}`, `element 1: 1.5 is not a whole number`},
		{"V2 with an id that is no string", "iris", `{"id":5,"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `id: 5 where the request's id`},
		{"V2 with an output twice", "iris", `{"outputs":[{"name":"y"},{"name":"y"}],"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `outputs[1]: the output "y" is asked for twice`},
		{"V2 with an output without a name", "iris", `{"outputs":[{}],"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `outputs[0]: "name" is missing`},

		{"V2 with inputs cut short", "iris", `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}`, `where a comma or ]`},
		{"V2 with a name that is no string", "iris", `{"inputs":[{"name":1}]}`, `inputs[0].name: 1 where the input's name`},
		{"V2 with a type that is no string", "iris", `{"inputs":[{"datatype":1}]}`, `inputs[0].datatype: 1 where the data type`},
		{"V2 with a broken string", "iris", `{"inputs":[{"name":"\q"}]}`, `a valid escape`},
		{"V2 with an output's name twice", "iris", `{"outputs":[{"name":"y","name":"y"}],"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `outputs[0]: "name" is given twice`},
		{"V2 with outputs that are no objects", "iris", `{"outputs":["y"],"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`, `where '{'`},
		{"an id twice", "iris", `{"id":"1","id":"2"}`, `id: given twice`},
		{"a column cut short", "iris", `{"inputs":{"x":[[1,2,3,4]]`, `where a comma or }`},
		{"an object as a string", "text", `{"inputs":{"t":[{}]}}`, `an object where a string`},
		{"a list as a bool", "flags", `[true,[true]]`, `a list where a bool`},
		{"nothing where a value is", "iris", `{"inputs":[[1,2,3,4],`, `where a value`},

		{"columns beside instances", "iris", `{"instances":[[1,2,3,4]],"columns":["a"]}`, `both "instances" and "data"`},
		{"features twice at the top", "iris", `{"features":[1,2,3,4],"data":{"features":[1]}}`, `"features" is given twice`},
		{"features that do not fit", "iris", `{"features":[1,"x",3,4]}`, `features[1]: "x" where a number`},
		{"a frame cut short", "mixed", `{"dataframe_split":{"columns":["age"`, `where a comma or ]`},
		{"a frame's object cut short", "mixed", `{"dataframe_split":{"columns":["age"]`, `where a comma or }`},
		{"a frame with a broken name", "mixed", `{"columns":["\q"]}`, `a valid escape`},
		{"a frame with a row that is no list", "mixed", `{"columns":["age","job"],"data":[5]}`, `where '[' is wanted`},
		{"a frame with a bad value", "mixed", `{"columns":["age","job"],"data":[[1,"a"],["b",2]]}`, `data[1].age: "b" where a number`},
		{"a frame without columns", "iris", `{"data":[[1,2,3,4]]}`, `"columns" is missing beside "data"`},
		{"a frame without data", "iris", `{"columns":["a"]}`, `"data" is missing beside "columns"`},
		{"a frame with columns twice", "iris", `{"columns":["a"],"columns":["b"]}`, `"columns" is given twice`},
		{"a frame with an unknown column", "mixed", `{"columns":["age","job","x"],"data":[]}`, `no input is called "x"`},
		{"a frame with a column missing", "mixed", `{"columns":["age"],"data":[]}`, `no column is called "job"`},
		{"a frame with a column twice", "mixed", `{"columns":["age","age"],"data":[]}`, `the column "age" is given twice`},
		{"a frame with a short row", "mixed", `{"columns":["age","job"],"data":[[1,"a"],[2]]}`, `data[1]: a row of 2 values`},
		{"a frame with a long row", "mixed", `{"dataframe_split":{"columns":["age","job"],"data":[[1,"a",3]]}}`, `dataframe_split.data[0]: a row of 2 values`},
		{"a frame with other rows than columns", "iris", `{"columns":["a","b"],"data":[[1,2,3,4]]}`, `rows of 2 values are wanted`},
		{"a frame with a bad name", "iris", `{"columns":[["a"]],"data":[]}`, `where a column's name`},

		{"a string among numbers without a model", "any", `[1,"x"]`, `[1]: "x" where a number (int64)`},
		{"a number among strings without a model", "any", `["x",1]`, `[1]: 1 is not a string`},
		{"an identifier among fractions without a model", "any", `[9007199254740993,0.5]`, `2^53`},
		{"a row with other names than the first", "any", `{"instances":[{"a":1},{"b":1}]}`, `no input is called "b"; the inputs are "a"`},
	}
	for _, c := range cases {
		got, err := codec.JSON{}.Decode([]byte(c.body), &codec.Request{Want: models[c.model]})
		var e *codec.Error
		switch {
		case err == nil:
			t.Errorf("%s: %.100s was read as %s", c.name, c.body, show(got))
		case !errors.As(err, &e) || !errors.Is(err, runtime.ErrInput) || e.Format != "JSON":
			t.Errorf("%s: %v is a %T", c.name, err, err)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %.100s\n  said %q\n  want %q", c.name, c.body, err, c.want)
		case len(err.Error()) > 400:
			t.Errorf("%s: an error of %d bytes", c.name, len(err.Error()))
		}
	}
}

func TestJSONGoesToTensorsOnly(t *testing.T) {
	for _, info := range []runtime.Info{{Name: "s", Kind: runtime.KindSequence, DType: runtime.Float32}, {Name: "u"}} {
		_, err := codec.JSON{}.Decode([]byte(`[1]`), &codec.Request{Want: []runtime.Info{info}})
		if err == nil || !strings.Contains(err.Error(), "is not a tensor of a known type") {
			t.Errorf("%+v: %v", info, err)
		}
	}
}
