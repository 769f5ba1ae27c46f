package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

const (
	passenger = `{"input":[{"name":"age","type":"int"},{"name":"job","type":"string"}],"output":{"name":"prediction","type":"double"}}`
	vectors   = `{"input":[{"name":"v","type":"double","struct":"vector"},{"name":"n","type":"long"}],"output":{"name":"features","type":"double","struct":"vector"}}`
	every     = `{"input":[{"name":"a","type":"boolean"},{"name":"b","type":"byte","struct":"basic"},{"name":"c","type":"short"},{"name":"d","type":"int"},
 {"name":"e","type":"long"},{"name":"f","type":"float"},{"name":"g","type":"double"},{"name":"h","type":"string","struct":"array"}],"output":{"name":"y","type":"string"}}`
	four = `{"input":[{"name":"sepal","type":"double","struct":"array"},{"name":"petal_length","type":"float"},{"name":"petal_width","type":"byte"}],"output":{"name":"y","type":"long"}}`
)

func schema(t testing.TB, text string) *codec.Schema {
	t.Helper()
	if text == "" {
		return nil
	}
	s, err := codec.ParseSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var sparkModels = map[string][]runtime.Info{
	"passenger": {input("job", runtime.String, -1, 1), input("age", runtime.Float32, -1, 1)},
	"vectors":   {input("n", runtime.Float64, -1), input("v", runtime.Float32, -1, 3)},
	"every": {input("a", runtime.Bool, -1), input("b", runtime.Int8, -1), input("c", runtime.Int64, -1, 1), input("d", runtime.Float16, -1),
		input("e", runtime.Int64, -1), input("f", runtime.Float32, -1), input("g", runtime.Float64, -1), input("h", runtime.String, -1, 2)},
	"iris": {input("X", runtime.Float32, -1, 4)},
	"any":  nil,
}

func TestColumnsGoToInputsBySchema(t *testing.T) {
	asJSON, lines, csv := codec.JSON{}, codec.JSONLines{}, codec.CSV{}
	for _, c := range []struct {
		name, model, configured string
		codec                   codec.Codec
		body, want              string
	}{
		{"CSV", "passenger", passenger, csv, "39,clerk\n40,\"a, b\"\n", "job string[2 1] [clerk a, b]; age float32[2 1] [39 40]"},
		{"a row", "passenger", passenger, asJSON, `{"data":[39,"clerk"]}`, "job string[1 1] [clerk]; age float32[1 1] [39]"},
		{"rows", "passenger", passenger, asJSON, `{"data":[[39,"clerk"],[40,"smith"]]}`, "job string[2 1] [clerk smith]; age float32[2 1] [39 40]"},
		{"the request's schema", "passenger", "", asJSON, `{"schema":` + passenger + `,"data":[39,"clerk"]}`, "job string[1 1] [clerk]; age float32[1 1] [39]"},
		{"the request's schema, behind", "passenger", "", asJSON, `{"data":[39,"clerk"],"schema":` + passenger + `}`, "job string[1 1] [clerk]; age float32[1 1] [39]"},
		{"the request's schema before the model's", "vectors", passenger, asJSON, `{"schema":` + vectors + `,"data":[[1,2.5,3],7]}`, "n float64[1] [7]; v float32[1 3] [1 2.5 3]"},
		{"no schema in the request", "passenger", passenger, asJSON, `{"schema":null,"data":[39,"clerk"]}`, "job string[1 1] [clerk]; age float32[1 1] [39]"},
		{"rows that begin with a vector", "vectors", vectors, asJSON, `{"data":[[[1,2,3],7],[[4,5,6],8]]}`, "n float64[2] [7 8]; v float32[2 3] [1 2 3 4 5 6]"},
		{"lines", "passenger", passenger, lines, "{\"data\":[39,\"clerk\"]}\n\n{\"data\":[[40,\"smith\"],[41,\"cook\"]]}\n", "job string[3 1] [clerk smith cook]; age float32[3 1] [39 40 41]"},
		{"a schema on the first line", "passenger", "", lines, "{\"schema\":" + passenger + ",\"data\":[39,\"clerk\"]}\n{\"data\":[40,\"smith\"]}", "job string[2 1] [clerk smith]; age float32[2 1] [39 40]"},
		{"lines of another kind", "iris", four, lines, "[1,2,3,4]\n{\"features\":[5,6,7,8]}", "X float32[2 4] [1 2 3 4 5 6 7 8]"},
		{"every type", "every", every, asJSON, `{"data":[true,-128,32767,-5,9007199254740993,0.1,0.1,["x","y"]]}`,
			"a bool[1] [true]; b int8[1] [-128]; c int64[1 1] [32767]; d float16[1] [50432]; e int64[1] [9007199254740993]; f float32[1] [0.1]; g float64[1] [0.1]; h string[1 2] [x y]"},
		{"the features of the only input", "iris", four, asJSON, `{"data":[[[5.1,3.5],1.4,0],[[6,2],5,1]]}`, "X float32[2 4] [5.1 3.5 1.4 0 6 2 5 1]"},
		{"no model to tell", "any", passenger, asJSON, `{"data":[39,"clerk"]}`, "age int32[1] [39]; job string[1] [clerk]"},
		{"an only column", "text", `{"input":[{"name":"t","type":"string"}],"output":{"name":"y","type":"string"}}`, asJSON, `{"data":[["a"],["b"]]}`, "t string[2] [a b]"},
		{"an only column of another name", "text", `{"input":[{"name":"words","type":"string"}],"output":{"name":"y","type":"string"}}`, csv, "a b\nc\n", "t string[2] [a b c]"},
	} {
		want, ok := sparkModels[c.model]
		if !ok {
			want = models[c.model]
		}
		r := codec.Request{Want: want, Options: &codec.Options{SparkML: schema(t, c.configured)}}
		got, err := c.codec.Decode([]byte(c.body), &r)
		if err != nil || show(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, show(got), err, c.want)
			continue
		}
		if c.name == "lines of another kind" {
			continue
		}
		if r.Found.Dialect != codec.SparkML || r.Found.Schema == nil || len(r.Found.Outputs) != 1 || r.Found.Outputs[0].Name != r.Found.Schema.Output.Name {
			t.Errorf("%s: found %+v", c.name, r.Found)
		}
	}
}

