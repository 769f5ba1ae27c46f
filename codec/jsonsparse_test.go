package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

const sparse = `{"data":{"features":{"keys":[1,3],"shape":[4],"values":[2.5,-1]}}}`

func TestSparseFeaturesGetTheirZeros(t *testing.T) {
	for _, c := range []struct{ name, model, body, want string }{
		{"alone", "iris", `{"instances":[` + sparse + `]}`, "x float32[1 4] [0 2.5 0 -1]"},
		{"beside dense rows of every form", "iris", `{"instances":[[1,2,3,4],{"features":[5,6,7,8]},` + sparse + `,{"data":{"features":{"values":[9,9,9,9]}}},` + sparse + `],"configuration":{}}`,
			"x float32[5 4] [1 2 3 4 5 6 7 8 0 2.5 0 -1 9 9 9 9 0 2.5 0 -1]"},
		{"in another order", "iris", `{"instances":[{"data":{"features":{"values":[2.5,-1],"shape":[4],"keys":[3,0]}}},{"data":{"features":{"shape":[4],"values":[1],"keys":[2]}}}]}`,
			"x float32[2 4] [-1 0 0 2.5 0 0 1 0]"},
		{"without data around", "iris", `{"features":{"keys":[0],"shape":[4],"values":[1]}}`, "x float32[1 4] [1 0 0 0]"},
		{"without a shape", "iris", `{"instances":[{"features":{"keys":[0],"values":[1]}}]}`, "x float32[1 4] [1 0 0 0]"},
		{"nothing but zeros", "iris", `{"instances":[{"features":{"keys":[],"shape":[4],"values":[]}}]}`, "x float32[1 4] [0 0 0 0]"},
		{"every value", "iris", `{"instances":[{"features":{"keys":[3,2,1,0],"values":[1,2,3,4]}}]}`, "x float32[1 4] [4 3 2 1]"},
		{"a dense one with its shape", "iris", `{"instances":[{"features":{"shape":[4],"values":[1,2,3,4]}}]}`, "x float32[1 4] [1 2 3 4]"},
		{"of several dimensions", "image", `{"instances":[{"features":{"keys":[3],"shape":[1,2,2],"values":[7]}}]}`, "img uint8[1 1 2 2] [0 0 0 7]"},
		{"of no batch", "nobatch", `{"features":{"keys":[1],"values":[7]}}`, "x float32[3] [0 7 0]"},
		{"bools", "flags", `{"instances":[{"features":{"keys":[0],"values":[true]}},{"features":{"keys":[],"values":[]}}]}`, "b bool[2] [true false]"},
		{"of what the body says", "any", `{"instances":[{"features":{"keys":[1],"shape":[3],"values":[7]}},{"features":{"keys":[0],"values":[1.5]}}]}`, " float64[2 3] [0 7 0 1.5 0 0]"},
		{"of which nothing is known", "any", `{"instances":[{"features":{"keys":[],"shape":[2],"values":[]}},{"features":[1,2]}]}`, " float64[2 2] [0 0 1 2]"},
	} {
		got, err := codec.JSON{}.Decode([]byte(c.body), &codec.Request{Want: models[c.model]})
		if err != nil || strings.TrimSpace(show(got)) != strings.TrimSpace(c.want) {
			t.Errorf("%s: %v, %v; want %s", c.name, show(got), err, c.want)
		}
	}
	for _, c := range []struct {
		params  map[string]string
		options *codec.Options
		model   string
		want    string
	}{
		{map[string]string{"missing": "NaN"}, nil, "iris", "x float32[1 4] [NaN 2.5 NaN -1]"},
		{nil, &codec.Options{Sparse: codec.SparseOptions{MissingNaN: true}}, "iris", "x float32[1 4] [NaN 2.5 NaN -1]"},
		{map[string]string{"missing": "0"}, &codec.Options{Sparse: codec.SparseOptions{MissingNaN: true}}, "iris", "x float32[1 4] [0 2.5 0 -1]"},
		{map[string]string{"missing": "nan"}, nil, "any", " float64[1 4] [NaN 2.5 NaN -1]"},
	} {
		got, err := codec.JSON{}.Decode([]byte(`{"instances":[`+sparse+`]}`), &codec.Request{Want: models[c.model], Params: c.params, Options: c.options})
		if err != nil || strings.TrimSpace(show(got)) != strings.TrimSpace(c.want) {
			t.Errorf("%v: %s, %v; want %s", c.params, show(got), err, c.want)
		}
	}
	lines := sparse + "\n{\"features\":[1,2,3,4]}\n\n[5,6,7,8]\n" + `{"data":{"features":{"values":[1,1,1,1]}}}` + "\n" + sparse
	got, err := codec.JSONLines{}.Decode([]byte(lines), &codec.Request{Want: models["iris"]})
	if want := "x float32[5 4] [0 2.5 0 -1 1 2 3 4 5 6 7 8 1 1 1 1 0 2.5 0 -1]"; err != nil || show(got) != want {
		t.Errorf("JSON Lines: %s, %v", show(got), err)
	}
}

