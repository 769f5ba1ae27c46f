package artifact_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/claryhq/clary/artifact"
)

func TestPostIsReadInItsOrder(t *testing.T) {
	c, err := artifact.ParseConfig("f.yaml", []byte(`
post:
  - softmax:
  - softmax: logits
  - softmax: {output: x, as: p, axis: -1}
  - sigmoid: {as: p}
  - argmax: {output: p, as: label, axis: 1}
  - top_k: {k: 3}
  - threshold: {output: "p[1]", at: 1}
  - labels: {output: p, names: [no, 007, yes, 1.50]}
  - labels: {labels_file: a/labels.txt}
  - rename: {z: a, b: c, a: z}
  - drop: x
  - keep: [c, a]
`))
	want := []artifact.PostStep{
		{Softmax: &artifact.SoftmaxStep{}},
		{Softmax: &artifact.SoftmaxStep{Output: "logits"}},
		{Softmax: &artifact.SoftmaxStep{Output: "x", As: "p", Axis: -1}},
		{Sigmoid: &artifact.SigmoidStep{As: "p"}},
		{Argmax: &artifact.ArgmaxStep{Output: "p", As: "label", Axis: 1}},
		{TopK: &artifact.TopKStep{K: 3}},
		{Threshold: &artifact.ThresholdStep{Output: "p[1]", At: 1}},
		{Labels: &artifact.LabelsStep{Output: "p", Names: []string{"no", "007", "yes", "1.50"}}},
		{Labels: &artifact.LabelsStep{LabelsFile: "a/labels.txt"}},
		{Rename: artifact.Pairs{{Key: "z", Value: "a"}, {Key: "b", Value: "c"}, {Key: "a", Value: "z"}}},
		{Drop: []string{"x"}},
		{Keep: []string{"c", "a"}},
	}
	for i := range want {
		want[i].Line = i + 3
	}
	if err != nil || !reflect.DeepEqual(c.Post, want) {
		t.Errorf("%+v, %v", c.Post, err)
	}
}