func TestOtherRequestsDoNotMindASchema(t *testing.T) {
	for _, body := range []string{
		`{"instances":[{"age":39,"job":"clerk"}]}`, `{"inputs":{"age":[39],"job":["clerk"]}}`, `{"columns":["age","job"],"data":[[39,"clerk"]]}`, `[["clerk",39]]`,
		`{"schema":"nonsense","instances":[["clerk",39]]}`,
	} {
		r := codec.Request{Want: sparkModels["passenger"], Options: &codec.Options{SparkML: schema(t, passenger)}}
		got, err := codec.JSON{}.Decode([]byte(body), &r)
		if want := "job string[1 1] [clerk]; age float32[1 1] [39]"; err != nil || show(got) != want || r.Found.Dialect == codec.SparkML {
			t.Errorf("%s: %s, %v, %+v", body, show(got), err, r.Found)
		}
	}
}

func TestWhatIsNoSchemaSaysWhy(t *testing.T) {
	many := strings.Repeat(`{"name":"a","type":"int"},`, 5000)
	for _, c := range []struct{ text, want string }{
		{``, "no schema"},
		{`[]`, "no schema"},
		{`{}`, `"input" has no columns`},
		{passenger + `{}`, "something follows"},
		{`{"input":[{"name":"a","type":"int"}]}`, `output: "name" is missing`},
		{`{"input":[{"name":"a","type":"integer"}],"output":{"name":"y","type":"int"}}`, `input[0]: "a" of type "integer": it may be boolean, byte`},
		{`{"input":[{"name":"a","type":"int","struct":"matrix"}],"output":{"name":"y","type":"int"}}`, `"a" of struct "matrix"`},
		{`{"input":[{"type":"int"}],"output":{"name":"y","type":"int"}}`, `input[0]: "name" is missing`},
		{`{"input":[{"name":"a","type":"int"},{"name":"a","type":"int"}],"output":{"name":"y","type":"int"}}`, `input[1]: a second column called "a"`},
		{`{"input":[{"name":"a","typ":"int"}],"output":{"name":"y","type":"int"}}`, `unknown field "typ"`},
		{`{"input":[` + strings.TrimSuffix(many, ",") + `],"output":{"name":"y","type":"int"}}`, "5000 columns"},
	} {
		if s, err := codec.ParseSchema([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, %v; want %q", c.text, s, err, c.want)
		}
	}
}

func TestRowsThatDoNotFitTheSchemaAreRefused(t *testing.T) {
	asJSON, lines, csv := codec.JSON{}, codec.JSONLines{}, codec.CSV{}
	for _, c := range []struct {
		name, model, configured string
		codec                   codec.Codec
		body, want              string
	}{
		{"no schema at all", "passenger", "", asJSON, `{"data":[39,"clerk"]}`, `"columns" is missing beside "data"`},
		{"a bad schema", "passenger", "", asJSON, `{"schema":{"input":[]},"data":[39,"clerk"]}`, `schema: "input" has no columns`},
		{"a bad schema on a line", "passenger", "", lines, `{"schema":{"input":[]},"data":[39,"clerk"]}`, `line 1, schema: "input" has no columns`},
		{"two schemas", "passenger", "", asJSON, `{"schema":` + passenger + `,"schema":` + passenger + `,"data":[39,"clerk"]}`, "schema: given twice"},
		{"a later schema", "passenger", passenger, lines, "{\"data\":[39,\"clerk\"]}\n{\"schema\":" + passenger + ",\"data\":[39,\"clerk\"]}", "line 2: the schema is that of the first line"},
		{"a line without data", "passenger", passenger, lines, "{\"data\":[39,\"clerk\"]}\n{}", `line 2: "data" is missing`},
		{"a line of something else", "passenger", passenger, lines, "{\"data\":[39,\"clerk\"]}\n[39,\"clerk\"]", "line 2, column 1"},
		{"two objects on a line", "passenger", passenger, lines, "{\"data\":[39,\"clerk\"]}{\"data\":[39,\"clerk\"]}", "the end of the line"},
		{"an unknown key", "passenger", passenger, lines, "{\"data\":[39,\"clerk\"]}\n{\"data\":[39,\"clerk\"],\"x\":1}", `line 2: "x" beside`},
		{"a fraction for an int", "passenger", passenger, asJSON, `{"data":[39.5,"clerk"]}`, "data.age: 39.5 is not a whole number"},
		{"beyond an int", "passenger", passenger, csv, "2147483648,clerk", "outside the range of int32"},
		{"a number for a string", "passenger", passenger, asJSON, `{"data":[[39,"clerk"],[39,7]]}`, "data[1].job: 7 is not a string"},
		{"too few values", "passenger", passenger, asJSON, `{"data":[39]}`, "a row of 1 values where 2 are wanted"},
		{"too many values", "passenger", passenger, asJSON, `{"data":[39,"clerk",1]}`, "more than 2 values"},
		{"no values", "passenger", passenger, asJSON, `{"data":[]}`, "a row of 0 values"},
		{"a list for a value", "passenger", passenger, asJSON, `{"data":[[39,["clerk"]],[40,["cook"]]]}`, `input "job": shape [2,1] where [?] is wanted`},
		{"a value for a vector", "vectors", vectors, asJSON, `{"data":[1,7]}`, `input "v": shape [1] where [?,?] is wanted`},
		{"a vector too short", "vectors", vectors, asJSON, `{"data":[[1,2],7]}`, `input "v": shape [1,2] where [?,3] is wanted`},
		{"a vector in CSV", "vectors", vectors, csv, "1,7", "column \"v\" is a vector, which is several values"},
		{"a column that no input is", "passenger", "", asJSON, `{"schema":` + vectors + `,"data":[[1,2,3],7]}`, `no column is called "job", which the model takes`},
		{"a column too many", "passenger", `{"input":[{"name":"age","type":"int"},{"name":"job","type":"string"},{"name":"x","type":"int"}],"output":{"name":"y","type":"int"}}`, csv, "1,a,2", `the column "x" is no input`},
		{"text for numbers", "iris", passenger, asJSON, `{"data":[39,"clerk"]}`, `job: string where float32 is wanted for input "X"`},
		{"too many features", "iris", four, asJSON, `{"data":[[5.1,3.5,1],1.4,0]}`, `input "X": shape [1,5] where [?,4] is wanted`},
		{"too large for the input", "passenger", `{"input":[{"name":"age","type":"double"},{"name":"job","type":"string"}],"output":{"name":"y","type":"int"}}`, csv, "1e300,a", "age: element 0: 1e+300 is outside the range of float32"},
	} {
		r := codec.Request{Want: sparkModels[c.model], Options: &codec.Options{SparkML: schema(t, c.configured)}}
		got, err := c.codec.Decode([]byte(c.body), &r)
		var e *codec.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v; want %q", c.name, show(got), err, c.want)
		}
	}
}

