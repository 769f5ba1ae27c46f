package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

type csvCase struct {
	name   string
	body   string
	params map[string]string
	want   []runtime.Info
	in     []runtime.Tensor
}

func (c csvCase) check(t *testing.T) {
	t.Helper()
	r := codec.Request{Want: c.want, Params: c.params}
	in, err := codec.CSV{}.Decode([]byte(c.body), &r)
	if err != nil || len(in) != len(c.in) || r.Found.Dialect != codec.Rows {
		t.Errorf("%s: %q: %v, %v; want %v", c.name, c.body, in, err, c.in)
		return
	}
	for i := range in {
		if in[i].Name != c.in[i].Name || !slices.Equal(in[i].Shape, c.in[i].Shape) || !sameData(in[i].Data, c.in[i].Data) || in[i].Check() != nil {
			t.Errorf("%s: %q: %v, want %v", c.name, c.body, in[i], c.in[i])
		}
	}
}

// info describes an input of that name; tensor is one.
func info(name string, d runtime.DType, shape ...int) runtime.Info {
	return runtime.Info{Name: name, DType: d, Shape: shape}
}

func tensor(name string, data any, shape ...int) runtime.Tensor {
	return runtime.Tensor{Name: name, Shape: shape, Data: data}
}

func TestColumnsGoToInputsInTheirOrder(t *testing.T) {
	x4 := []runtime.Info{info("x", runtime.Float32, -1, 4)}
	mixed := []runtime.Info{info("age", runtime.Float32, -1, 1), info("city", runtime.String, -1), info("ok", runtime.Bool, -1, 1)}
	mixedIn := []runtime.Tensor{tensor("age", []float32{1.5, 2}, 2, 1), tensor("city", []string{"Ulm", "Bonn"}, 2), tensor("ok", []bool{true, false}, 2, 1)}
	header := map[string]string{"header": "Present"}
	for _, c := range []csvCase{
		{"one input", "1,2,3,4\n5,6,7,8\n", nil, x4, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4)}},
		{"one row, no line end", "1,2,3,4", nil, x4, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4}, 1, 4)}},
		{"a column an input", "1.5,Ulm,true\n2,Bonn,False\n", nil, mixed, mixedIn},
		{"a column of rank 1", "1\n2\n3\n", nil, []runtime.Info{info("x", runtime.Int64, -1)}, []runtime.Tensor{tensor("x", []int64{1, 2, 3}, 3)}},
		{"several columns each", "1,2,3,4,5\n", nil, []runtime.Info{info("a", runtime.Uint8, -1, 2), info("b", runtime.Float64, -1, 3)},
			[]runtime.Tensor{tensor("a", []uint8{1, 2}, 1, 2), tensor("b", []float64{3, 4, 5}, 1, 3)}},
		{"numbers around text", "1,2,a,b,3,4\n5,6,c,d,7,8\n", nil, []runtime.Info{info("a", runtime.Float32, -1, 2), info("s", runtime.String, -1, 2), info("b", runtime.Int32, -1, 2)},
			[]runtime.Tensor{tensor("a", []float32{1, 2, 5, 6}, 2, 2), tensor("s", []string{"a", "b", "c", "d"}, 2, 2), tensor("b", []int32{3, 4, 7, 8}, 2, 2)}},
		{"flattened", "1,2,3,4,5,6\n", nil, []runtime.Info{info("x", runtime.Float32, -1, 3, 2)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4, 5, 6}, 1, 3, 2)}},
		{"open width", "1,2,3\n4,5,6\n", nil, []runtime.Info{info("x", runtime.Float32, -1, -1)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4, 5, 6}, 2, 3)}},
		{"open width takes the rest", "1,2,3,4\n", nil, []runtime.Info{info("a", runtime.Int64, -1), info("x", runtime.Float32, -1, -1), info("b", runtime.String, -1, 1)},
			[]runtime.Tensor{tensor("a", []int64{1}, 1), tensor("x", []float32{2, 3}, 1, 2), tensor("b", []string{"4"}, 1, 1)}},
		{"open steps", "1,2,3,4,5,6\n", nil, []runtime.Info{info("x", runtime.Float32, -1, -1, 3)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4, 5, 6}, 1, 2, 3)}},
		{"open rank", "1,2\n3,4\n", nil, []runtime.Info{{Name: "x", DType: runtime.Float32, Unranked: true}}, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4}, 2, 2)}},
		{"fixed rows", "1,2\n3,4\n", nil, []runtime.Info{info("x", runtime.Float32, 2, 2)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4}, 2, 2)}},
		{"fixed rows in one", "1,2,3,4\n", nil, []runtime.Info{info("x", runtime.Float32, 2, 2)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4}, 2, 2)}},
		{"a fixed vector in one row", "1,2,3\n", nil, []runtime.Info{info("x", runtime.Float32, 3)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3}, 3)}},
		{"a fixed vector in rows", "1\n2\n3\n", nil, []runtime.Info{info("x", runtime.Float32, 3)}, []runtime.Tensor{tensor("x", []float32{1, 2, 3}, 3)}},
		{"a scalar", "7\n", nil, []runtime.Info{info("x", runtime.Int8)}, []runtime.Tensor{tensor("x", []int8{7})}},
		{"scalar and row", "7,1,2\n", nil, []runtime.Info{info("k", runtime.Int64), info("x", runtime.Float32, -1, 2)}, []runtime.Tensor{tensor("k", []int64{7}), tensor("x", []float32{1, 2}, 1, 2)}},
		{"header, all names", "city,ok,age\nUlm,1,1.5\nBonn,0,2\n", header, mixed, mixedIn},
		{"header, names with spaces and quotes", "\"city\", ok ,age\nUlm,1,1.5\nBonn,0,2\n", header, mixed, mixedIn},
		{"header, other names", "a,b,c\n1.5,Ulm,TRUE\n2,Bonn,FALSE\n", header, mixed, mixedIn},
		{"header, some names in place", "age,town,ok\n1.5,Ulm,1\n2,Bonn,0\n", header, mixed, mixedIn},
		{"header, one wide input", "sepal length,sepal width,petal length,petal width\n1,2,3,4\n", header, x4, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4}, 1, 4)}},
		{"header=absent", "1,2,3,4\n", map[string]string{"header": "absent", "label_size": "0"}, x4, []runtime.Tensor{tensor("x", []float32{1, 2, 3, 4}, 1, 4)}},
		{"no model, integers", "1,2\n3,4\n", nil, nil, []runtime.Tensor{tensor("", []int64{1, 2, 3, 4}, 2, 2)}},
		{"no model, floats", "1,2.5\n,4\n", nil, nil, []runtime.Tensor{tensor("", []float64{1, 2.5, math.NaN(), 4}, 2, 2)}},
		{"no model, text", "1,a\n", nil, nil, []runtime.Tensor{tensor("", []string{"1", "a"}, 1, 2)}},
	} {
		c.check(t)
	}
}

