// Iris is a server with a handler of its own: it also reads HTML forms, and
// answers with the species' name. Everything else is Clary's default.
//
//	curl -s localhost:8080/invocations -d 'sepal_length=5.1&sepal_width=3.5&petal_length=1.4&petal_width=0.2'
//	{"species":"setosa","confidence":1}
package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/claryhq/clary"
	"github.com/claryhq/clary/handler"
)

// iris overrides InputFn and OutputFn.
type iris struct{ handler.Default }

var (
	fields  = []string{"sepal_length", "sepal_width", "petal_length", "petal_width"}
	species = []string{"setosa", "versicolor", "virginica"}
)

// InputFn reads a form; any other media type is left to the default.
func (h iris) InputFn(ctx context.Context, body []byte, contentType string) (handler.Tensors, error) {
	if !strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return h.Default.InputFn(ctx, body, contentType)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, handler.Errorf(400, "the form cannot be read: %w", err)
	}
	row := make([]float32, len(fields))
	for i, name := range fields {
		v, err := strconv.ParseFloat(form.Get(name), 32)
		if err != nil {
			return nil, handler.Errorf(400, "%s=%q: want a number", name, form.Get(name))
		}
		row[i] = float32(v)
	}
	input := handler.RequestFrom(ctx).Inputs[0].Name
	return handler.Tensors{{Name: input, Shape: []int{1, len(row)}, Data: row}}, nil
}

// OutputFn names the species; a client that asks for anything but JSON gets
// the default's reply.
func (h iris) OutputFn(ctx context.Context, out handler.Tensors, accept string) ([]byte, string, error) {
	if accept != "application/json" {
		return h.Default.OutputFn(ctx, out, accept)
	}
	type answer struct {
		Species    string  `json:"species"`
		Confidence float32 `json:"confidence"`
	}
	labels, scores := out[0].Data.([]int64), out[1].Data.([]float32)
	answers := make([]answer, len(labels))
	for i, label := range labels {
		answers[i] = answer{species[label], scores[i*len(species)+int(label)]}
	}
	var reply any = answers
	if len(answers) == 1 {
		reply = answers[0]
	}
	body, err := json.Marshal(reply)
	return body, "application/json", err
}

func main() { clary.Main(iris{}) }