func TestASchemaIsHeldAgainstItsModel(t *testing.T) {
	out := []runtime.Info{info("prediction", runtime.Float32, -1, 1), info("features", runtime.Float32, -1, 3)}
	for _, c := range []struct{ model, schema, want string }{
		{"passenger", passenger, ""},
		{"vectors", vectors, ""},
		{"iris", `{"input":[{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":"int"},{"name":"d","type":"int"}],"output":{"name":"prediction","type":"double"}}`, ""},
		{"iris", `{"input":[{"name":"a","type":"int"},{"name":"v","type":"int","struct":"array"}],"output":{"name":"prediction","type":"double"}}`, ""},
		{"iris", `{"input":[{"name":"a","type":"int"}],"output":{"name":"prediction","type":"double"}}`, `the columns have 1 values a row for input "X", which takes 4`},
		{"iris", strings.Replace(passenger, "int", "boolean", 1), `the column "age" is boolean, and input "X" takes float32`},
		{"vectors", passenger, `no column is called "n"`},
		{"passenger", strings.Replace(passenger, `"prediction"`, `"label"`, 1), `no output is called "label"; there is "prediction", "features"`},
		{"passenger", strings.Replace(passenger, `"prediction"`, `"features"`, 1), `output "features" has 3 values a row, which are a vector or an array, not basic`},
	} {
		err := schema(t, c.schema).Check(sparkModels[c.model], out)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %s: %v; want %q", c.model, c.schema, err, c.want)
		}
	}
}