func TestFieldsAreReadAsRFC4180WritesThem(t *testing.T) {
	two := []runtime.Info{info("n", runtime.Float32, -1), info("s", runtime.String, -1)}
	row := func(n float32, s string) []runtime.Tensor {
		return []runtime.Tensor{tensor("n", []float32{n}, 1), tensor("s", []string{s}, 1)}
	}
	nan := float32(math.NaN())
	for _, c := range []csvCase{
		{"plain", "1,a", nil, two, row(1, "a")},
		{"quoted", `"1","a"`, nil, two, row(1, "a")},
		{"a quoted comma", `1,"a,b"`, nil, two, row(1, "a,b")},
		{"doubled quotes", `1,"a ""b"" c"`, nil, two, row(1, `a "b" c`)},
		{"nothing but quotes", `1,""""""`, nil, two, row(1, `""`)},
		{"empty quotes", `"",""`, nil, two, row(nan, "")},
		{"a quoted line end", "1,\"a\nb\"\r\n", nil, two, row(1, "a\nb")},
		{"a quoted CRLF", "1,\"a\r\nb\"\n", nil, two, row(1, "a\r\nb")},
		{"CRLF", "1,a\r\n", nil, two, row(1, "a")},
		{"CR at the end", "1,a\r", nil, two, row(1, "a")},
		{"CR within text", "1,a\rb\n", nil, two, row(1, "a\rb")},
		{"byte order mark", "\ufeff1,a", nil, two, row(1, "a")},
		{"byte order mark, quoted", "\ufeff\"1\",a", nil, two, row(1, "a")},
		{"spaces around numbers", "\t 1 ,a", nil, two, row(1, "a")},
		{"spaces within quotes", `" 1 ",a`, nil, two, row(1, "a")},
		{"spaces in text stay", "1, a ", nil, two, row(1, " a ")},
		{"empty", ",", nil, two, row(nan, "")},
		{"blank", "  ,", nil, two, row(nan, "")},
		{"UTF-8", "1,漢字", nil, two, row(1, "漢字")},
		{"a byte that a number cannot hold, in text", "1,\x00", nil, two, row(1, "\x00")},
		{"blank lines", "\n\r\n  \n1,a\n\n \t\r\n\n", nil, two, row(1, "a")},
		{"semicolons", "1;a,b\n", map[string]string{"delimiter": ";"}, two, row(1, "a,b")},
		{"tabs", "1\ta b\n", map[string]string{"delimiter": "\t"}, two, row(1, "a b")},
		{"tabs, empty", "\t\n", map[string]string{"delimiter": "\t"}, []runtime.Info{two[1], info("t", runtime.String, -1)}, []runtime.Tensor{tensor("s", []string{""}, 1), tensor("t", []string{""}, 1)}},
	} {
		c.check(t)
	}
	// Lines of text.
	text := []runtime.Info{info("s", runtime.String, -1, 1)}
	for body, want := range map[string][]string{
		"a\nb\n": {"a", "b"}, "a\n\nb": {"a", "", "b"}, "a\n\n": {"a", ""}, "\"\"\n": {""}, "\na": {"", "a"}, "  \na": {"  ", "a"}, "a\r\n\r\nb\r\n": {"a", "", "b"},
		"\"a\nb\"\nc": {"a\nb", "c"},
	} {
		csvCase{"text", body, nil, text, []runtime.Tensor{tensor("s", want, len(want), 1)}}.check(t)
	}
}