func TestSparseFeaturesThatDoNotFitAreRefused(t *testing.T) {
	features := func(s string) string { return `{"instances":[{"data":{"features":{` + s + `}}}]}` }
	wide := []runtime.Info{input("x", runtime.Float32, -1, 1<<40)}
	for _, c := range []struct {
		name, body string
		model      []runtime.Info
		want       string
	}{
		{"a key too large", features(`"keys":[4],"values":[1]`), models["iris"], "instances[0].data.features: the key 4, and there are 4 features, the first is 0"},
		{"a key beyond reason", features(`"keys":[99999999999999999999],"values":[1]`), models["iris"], "data.features.keys[0]: 99999999999999999999 where the place of a feature is wanted"},
		{"a negative key", features(`"keys":[0,-1],"values":[1,2]`), models["iris"], "data.features.keys[1]: -1 where the place"},
		{"a fraction as key", features(`"keys":[0.5],"values":[1]`), models["iris"], "0.5 where the place"},
		{"a key twice", features(`"keys":[2,1,2],"values":[1,2,3]`), models["iris"], "the key 2 is given twice"},
		{"fewer values", features(`"keys":[2,1],"values":[1]`), models["iris"], "2 keys for 1 values"},
		{"more values", features(`"values":[1,2,3,4,5],"keys":[2,1]`), models["iris"], "2 keys for 5 values"},
		{"no keys for values", features(`"keys":[],"values":[1,2,3,4]`), models["iris"], "0 keys for 4 values"},
		{"another shape", features(`"keys":[0],"shape":[5],"values":[1]`), models["iris"], "a shape of 5 features where 4 are wanted"},
		{"another shape than the row before", `{"instances":[{"features":{"keys":[0],"shape":[5],"values":[1]}},{"features":{"keys":[0],"shape":[4],"values":[1]}}]}`, nil, "instances[1].features: a shape of 4 features where 5 are wanted"},
		{"a dense shape that is not", features(`"shape":[5],"values":[1,2,3,4]`), models["iris"], "4 values where the shape says 5"},
		{"too few dense", features(`"values":[1,2,3]`), models["iris"], "shape [1,3] where [?,4] is wanted"},
		{"no shape anywhere", features(`"keys":[0],"values":[1]`), nil, `"shape" is missing`},
		{"a shape too large to count", features(`"keys":[0],"shape":[9223372036854775807,9],"values":[1]`), nil, "more elements than an int counts"},
		{"a shape of text", features(`"keys":[0],"shape":["4"],"values":[1]`), models["iris"], "where a dimension is wanted"},
		{"ten gigabytes claimed", features(`"keys":[0],"shape":[2684354560],"values":[1]`), nil, "take more than the 67108864 bytes"},
		{"a model of terabytes", features(`"keys":[0],"values":[1]`), wide, "take more than the 67108864 bytes"},
		{"no values", features(`"keys":[0],"shape":[4]`), models["iris"], `"values" is missing`},
		{"nothing", features(``), models["iris"], `"values" is missing`},
		{"values twice", features(`"values":[1,2,3,4],"values":[1,2,3,4]`), models["iris"], "values: given twice"},
		{"keys twice", features(`"keys":[1],"keys":[1],"values":[1]`), models["iris"], "keys: given twice"},
		{"shape twice", features(`"shape":[4],"shape":[4],"values":[1,2,3,4]`), models["iris"], "shape: given twice"},
		{"lists as values", features(`"values":[[1,2,3,4]]`), models["iris"], "a list where a number (float32) is wanted"},
		{"another key", features(`"values":[1,2,3,4],"label":1`), models["iris"], `"label" is not known here`},
		{"features twice", `{"instances":[{"features":[1,2,3,4],"data":{"features":{"values":[1,2,3,4]}}}]}`, models["iris"], "features twice"},
		{"strings", features(`"keys":[0],"values":["a"]`), models["text"], "sparse features are numbers"},
		{"several inputs", features(`"keys":[0],"values":[1]`), models["mixed"], "for a model with one input"},
		{"a row after lists of lists", `{"instances":[[[1,2],[3,4]],{"features":{"values":[1,2,3,4]}}]}`, nil, "a vector where lists 2 deep are wanted"},
	} {
		r := codec.Request{Want: c.model}
		got, err := codec.JSON{}.Decode([]byte(c.body), &r)
		var e *codec.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v; want %q", c.name, show(got), err, c.want)
		}
		spent := allocated(func() { codec.JSON{}.Decode([]byte(c.body), &codec.Request{Want: c.model}) })
		if spent > 1<<16 {
			t.Errorf("%s: %d bytes of memory for a body of %d", c.name, spent, len(c.body))
		}
	}
}

