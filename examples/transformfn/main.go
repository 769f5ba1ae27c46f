// Transformfn is a server whose handler does the whole request in one
// function: lines of measurements in, one species a line out. It looks at the
// model's scores through gorgonia.
//
//	curl -s localhost:8080/invocations -H 'Content-Type: text/plain' -d '5.1 3.5 1.4 0.2'
//	setosa 1.00
package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/claryhq/clary"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/runtime"
)

type lines struct{ handler.Default }

var species = []string{"setosa", "versicolor", "virginica"}

const width = 4 // measurements of one flower

// TransformFn replaces InputFn, PredictFn and OutputFn.
func (lines) TransformFn(ctx context.Context, m handler.Model, body []byte, contentType, accept string) ([]byte, string, error) {
	var flowers []float32
	for n, line := range strings.Split(strings.TrimSpace(string(body)), "\n") {
		words := strings.Fields(line)
		if len(words) != width {
			return nil, "", handler.Errorf(400, "line %d has %d numbers, want %d", n+1, len(words), width)
		}
		for _, word := range words {
			v, err := strconv.ParseFloat(word, 32)
			if err != nil {
				return nil, "", handler.Errorf(400, "line %d: %q is no number", n+1, word)
			}
			flowers = append(flowers, float32(v))
		}
	}
	session := m.(runtime.Session) // what Default.ModelFn opened
	input := runtime.Tensor{Name: session.Inputs()[0].Name, Shape: []int{len(flowers) / width, width}, Data: flowers}
	out, err := session.Run(ctx, []runtime.Tensor{input}, nil)
	if err != nil {
		return nil, "", err
	}

	scores, err := handler.Tensors(out).Dense(1)
	if err != nil {
		return nil, "", err
	}
	best, err := scores.Argmax(1)
	if err != nil {
		return nil, "", err
	}
	top, err := scores.Max(1)
	if err != nil {
		return nil, "", err
	}
	var reply bytes.Buffer
	for i := range len(flowers) / width {
		label, err := best.At(i)
		if err != nil {
			return nil, "", err
		}
		score, err := top.At(i)
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintf(&reply, "%s %.2f\n", species[label.(int)], score)
	}
	return reply.Bytes(), "text/plain; charset=utf-8", nil
}

func main() { clary.Main(lines{}) }