func TestNumbersInCSVAreWhatPeopleAndProgramsWrite(t *testing.T) {
	inf := math.Inf(1)
	for text, want := range map[string]float64{
		"1": 1, "-1.5": -1.5, "+1.5": 1.5, ".5": .5, "5.": 5, "007": 7, "1e3": 1000, "1E-3": 0.001, "1.000000000000000000e+00": 1, "-0": math.Copysign(0, -1),
		"nan": math.NaN(), "NaN": math.NaN(), "NAN": math.NaN(), "-nan": math.NaN(), "inf": inf, "-Inf": -inf, "+INF": inf, "Infinity": inf, "-infinity": -inf, "": math.NaN(),
		"0.1": 0.1, "3.25e38": 3.25e38, "1e-400": 0, "0.30000000000000004": 0.30000000000000004,
	} {
		for _, body := range []string{text + ",0", "0," + text + "\n", " " + text + " ,0\r\n", `"` + text + `",0`} {
			for _, d := range []runtime.DType{runtime.Float64, runtime.Float32, runtime.BFloat16} {
				in, err := codec.CSV{}.Decode([]byte(body), &codec.Request{Want: []runtime.Info{info("x", d, -1, 2)}})
				if err != nil {
					t.Errorf("%q as %v: %v", body, d, err)
					continue
				}
				wide, err := codec.Convert(runtime.Float64, in[0].Data)
				if err != nil {
					t.Fatal(err)
				}
				i := 0
				if strings.HasPrefix(body, "0,") {
					i = 1
				}
				got := wide.([]float64)[i]
				near := math.Abs(got-want) <= math.Abs(want)*map[runtime.DType]float64{runtime.Float64: 0, runtime.Float32: 0x1p-24, runtime.BFloat16: 0x1p-8}[d]
				if !near && !(got != got && want != want) && got != want || math.Signbit(got) != math.Signbit(want) && want == want {
					t.Errorf("%q as %v is %v, want %v", body, d, got, want)
				}
			}
		}
	}
}

