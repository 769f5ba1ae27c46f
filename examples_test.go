package clary_test

import (
	"strings"
	"testing"
)

func TestTheIrisExampleReadsFormsAndNamesTheSpecies(t *testing.T) {
	p := start(t, "iris", nil, iris)
	form := "application/x-www-form-urlencoded"
	for _, c := range []struct {
		contentType, body, accept string
		status                    int
		want                      string
	}{
		{form, "sepal_length=5.1&sepal_width=3.5&petal_length=1.4&petal_width=0.2", "", 200, `{"species":"setosa","confidence":`},
		{form + "; charset=utf-8", "sepal_length=6.3&sepal_width=3.3&petal_length=6&petal_width=2.5", "", 200, `{"species":"virginica"`},
		{"text/csv", "5.1,3.5,1.4,0.2\n7,3.2,4.7,1.4", "", 200, `{"species":"versicolor"`},
		{"text/csv", "5.1,3.5,1.4,0.2", "text/csv", 200, "0,0.99"},
		{form, "sepal_length=long", "", 400, "sepal_length"},
		{form, "%zz", "", 400, "form"},
		{"application/xml", "<x/>", "", 415, "application/xml"},
	} {
		var headers []string
		if c.accept != "" {
			headers = []string{"Accept", c.accept}
		}
		if a := p.invoke(c.contentType, c.body, headers...); a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s %q: %d %s, want %d with %s", c.contentType, c.body, a.status, a.body, c.status, c.want)
		}
	}
}

func TestTheTransformFnExampleDoesTheWholeRequest(t *testing.T) {
	p := start(t, "transformfn", nil, iris)
	p.logged("the handler has a TransformFn: InputFn, PredictFn and OutputFn are not called")
	a := p.invoke("text/plain", "5.1 3.5 1.4 0.2\n7 3.2 4.7 1.4\n6.3 3.3 6 2.5\n")
	lines := strings.Split(strings.TrimSpace(a.body), "\n")
	if a.status != 200 || len(lines) != 3 || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("%d %s %q", a.status, a.header.Get("Content-Type"), a.body)
	}
	for i, want := range []string{"setosa 1.00", "versicolor 1.00", "virginica 0.99"} {
		if lines[i] != want {
			t.Errorf("line %d is %q, want %q", i+1, lines[i], want)
		}
	}
	for _, body := range []string{"1 2 3", "1 2 3 x", ""} {
		if a := p.invoke("text/plain", body); a.status != 400 {
			t.Errorf("%q: %d %s", body, a.status, a.body)
		}
	}
	p.metricBecomes(`clary_stage_seconds_count{model="iris",stage="run"}`, 1)
}
