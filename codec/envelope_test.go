package codec_test

import (
	"math"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// Rows in every style, in every format that has rows.
func TestStylesGiveRowsTheirForm(t *testing.T) {
	score := []runtime.Tensor{tensor("score", []float32{0.5, 0.25}, 2)}
	one := []runtime.Tensor{tensor("score", []float32{0.5}, 1)}
	classes := []runtime.Tensor{tensor("label", []int64{1, 0}, 2), tensor("p", []float32{0.25, 0.75, 1, 0}, 2, 2)}
	words := []runtime.Tensor{tensor("w", []string{"a", `b"c`}, 1, 2), tensor("v", []float32{float32(math.NaN())}, 1)}
	ragged := []runtime.Tensor{tensor("a", []float32{1, 2}, 2), tensor("b", []float32{1}, 1)}
	scalar := []runtime.Tensor{tensor("s", []float64{1.5})}
	predictions := codec.ReplyOptions{Style: codec.Predictions}
	projections := codec.ReplyOptions{Style: codec.Predictions, Envelope: `pro"jections`}
	bare := codec.ReplyOptions{Style: codec.Predictions, NoEnvelope: true}
	xgboost := codec.ReplyOptions{Style: codec.XGBoost}
	tfs := codec.ReplyOptions{Style: codec.TFS}
	hf := codec.ReplyOptions{Style: codec.HuggingFace}
	asJSON, lines, csv := codec.JSON{}, codec.JSONLines{}, codec.CSV{}
	infos := []runtime.Info{{Name: "label"}, {Name: "p", Labels: []string{"0", "1"}}}
	for _, c := range []struct {
		name    string
		codec   codec.Codec
		style   codec.ReplyOptions
		dialect codec.Dialect
		out     []runtime.Tensor
		want    string
	}{
		{"default", asJSON, codec.ReplyOptions{}, codec.Rows, classes, `{"predictions":[{"label":1,"probabilities":[0.25,0.75]},{"label":0,"probabilities":[1,0]}]}`},
		{"predictions", asJSON, predictions, codec.Rows, score, `{"predictions":[{"score":0.5},{"score":0.25}]}`},
		{"predictions of a classifier", asJSON, predictions, codec.Rows, classes, `{"predictions":[{"label":1,"p":[0.25,0.75]},{"label":0,"p":[1,0]}]}`},
		{"predictions for a bare list", asJSON, predictions, codec.Bare, score, `{"predictions":[{"score":0.5},{"score":0.25}]}`},
		{"predictions for SparkML's rows", asJSON, codec.ReplyOptions{}, codec.SparkML, score, `{"predictions":[0.5,0.25]}`},
		{"predictions by column", asJSON, predictions, codec.Columns, score, `{"outputs":{"score":[0.5,0.25]}}`},
		{"predictions in V2", asJSON, predictions, codec.V2, score, `{"model_name":"m","outputs":[{"name":"score","datatype":"FP32","shape":[2],"data":[0.5,0.25]}]}`},
		{"predictions without common rows", asJSON, predictions, codec.Rows, ragged, `{"outputs":{"a":[1,2],"b":[1]}}`},
		{"predictions in lines", lines, predictions, codec.Rows, score, "{\"score\":0.5}\n{\"score\":0.25}"},
		{"predictions in CSV", csv, predictions, codec.Rows, classes, "1,0.25,0.75\n0,1,0"},
		{"another envelope", asJSON, projections, codec.Rows, score, `{"pro\"jections":[{"score":0.5},{"score":0.25}]}`},
		{"no envelope", asJSON, bare, codec.Rows, score, `[{"score":0.5},{"score":0.25}]`},
		{"no envelope around one", asJSON, bare, codec.Rows, one, `{"score":0.5}`},
		{"XGBoost", asJSON, xgboost, codec.Rows, classes, `{"predictions":[{"label":1,"p":[0.25,0.75]},{"label":0,"p":[1,0]}]}`},
		{"XGBoost in lines", lines, xgboost, codec.Rows, classes, "{\"label\":1,\"p\":[0.25,0.75]}\n{\"label\":0,\"p\":[1,0]}"},
		{"XGBoost in CSV", csv, xgboost, codec.Rows, classes, "1,\"[0.25, 0.75]\"\n0,\"[1, 0]\""},
		{"XGBoost's words and NaN in CSV", csv, xgboost, codec.Rows, words, `"[""a"", ""b\""c""]",nan`},
		{"XGBoost's NaN in JSON", asJSON, xgboost, codec.Rows, words, `{"predictions":[{"w":["a","b\"c"],"v":"NaN"}]}`},
		{"TFS", asJSON, tfs, codec.Rows, score, `{"predictions":[0.5,0.25]}`},
		{"TFS, several outputs", asJSON, tfs, codec.Rows, classes, `{"predictions":[{"label":1,"p":[0.25,0.75]},{"label":0,"p":[1,0]}]}`},
		{"TFS for a bare list", asJSON, tfs, codec.Bare, score, `{"predictions":[0.5,0.25]}`},
		{"TFS by column", asJSON, tfs, codec.Columns, score, `{"outputs":[0.5,0.25]}`},
		{"TFS by column, several outputs", asJSON, tfs, codec.Columns, classes, `{"outputs":{"label":[1,0],"p":[[0.25,0.75],[1,0]]}}`},
		{"TFS by column, a scalar", asJSON, tfs, codec.Columns, scalar, `{"outputs":1.5}`},
		{"TFS in lines", lines, tfs, codec.Rows, score, `{"predictions":[0.5,0.25]}`},
		{"Hugging Face", asJSON, hf, codec.Columns, classes, `[{"label":1,"p":[0.25,0.75]},{"label":0,"p":[1,0]}]`},
		{"Hugging Face, one output", asJSON, hf, codec.Columns, score, `[0.5,0.25]`},
		{"Hugging Face, rows", asJSON, hf, codec.Rows, one, `[0.5]`},
		{"Hugging Face, no common rows", asJSON, hf, codec.Columns, ragged, `{"outputs":{"a":[1,2],"b":[1]}}`},
	} {
		r := codec.Reply{Found: codec.Found{Dialect: c.dialect}, Model: "m", Options: &codec.Options{Reply: c.style}}
		if len(c.out) == 2 && c.out[1].Name == "p" {
			r.Infos = infos
		}
		got, err := c.codec.Encode([]byte(">"), c.out, &r)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%s:\n     %s, %v\nwant >%s", c.name, got, err, c.want)
		}
	}
}