func TestCSVThatDoesNotFitIsRefusedWithItsPlace(t *testing.T) {
	x4 := []runtime.Info{info("x", runtime.Float32, -1, 4)}
	iris := []runtime.Info{info("sepal_length", runtime.Float32, -1, 1), info("sepal_width", runtime.Float32, -1, 1), info("species", runtime.Int64, -1), info("name", runtime.String, -1)}
	header := map[string]string{"header": "present"}
	for _, c := range []struct {
		name   string
		body   string
		params map[string]string
		want   []runtime.Info
		err    string
	}{
		{"too many", "1,2,3,a\n\n1,2,3,a,5\n", nil, iris, "line 3, column 5: row 2 has 5 values, the model takes 4: sepal_length, sepal_width, species, name"},
		{"too few", "1,2,3,4\n1,2\n", nil, x4, "line 2, column 3: row 2 has 2 values, the model takes 4: 4 of x"},
		{"one", "1\n", nil, x4, "row 1 has 1 value, the model takes 4"},
		{"two rows in one", "1,2,3,4,5,6,7,8\n", nil, x4, "row 1 has 8 values"},
		{"too many, quoted", "1,2,3,\"a,b\",\"c\nd\"\n", nil, iris, "row 1 has 5 values"},
		{"fewer than the model takes bytes", "1\n", nil, []runtime.Info{info("x", runtime.Float32, -1, 3, 224, 224)}, "row 1 has 1 value, the model takes 150528"},
		{"not a number", "1,2,3,4\n1,b,3,4\n", nil, x4, "line 2, column 2 (x[1]): b is not a number, and float32 is wanted"},
		{"a header unannounced", "a,b,c,d\n1,2,3,4\n", nil, x4, `line 1, column 1 (x[0]): a is not a number, and float32 is wanted; where the first line names the columns, send Content-Type "text/csv; header=present"`},
		{"number and more", "1,2,3,4x\n", nil, x4, "column 4 (x[3]): 4x is not a number"},
		{"number and more, first", "1x,2,3,4\n", nil, x4, "column 1 (x[0]): 1x is not a number"},
		{"two numbers", "1,2 3,3,4\n", nil, x4, "column 2 (x[1]): 2 3 is not a number"},
		{"quoted numbers", "1,\"2,3\",3,4\n", nil, x4, "column 2 (x[1]): 2,3 is not a number"},
		{"a decimal comma", "1,5;2;3;4\n", map[string]string{"delimiter": ";"}, x4, "column 1 (x[0]): 1,5 is not a number"},
		{"hexadecimal", "0x10,2,3,4\n", nil, x4, "0x10 is not a number"},
		{"underscores", "1_000,2,3,4\n", nil, x4, "1_000 is not a number"},
		{"CR alone", "1,2,3,4\r5,6,7,8\r", nil, x4, "is not a number"},
		{"an identifier", "9007199254740993,2,3,4\n", nil, x4, "beyond 2^53"},
		{"too large", "1e39,2,3,4\n", nil, x4, "outside the range of float32"},
		{"a fraction", "1,2,3.5,a\n", nil, iris, "column 3 (species): 3.5 is not a whole number, and int64 is wanted"},
		{"an empty integer", "1,2,,a\n", nil, iris, "column 3 (species): the cell is empty, and int64 is wanted"},
		{"nan for an integer", "1,2,nan,a\n", nil, iris, "column 3 (species): nan cannot be int64"},
		{"inf where there is none", "inf\n", nil, []runtime.Info{info("x", runtime.Float8E4M3FN, -1)}, "column 1 (x): inf is outside the range of float8e4m3fn"},
		{"neither true nor false", "yes\n", nil, []runtime.Info{info("x", runtime.Bool, -1)}, "yes is not a bool: true, false, 0 or 1"},
		{"an empty bool", "1\n\"\"\n", nil, []runtime.Info{info("x", runtime.Bool, -1)}, "line 2, column 1 (x): the cell is empty, and bool is wanted"},
		{"300 for uint8", "300\n", nil, []runtime.Info{info("x", runtime.Uint8, -1)}, "outside the range of uint8, 0 to 255"},
		{"a bare quote", "1,2,3,5\" pipe\n", nil, iris, "line 1, column 4 (name): a quote within a field"},
		{"an open quote", "1,2,3,a\n1,2,3,\"a\n1,2,3,a\n", nil, iris, "line 2, column 4 (name): the quoted field that begins here does not end"},
		{"text after a quote", "1,2,3,\"a\"b\n", nil, iris, "line 1, column 4 (name): something follows the closing quote"},
		{"after line ends in quotes", "1,2,3,\"\n\n\"\n1,2,x,a\n", nil, iris, "line 4, column 3 (species): x is not a number"},
		{"not UTF-8", "1,2,3,a\n1,2,3,\xff\n", nil, iris, "line 2, column 4 (name): the text is not UTF-8"},
		{"a header too long", "a,b,c\n1,2,3,4\n", header, x4, "line 1: the header names 3 columns, the model takes 4: 4 of x"},
		{"a header that contradicts", "sepal_width,sepal_length,species,nickname\n1,2,3,a\n", header, iris, `line 1, column 1: the header names it "sepal_width", in its place the model takes "sepal_length"`},
		{"a name twice", "sepal_length,sepal_length,species,name\n1,2,3,a\n", header, iris, `line 1, column 2: the header names it "sepal_length"`},
		{"with the header's names", "a,b,c,d\n1,2,x,a\n", header, iris, "line 2, column 3 (c): x is not a number, and int64 is wanted"},
		{"an open quote in the header", "a,\"b\n", header, iris, "line 1, column 2: the quoted field"},
		{"fixed rows", "1,2\n3,4\n5,6\n", nil, []runtime.Info{info("x", runtime.Float32, 2, 2)}, `3 rows, and input "x" of shape [2,2] takes exactly 2`},
		{"rows for a scalar", "1\n2\n", nil, []runtime.Info{info("x", runtime.Float32)}, `2 rows, and input "x" of shape [] takes exactly 1`},
		{"everything, twice", "1,2,3,4\n1,2,3,4\n", nil, []runtime.Info{info("x", runtime.Float32, 2, 2)}, "2 rows"},
		{"two open widths", "1,2\n", nil, []runtime.Info{info("a", runtime.Float32, -1, -1), info("b", runtime.Float32, -1, -1)}, `inputs "a" and "b" both take any number of columns`},
		{"two open dimensions", "1,2\n", nil, []runtime.Info{info("a", runtime.Float32, -1, -1, -1)}, "two open dimensions"},
		{"open steps that do not divide", "1,2,3,4\n", nil, []runtime.Info{info("a", runtime.Float32, -1, -1, 3)}, "has 4 values"},
		{"nothing left", "1\n", nil, []runtime.Info{info("a", runtime.Float32, -1), info("b", runtime.Float32, -1, -1)}, `leaves 0 for "b"`},
		{"no columns", "1\n", nil, []runtime.Info{info("a", runtime.Float32, -1, 0)}, "takes no columns"},
		{"more columns than can be counted", "1\n", nil, []runtime.Info{info("a", runtime.Float32, -1, 1<<40, 1<<40)}, "takes no columns"},
		{"no inputs", "1\n", nil, []runtime.Info{}, "takes no inputs"},
		{"a sequence", "1\n", nil, []runtime.Info{{Name: "s", Kind: runtime.KindSequence}}, "sequence or a map"},
	} {
		in, err := codec.CSV{}.Decode([]byte(c.body), &codec.Request{Want: c.want, Params: c.params})
		if !errors.Is(err, runtime.ErrInput) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want an error with %q", c.name, in, err, c.err)
		} else if len(err.Error()) > 700 {
			t.Errorf("%s: the error has %d bytes", c.name, len(err.Error()))
		}
	}
}