func TestWhatIsMissingIsNaNOnlyWhereThereIsOne(t *testing.T) {
	body := []byte(`{"features":{"keys":[0],"shape":[4],"values":[1]}}`)
	r := codec.Request{Want: models["image"], Params: map[string]string{"missing": "nan"}}
	if got, err := (codec.JSON{}).Decode(body, &r); err == nil || !strings.Contains(err.Error(), "uint8 has none") {
		t.Errorf("%s, %v", show(got), err)
	}
	r = codec.Request{Want: models["iris"], Params: map[string]string{"missing": "1"}}
	if got, err := (codec.JSON{}).Decode(body, &r); !errors.Is(err, codec.ErrMediaType) {
		t.Errorf("%s, %v", show(got), err)
	}
	r = codec.Request{Params: map[string]string{"missing": "nan"}}
	if got, err := (codec.JSON{}).Decode([]byte(`{"features":{"keys":[0],"shape":[2],"values":[1]}}`), &r); err != nil || strings.TrimSpace(show(got)) != "float64[1 2] [1 NaN]" {
		t.Errorf("%s, %v", show(got), err)
	}
}

func TestZerosAreBoundedByTheBody(t *testing.T) {
	row := `{"features":{"keys":[],"values":[]}}`
	want := []runtime.Info{input("x", runtime.Float64, -1, 10000)}
	for _, c := range []struct {
		rows int
		ok   bool
	}{{800, true}, {900, false}} { // 64 MiB are 838 rows of 80,000 bytes
		body := []byte(`{"instances":[` + strings.Repeat(row+",", c.rows-1) + row + `]}`)
		_, err := codec.JSON{}.Decode(body, &codec.Request{Want: want})
		if (err == nil) != c.ok {
			t.Errorf("%d rows: %v", c.rows, err)
		}
	}
}

// A row of keys and values is the dense row that it stands for.
func FuzzSparseFeatures(f *testing.F) {
	for _, s := range []string{
		`"keys":[1,3],"shape":[4],"values":[2.5,-1]`, `"values":[1],"keys":[0]`, `"values":[1,2,3,4],"shape":[4]`, `"keys":[],"values":[],"shape":[2,2]`,
		`"keys":[3,2,1,0],"values":[1,2,3,"NaN"]`, `"keys":[1e0],"values":[1]`,
	} {
		for mode := range uint8(6) {
			f.Add(s, mode)
		}
	}
	f.Fuzz(func(t *testing.T, features string, mode uint8) {
		models := [][]runtime.Info{models["iris"], models["vector"], models["image"], nil, models["flags"], models["half"]}
		want := models[int(mode)%len(models)]
		row := `{"data":{"features":{` + features + `}}}`
		lines, err := codec.JSONLines{}.Decode([]byte(row+"\n"+row), &codec.Request{Want: want})
		body := fmt.Sprintf(`{"instances":[%s,%s]}`, row, row)
		var got []runtime.Tensor
		r := codec.Request{Want: want}
		if spent := allocated(func() { got, _ = codec.JSON{}.Decode([]byte(body), &r) }); spent > uint64(512<<20) {
			t.Fatalf("%q took %d bytes", features, spent)
		}
		if strings.ContainsAny(features, "\n") {
			return
		}
		if err == nil && got == nil || err != nil && got != nil {
			t.Fatalf("%q is %v, and in lines %v, %v", features, got, lines, err)
		}
		if err != nil {
			return
		}
		if !same(got, lines) {
			t.Fatalf("%q is %s, and in lines %s", features, show(got), show(lines))
		}
		// What was read is written densely and read again.
		dense, err := codec.JSON{}.Encode(nil, got, &codec.Reply{Found: codec.Found{Dialect: codec.Bare}})
		if err != nil {
			t.Fatal(err)
		}
		again, err := codec.JSON{}.Decode(dense, &codec.Request{Want: infosOf(got)})
		if err != nil || !same(got, again) {
			t.Fatalf("%q is %s; %s is %s, %v", features, show(got), dense, show(again), err)
		}
	})
}