func TestSparkMLRepliesAreItsContainers(t *testing.T) {
	basic := schema(t, passenger)
	list := schema(t, vectors)
	for _, c := range []struct {
		name     string
		schema   *codec.Schema
		out      runtime.Tensor
		params   map[string]string
		trailing bool
		want     string
	}{
		{"a vector", list, tensor("features", []float32{0.1, 2, 3, 4}, 2, 2), nil, false, "{\"features\":[0.1,2]}\n{\"features\":[3,4]}"},
		{"a vector of text", list, tensor("features", []string{"a", `b"`}, 1, 2), nil, true, "{\"features\":[\"a\",\"b\\\"\"]}\n"},
		{"as text", list, tensor("features", []string{"a", `b"`, "c", ""}, 2, 2), map[string]string{"data": "text"}, false, "{\"source\":\"a b\\\"\"}\n{\"source\":\"c \"}"},
		{"numbers as text", list, tensor("features", []float64{0.1, 2}, 1, 2), map[string]string{"data": "text"}, false, `{"source":"0.1 2"}`},
		{"a basic value", basic, tensor("prediction", []float64{0.5, 1}, 2, 1), nil, false, "0.5\n1"},
		{"a basic word", basic, tensor("prediction", []string{"x"}, 1), nil, false, `"x"`},
		{"a basic word as text", basic, tensor("prediction", []string{"x"}, 1), map[string]string{"data": "text"}, false, `{"source":"x"}`},
	} {
		r := codec.Reply{Found: codec.Found{Dialect: codec.SparkML, Schema: c.schema}, Params: c.params, Trailing: c.trailing}
		got, err := codec.JSONLines{}.Encode([]byte(">"), []runtime.Tensor{c.out}, &r)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	r := codec.Reply{Found: codec.Found{Dialect: codec.SparkML, Schema: basic}}
	if got, err := (codec.JSONLines{}).Encode(nil, []runtime.Tensor{tensor("prediction", []float64{0.5, 1}, 1, 2)}, &r); !errors.Is(err, runtime.ErrInput) {
		t.Errorf("two values for a basic output: %s, %v", got, err)
	}
	if got, err := (codec.JSONLines{}).Encode(nil, []runtime.Tensor{tensor("m", []runtime.Map{})}, &r); !errors.Is(err, codec.ErrNotAcceptable) {
		t.Errorf("a sequence: %s, %v", got, err)
	}
}

// A schema is read or refused, and what it reads has its shape.
func FuzzSchema(f *testing.F) {
	for _, s := range []string{passenger, vectors, every, four, `{"input":[{"name":"X","type":"double","struct":"array"}],"output":{"name":"y","type":"int"}}`} {
		for mode := range uint8(4) {
			f.Add(s, `[39,"clerk"]`, mode)
			f.Add(s, `[[[1,2,3],7]]`, mode)
			f.Add(s, `[[5.1,3.5],1.4,0]`, mode)
		}
	}
	names := []string{"passenger", "vectors", "iris", "any"}
	f.Fuzz(func(t *testing.T, text, data string, mode uint8) {
		body := []byte(`{"schema":` + text + `,"data":` + data + `}`)
		want := sparkModels[names[int(mode)%len(names)]]
		r := codec.Request{Want: want}
		var got []runtime.Tensor
		var err error
		if spent := allocated(func() { got, err = codec.JSON{}.Decode(body, &r) }); spent > uint64(1<<16+400*len(body)) {
			t.Fatalf("%q took %d bytes", body, spent)
		}
		if err != nil {
			var e *codec.Error
			if !errors.As(err, &e) {
				t.Fatalf("%q: %v is a %T", body, err, err)
			}
			return
		}
		for i := range got {
			if err := got[i].Check(); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			if want != nil && (got[i].Name != want[i].Name || got[i].DType() != want[i].DType) {
				t.Fatalf("%q: %v for %v", body, got[i], want[i])
			}
		}
	})
}