func TestABodyWithoutRowsIsEmpty(t *testing.T) {
	for _, shape := range [][]int{{-1}, {-1, 4}, {-1, -1}} {
		for _, d := range []runtime.DType{runtime.Float32, runtime.String} {
			for _, body := range []string{"", "\n", "\r\n\r\n", " \t\n", "\ufeff", "\ufeff\n"} {
				if in, err := (codec.CSV{}).Decode([]byte(body), &codec.Request{Want: []runtime.Info{info("x", d, shape...)}}); !errors.Is(err, codec.ErrEmpty) {
					t.Errorf("%q for %v%v: %v, %v", body, d, shape, in, err)
				}
			}
			for _, body := range []string{"x", "a,b,c,d\n", "a,b\n\n"} {
				r := codec.Request{Want: []runtime.Info{info("x", d, shape...)}, Params: map[string]string{"header": "present"}}
				if in, err := (codec.CSV{}).Decode([]byte(body), &r); !errors.Is(err, codec.ErrEmpty) {
					t.Errorf("header %q for %v%v: %v, %v", body, d, shape, in, err)
				}
			}
		}
	}
}

func TestParametersThatCSVCannotFollowAreRefused(t *testing.T) {
	for _, params := range []map[string]string{
		{"label_size": "1"}, {"label_size": ""}, {"header": "maybe"}, {"delimiter": ""}, {"delimiter": ";;"}, {"delimiter": "\n"}, {"delimiter": `"`},
		{"delimiter": "x"}, {"delimiter": "0"}, {"delimiter": "."}, {"delimiter": "-"}, {"delimiter": " "}, {"delimiter": "\xff"},
	} {
		if _, err := (codec.CSV{}).Decode([]byte("1"), &codec.Request{Params: params}); !errors.Is(err, codec.ErrMediaType) || errors.Is(err, runtime.ErrInput) {
			t.Errorf("%v: %v, want ErrMediaType", params, err)
		}
		if _, err := (codec.CSV{}).Encode(nil, nil, &codec.Reply{Params: params}); !errors.Is(err, codec.ErrNotAcceptable) {
			t.Errorf("%v: %v, want ErrNotAcceptable", params, err)
		}
	}
}