func TestRepliesAndFormatsAreRead(t *testing.T) {
	zero := 0
	for text, want := range map[string]artifact.Config{
		"reply: {style: predictions, fields: {score: p, label: l}, verbose: {all: p}}": {Reply: artifact.ReplyConfig{Style: "predictions",
			Fields: artifact.Pairs{{Key: "score", Value: "p"}, {Key: "label", Value: "l"}}, Verbose: artifact.Pairs{{Key: "all", Value: "p"}}}},
		"reply: {style: xgboost, output: labels}":       {Reply: artifact.ReplyConfig{Style: "xgboost", Output: []string{"labels"}}},
		"image: {size: 224, mean: 0.5, std: [1, 2, 3]}": {Image: artifact.ImageConfig{Size: []int{224}, Mean: []float64{0.5}, Std: []float64{1, 2, 3}}},
		"image: {scale: 1}\nlibsvm: {index_base: 0}":    {Image: artifact.ImageConfig{Scale: 1}, LibSVM: artifact.LibSVMConfig{IndexBase: &zero}},
		"sparse: {missing: NaN}":                        {Sparse: artifact.SparseConfig{Missing: "NaN"}},
		"post:\nreply:\nimage:\n":                       {},
		"post: []":                                      {Post: []artifact.PostStep{}},
	} {
		if got, err := artifact.ParseConfig("f.yaml", []byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
}

func TestAWrongStepOrReplyIsAnErrorThatNamesTheLine(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"post:\n  - sofmax: y", "f.yaml, line 2: there is no post[0].sofmax; did you mean post[0].softmax?"},
		{"post:\n  - softmax: y\n  - top_k:\n      n: 3", "line 4: there is no post[1].top_k.n; did you mean"},
		{"post:\n  - softmax: {outptu: y}", "line 2: there is no post[0].softmax.outptu; did you mean post[0].softmax.output?"},
		{"post:\n  - Line: 3", "there is no post[0].Line"},
		{"post:\n  - {'': 3}", "there is no post[0]."},
		{"post: softmax", `post is a list, not "softmax"`},
		{"post: {softmax: y}", "post is a list, not key: value lines"},
		{"post:\n  - softmax", `line 2: post[0] is wanted as key: value lines, not "softmax"`},
		{"post:\n  -", "line 2: post[0] is one step, such as softmax: logits; it has nothing"},
		{"post:\n  - softmax: y\n    argmax: y", "line 2: post[0] is one step, such as softmax: logits; it has softmax, argmax"},
		{"post:\n  - softmax: [y]", "line 2: post[0].softmax is wanted as key: value lines, not a list"},
		{"post:\n  - softmax: {axis: 0}", "line 2: post[0].softmax.axis is 1 or more"},
		{"post:\n  - argmax:\n      axis: 0", "line 3: post[0].argmax.axis is 1 or more"},
		{"post:\n  - argmax: {axis: last}", `post[0].argmax.axis is a whole number, not "last"`},
		{"post:\n  - top_k: y", "line 2: post[0].top_k.k is how many are wanted, at least 1"},
		{"post:\n  - top_k:\n      k: 0", "line 3: post[0].top_k.k is how many"},
		{"post:\n  - threshold: y", "line 2: post[0].threshold.at is missing"},
		{"post:\n  - threshold: {at: high}", `post[0].threshold.at is a number, not "high"`},
		{"post:\n  - threshold: {at: .nan}", `post[0].threshold.at is a number, not ".nan"`},
		{"post:\n  - labels: y", "line 2: post[0].labels.names is missing, or labels_file"},
		{"post:\n  - labels: {names: []}", "post[0].labels.names is empty"},
		{"post:\n  - labels: {names: [a, [b]]}", "line 2: post[0].labels.names[1] is text, not a list"},
		{"post:\n  - labels: {names: [a, ~]}", "post[0].labels.names[1] is text"},
		{"post:\n  - labels: {names: [a], labels_file: b}", "labels_file and names are both given"},
		{"post:\n  - labels: {labels_file: ../x}", `labels_file is the path of a file inside the artifact, not "../x"`},
		{"post:\n  - rename: {}", "line 2: post[0].rename names no output"},
		{"post:\n  - rename: [a]", "post[0].rename is wanted as key: value lines, not a list"},
		{"post:\n  - rename: {a: b, a: c}", "post[0].rename.a is set twice"},
		{"post:\n  - drop: []", "post[0].drop names no output"},
		{"post:\n  - keep: {a: b}", "post[0].keep is a list, not key: value lines"},
		{"post: &a [{softmax: y}, *a]", "post[1] is wanted as key: value lines, not a list"},
		{"reply:\n  style: xgbost", `line 2: reply.style has no "xgbost"; did you mean xgboost?`},
		{"reply: {style: html}", "reply.style is one of default, predictions, xgboost, tfs, huggingface, not \"html\""},
		{"reply: {envelope: x}", "reply.envelope belongs to style: predictions"},
		{"reply: {style: xgboost, fields: {a: b}}", "reply.fields belongs to style: predictions"},
		{"reply: {style: predictions, output: [labels]}", "reply.output belongs to style: xgboost"},
		{"reply: {style: predictions, fields: {}}", "reply.fields is empty"},
		{"reply: {style: predictions, envelope: ''}", "reply.envelope is empty"},
		{"reply: {style: predictions, verbose: {a: b}}", "reply.verbose adds to reply.fields, which is missing"},
		{"reply:\n  style: xgboost\n  output: [labels, probabilites]", `line 3: reply.output has no "probabilites"; did you mean probabilities?`},
		{"reply: {fields: [a]}", "reply.fields is wanted as key: value lines"},
		{"image: {size: [1, 2, 3]}", "image.size is height and width, not 3 numbers"},
		{"image: {size: [1, 2.5]}", `image.size[1] is a whole number, not "2.5"`},
		{"image: {mean: [a]}", `image.mean[0] is a number, not "a"`},
		{"image: {std: {a: 1}}", "image.std is a list, not key: value lines"},
		{"image: {scale: .inf}", "image.scale is a number"},
		{"image: {layuot: nchw}", "there is no image.layuot; did you mean image.layout?"},
		{"libsvm: {index_base: 2}", "libsvm.index_base is 0 or 1, not 2"},
		{"libsvm: {index_base: one}", `libsvm.index_base is a whole number, not "one"`},
		{"sparse: {missing: none}", `sparse.missing is nan or 0, not "none"`},
	} {
		got, err := artifact.ParseConfig("f.yaml", []byte(c.text))
		if err == nil {
			t.Errorf("%q was read as %+v", c.text, got)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: the error does not say %q: %v", c.text, c.says, err)
		}
	}
}

func TestLabelsAreTheLinesOfAFile(t *testing.T) {
	for text, want := range map[string][]string{
		"cat\ndog\n":                {"cat", "dog"},
		"cat\r\ndog":                {"cat", "dog"},
		"\ufeffcat, a\n dog \n\n\n": {"cat, a", " dog "},
	} {
		a, err := artifact.Open(tree(t, "a.onnx", "labels.txt="+text), artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Labels("labels.txt"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"":                           "is empty",
		"\n\n":                       "is empty",
		"a\n\nb\n":                   "line 2 is empty",
		"a\xff\n":                    "is not UTF-8",
		strings.Repeat("a\n", 9<<20): "larger than",
	} {
		a, err := artifact.Open(tree(t, "a.onnx", "labels.txt="+text), artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Labels("labels.txt"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %.5q, %v; want %q", text, got, err, says)
		}
		if _, err := a.Labels("nothing.txt"); err == nil {
			t.Error("a file that is not there was read")
		}
	}
}
