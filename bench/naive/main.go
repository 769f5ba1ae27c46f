// Naive is the server that one writes in an afternoon: net/http, encoding/csv
// and encoding/json into interfaces, fresh tensors for every Run, ONNX
// Runtime's own number of threads. It is the baseline that bench compares
// Clary with, and is to stay as it is.
//
// It takes CSV and JSON ({"instances": ...}) for a model with one float32
// input, and answers JSON.
package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: naive ADDRESS LIBRARY MODEL")
	}
	m, err := open(args[1], args[2])
	if err != nil {
		return err
	}
	http.HandleFunc("GET /ping", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /invocations", m.invocations)
	return http.ListenAndServe(args[0], nil)
}

// A model is a session and what it takes and returns.
type model struct {
	session *ort.DynamicAdvancedSession
	input   ort.InputOutputInfo
	outputs []ort.InputOutputInfo
}

func open(library, path string) (*model, error) {
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(); err != nil {
		return nil, err
	}
	inputs, outputs, err := ort.GetInputOutputInfo(path)
	if err != nil {
		return nil, err
	}
	if len(inputs) != 1 {
		return nil, fmt.Errorf("%s has %d inputs, want one", path, len(inputs))
	}
	var names []string
	for _, out := range outputs {
		names = append(names, out.Name)
	}
	session, err := ort.NewDynamicAdvancedSession(path, []string{inputs[0].Name}, names, nil)
	return &model{session, inputs[0], outputs}, err
}

func (m *model) invocations(w http.ResponseWriter, r *http.Request) {
	var rows any
	var err error
	if r.Header.Get("Content-Type") == "text/csv" {
		rows, err = readCSV(r)
	} else {
		var body struct{ Instances any }
		err = json.NewDecoder(r.Body).Decode(&body)
		rows = body.Instances
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	predictions, err := m.predict(rows)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"predictions": predictions}) // the client may have gone
}

func readCSV(r *http.Request) (any, error) {
	records, err := csv.NewReader(r.Body).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows []any
	for _, record := range records {
		var row []any
		for _, field := range record {
			v, err := strconv.ParseFloat(field, 32)
			if err != nil {
				return nil, err
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// flatten appends the numbers of nested lists.
func flatten(dst []float32, v any) []float32 {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			dst = flatten(dst, e)
		}
	case float64:
		dst = append(dst, float32(v))
	}
	return dst
}

func (m *model) predict(rows any) (any, error) {
	data := flatten(nil, rows)
	list, ok := rows.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("no rows")
	}
	shape := append(ort.Shape{int64(len(list))}, m.input.Dimensions[1:]...)
	in, err := ort.NewTensor(shape, data)
	if err != nil {
		return nil, err
	}
	defer in.Destroy()
	outputs := make([]ort.Value, len(m.outputs))
	if err := m.session.Run([]ort.Value{in}, outputs); err != nil {
		return nil, err
	}
	all := map[string]any{}
	for i, out := range outputs {
		if all[m.outputs[i].Name], err = native(out); err != nil {
			return nil, err
		}
		defer out.Destroy()
	}
	return all, nil
}

// native turns a value into what encoding/json takes.
func native(v ort.Value) (any, error) {
	switch v := v.(type) {
	case *ort.Tensor[float32]:
		return v.GetData(), nil
	case *ort.Tensor[int64]:
		return v.GetData(), nil
	case *ort.Sequence:
		values, err := v.GetValues()
		if err != nil {
			return nil, err
		}
		var list []any
		for _, e := range values {
			n, err := native(e)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		return list, nil
	case *ort.Map:
		keys, values, err := v.GetKeysAndValues()
		if err != nil {
			return nil, err
		}
		labels, scores := keys.(*ort.Tensor[int64]).GetData(), values.(*ort.Tensor[float32]).GetData()
		out := map[string]float32{}
		for i, label := range labels {
			out[strconv.FormatInt(label, 10)] = scores[i]
		}
		return out, nil
	}
	return nil, fmt.Errorf("an output is a %T", v)
}