func TestDecodingCSVTakesAFewTimesItsSize(t *testing.T) {
	const most = 64 // a line of text of one byte takes 16 in a slice of strings
	for name, c := range map[string]struct {
		body string
		want []runtime.Info
	}{
		"line ends for a wide model": {strings.Repeat("\n", 1<<20) + "1", []runtime.Info{info("x", runtime.Float64, -1, 3, 224, 224)}},
		"commas for a narrow one":    {strings.Repeat(",", 1<<20), []runtime.Info{info("x", runtime.Float64, -1)}},
		"commas for an open one":     {strings.Repeat(",", 1<<20), []runtime.Info{info("x", runtime.Float64, -1, -1)}},
		"line ends for text":         {strings.Repeat("\n", 1<<20) + "x", []runtime.Info{info("x", runtime.String, -1)}},
		"commas for text":            {strings.Repeat(",", 1<<20), []runtime.Info{info("x", runtime.String, -1, -1)}},
		"a run too long":             {strings.Repeat("1,", 1<<20), []runtime.Info{info("x", runtime.Float64, -1, 2)}},
		"quoted line ends":           {`"` + strings.Repeat("\n", 1<<20) + `"`, []runtime.Info{info("x", runtime.Float64, -1, 2)}},
		"many inputs":                {strings.Repeat("1,2\n", 1<<18), slices.Repeat([]runtime.Info{info("x", runtime.Float64, -1)}, 1000)},
		"header":                     {strings.Repeat(",", 1<<20), []runtime.Info{info("x", runtime.Float64, -1)}},
	} {
		r := codec.Request{Want: c.want}
		if name == "header" {
			r.Params = map[string]string{"header": "present"}
		}
		if spent := allocated(func() { codec.CSV{}.Decode([]byte(c.body), &r) }); spent > uint64(most*len(c.body)) {
			t.Errorf("%s: %d bytes of memory for a body of %d", name, spent, len(c.body))
		}
	}
}