func TestXGBoostsListsAreOneColumn(t *testing.T) {
	out := []runtime.Tensor{tensor("label", []string{"a,b"}, 1), tensor("p", []float32{0.25, 0.75}, 1, 2)}
	r := codec.Reply{Params: map[string]string{"header": "present", "delimiter": ";"}, Options: &codec.Options{Reply: codec.ReplyOptions{Style: codec.XGBoost}}}
	got, err := codec.CSV{}.Encode(nil, out, &r)
	if want := "label;p\na,b;\"[0.25, 0.75]\""; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// Hugging Face's containers read the first line of a CSV file as its header.
func TestHuggingFaceCSVHasAHeader(t *testing.T) {
	o := &codec.Options{Reply: codec.ReplyOptions{Style: codec.HuggingFace}}
	qa := []runtime.Info{info("question", runtime.String, -1), info("context", runtime.String, -1)}
	for _, c := range []struct {
		body   string
		want   []runtime.Info
		params map[string]string
		is     string
	}{
		{"inputs\na film\n\"good, bad\"\n", models["text"], nil, `t string[2] [a film good, bad]`},
		{"context,question\nc,q\n", qa, nil, "question string[1] [q]; context string[1] [c]"},
		{"a film\n", models["text"], map[string]string{"header": "absent"}, "t string[1] [a film]"},
	} {
		got, err := codec.CSV{}.Decode([]byte(c.body), &codec.Request{Want: c.want, Params: c.params, Options: o})
		if err != nil || show(got) != c.is {
			t.Errorf("%q: %s, %v; want %s", c.body, show(got), err, c.is)
		}
	}
}