func TestOneRowCostsTwoAllocations(t *testing.T) {
	body := []byte("5.1,3.5,1.4,0.2\n")
	r := codec.Request{Want: []runtime.Info{info("x", runtime.Float32, -1, 4)}}
	n := testing.AllocsPerRun(100, func() {
		if _, err := (codec.CSV{}).Decode(body, &r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"1,2,3\n4,5,6\n", "\"a\"\"\n\",b\r\n,\r\n", "\ufeffnan,inf,\n\n 1 , 2 ,3", "x;y\n1;2", "\t\n", "1e999,-.5,+0"} {
		for mode := range uint8(16) {
			f.Add([]byte(s), mode)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, mode uint8) {
		shape := [][]int{{-1, -1}, {-1}, {-1, 2}, {2, 2}}[mode%4]
		r := codec.Request{}
		for _, d := range [][]runtime.DType{nil, {runtime.Float32}, {runtime.String}, {runtime.Int64, runtime.String, runtime.Float16}}[mode/4%4] {
			r.Want = append(r.Want, info(fmt.Sprintf("x%d", len(r.Want)), d, shape...))
			shape = []int{-1, 1}
		}
		r.Params = []map[string]string{nil, {"header": "present"}, {"delimiter": ";"}, {"delimiter": "\t", "header": "present"}}[mode/16%4]
		in, err := codec.CSV{}.Decode(body, &r)
		if err != nil {
			if !errors.Is(err, runtime.ErrInput) && !errors.Is(err, codec.ErrEmpty) {
				t.Fatal(err)
			}
			return
		}
		for _, tensor := range in {
			if err := tensor.Check(); err != nil {
				t.Fatal(err)
			}
			if n := runtime.Len(tensor.Data); n > len(body)+1 {
				t.Fatalf("%d bytes became %d elements", len(body), n)
			}
		}
		// Written and read again, it is the same.
		delete(r.Params, "header")
		b, err := codec.CSV{}.Encode(nil, in, &codec.Reply{Params: r.Params, Trailing: mode >= 64})
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(b)) == 0 {
			return // nothing but spaces is no row
		}
		for i := range r.Want {
			r.Want[i].Shape = in[i].Shape
		}
		if r.Want == nil {
			r.Want = []runtime.Info{info("", in[0].DType(), in[0].Shape...)}
		}
		again, err := codec.CSV{}.Decode(b, &r)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		for i := range in {
			if !slices.Equal(again[i].Shape, in[i].Shape) || !sameData(again[i].Data, in[i].Data) {
				t.Fatalf("%q: %v became %v", b, in[i], again[i])
			}
		}
	})
}
