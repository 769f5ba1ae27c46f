package clary_test

import (
	"archive/zip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every model of testdata, sent in every format that can carry its inputs,
// answers what Python ONNX Runtime answers; and says it alike in every format
// that can carry its outputs.
func TestEveryModelAnswersLikePythonInEveryFormat(t *testing.T) {
	sent := map[string]int{}
	for _, dir := range models(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			e := readExpected(t, dir)
			p := start(t, "serve", nil, dir)
			for _, c := range e.Cases {
				for _, f := range forms {
					body, ok := f.body(c.Inputs)
					if !ok {
						continue
					}
					sent[f.name]++
					a := p.invoke(f.contentType, body)
					if f.name == "KServe V2" && sequences(c.Outputs) {
						if a.status != 406 {
							t.Errorf("%s: V2 has only tensors, yet it answers %d %s", c.Name, a.status, a.body)
						}
						continue
					}
					if a.status != 200 {
						t.Errorf("%s as %s: %d %s", c.Name, f.name, a.status, a.body)
						continue
					}
					if err := checkReply(f.name, e, c.Outputs, a); err != nil {
						t.Errorf("%s as %s: %v\n%.300s", c.Name, f.name, err, a.body)
					}
				}
				for _, accept := range []string{"text/csv", "application/jsonlines", "application/x-npy", "application/x-npz"} {
					body, _ := forms[2].body(c.Inputs) // by column, which carries everything
					a := p.invoke("application/json", body, "Accept", accept)
					if err := checkAccepted(accept, e, c.Outputs, a); err != nil {
						t.Errorf("%s, accepting %s: %v\n%.300q", c.Name, accept, err, a.body)
					}
				}
			}
		})
	}
	for _, f := range forms {
		if sent[f.name] < 20 {
			t.Errorf("only %d cases went out as %s", sent[f.name], f.name)
		}
	}
}

// checkReply holds a JSON reply against contract §11.10: a request in one
// dialect is answered in the same one.
func checkReply(form string, e expected, want []value, a answer) error {
	if got := a.header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("Content-Type %q", got)
	}
	v, err := parseJSON(a.body)
	if err != nil {
		return err
	}
	envelope, _ := v.(map[string]any)
	switch {
	case form == "bare JSON" && len(want) == 1:
		return checkColumn(want[0], v, e.RTol)
	case form == "bare JSON" && classifier(e):
		envelope = map[string]any{"predictions": v}
	case form == "bare JSON":
		return checkColumns(e, want, envelope)
	case form == "KServe V2":
		return checkV2(e, want, envelope)
	case form == "inputs" || columnar(want):
		columns, _ := envelope["outputs"].(map[string]any)
		return checkColumns(e, want, columns)
	}
	rows, ok := envelope["predictions"].([]any)
	if !ok {
		return fmt.Errorf("no predictions")
	}
	return checkRows(e, want, rows)
}

func checkColumns(e expected, want []value, columns map[string]any) error {
	if len(columns) != len(want) {
		return fmt.Errorf("%d columns, want %d", len(columns), len(want))
	}
	for _, w := range want {
		if err := checkColumn(w, columns[w.Name], e.RTol); err != nil {
			return err
		}
	}
	return nil
}

func sequences(want []value) bool {
	return slices.ContainsFunc(want, func(v value) bool { return v.Kind != "" })
}

// columnar reports whether outputs have no rows in common: a sequence of
// tensors is not one per row.
func columnar(want []value) bool {
	for _, w := range want {
		if w.Kind == "sequence" {
			if first, ok := w.Data[0].(map[string]any); ok && first["data"] != nil {
				return true
			}
		} else if len(w.Shape) == 0 {
			return true
		}
	}
	return false
}

// classifier reports whether the model is one whose ZipMap was cut.
func classifier(e expected) bool { return len(e.Outputs) == 2 && e.Outputs[1].Labels != nil }

func checkColumn(want value, got any, rtol float64) error {
	if want.Kind == "sequence" {
		return checkSequence(want, got, rtol)
	}
	leaves, shape := flatten(got)
	if len(want.Data) > 0 && !slices.Equal(shape, want.Shape) {
		return fmt.Errorf("%s has shape %v, want %v", want.Name, shape, want.Shape)
	}
	if d := differs(want, leaves, rtol); d != "" {
		return fmt.Errorf("%s", d)
	}
	return nil
}

// checkSequence compares a list of tensors, as nested lists, or of maps, as
// objects.
func checkSequence(want value, got any, rtol float64) error {
	list, ok := got.([]any)
	if !ok || len(list) != len(want.Data) {
		return fmt.Errorf("%s is %v, want a list of %d", want.Name, got, len(want.Data))
	}
	for i, item := range want.Data {
		w := item.(map[string]any)
		if keys, ok := w["keys"].([]any); ok {
			object, ok := list[i].(map[string]any)
			if !ok || len(object) != len(keys) {
				return fmt.Errorf("%s[%d] is %v", want.Name, i, list[i])
			}
			for k, key := range keys {
				if !equal(want, w["values"].([]any)[k], object[text(key)], rtol) {
					return fmt.Errorf("%s[%d][%v] is %v", want.Name, i, key, object[text(key)])
				}
			}
			continue
		}
		leaves, _ := flatten(list[i])
		part := value{Name: want.Name, DType: want.DType, Data: w["data"].([]any)}
		if d := differs(part, leaves, rtol); d != "" {
			return fmt.Errorf("%s", d)
		}
	}
	return nil
}

func checkRows(e expected, want []value, rows []any) error {
	columns := map[string][]any{}
	for i, row := range rows {
		switch object, isObject := row.(map[string]any); {
		case classifier(e):
			if !isObject || len(object) != 2 {
				return fmt.Errorf("row %d is %v, want label and probabilities", i, row)
			}
			columns[want[0].Name] = append(columns[want[0].Name], object["label"])
			columns[want[1].Name] = append(columns[want[1].Name], object["probabilities"])
		case len(want) == 1:
			columns[want[0].Name] = append(columns[want[0].Name], row)
		case !isObject || len(object) != len(want):
			return fmt.Errorf("row %d is %v, want an object of %d outputs", i, row, len(want))
		default:
			for _, w := range want {
				columns[w.Name] = append(columns[w.Name], object[w.Name])
			}
		}
	}
	for _, w := range want {
		if err := checkColumn(w, append([]any{}, columns[w.Name]...), e.RTol); err != nil {
			return err
		}
	}
	return nil
}

func checkV2(e expected, want []value, envelope map[string]any) error {
	outputs, ok := envelope["outputs"].([]any)
	if !ok || len(outputs) != len(want) || envelope["id"] != "seven" || envelope["model_name"] == "" {
		return fmt.Errorf("no V2 reply with the request's id and %d outputs", len(want))
	}
	for i, w := range want {
		o := outputs[i].(map[string]any)
		shape, _ := flatten(o["shape"])
		shape = append([]any{}, shape...)
		if o["name"] != w.Name || o["datatype"] != v2Types[w.DType] || mustJSON(shape) != mustJSON(append([]int{}, w.Shape...)) {
			return fmt.Errorf("output %d is %v %v %v", i, o["name"], o["datatype"], shape)
		}
		data, ok := o["data"].([]any)
		if !ok {
			return fmt.Errorf("output %d has no data", i)
		}
		if d := differs(w, data, e.RTol); d != "" {
			return fmt.Errorf("%s", d)
		}
	}
	return nil
}

// checkAccepted holds a reply in another media type against what is expected;
// what the media type cannot carry must be a 406.
func checkAccepted(accept string, e expected, want []value, a answer) error {
	possible := !sequences(want)
	switch accept {
	case "application/x-npy":
		possible = possible && len(want) == 1
	case "text/csv":
		possible = possible && (ranked(want) || len(want) == 1)
	case "application/jsonlines":
		possible = !columnar(want)
	}
	if !possible {
		if a.status != 406 {
			return fmt.Errorf("status %d, want 406", a.status)
		}
		return nil
	}
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), accept) {
		return fmt.Errorf("status %d, %s", a.status, a.header.Get("Content-Type"))
	}
	switch accept {
	case "text/csv":
		return checkCSV(e, want, a.body)
	case "application/jsonlines":
		var rows []any
		for _, line := range strings.FieldsFunc(a.body, func(r rune) bool { return r == '\n' }) {
			row, err := parseJSON(line)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return checkRows(e, want, rows)
	case "application/x-npy":
		return checkNPY(want[0], a.body, e.RTol)
	}
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil || len(z.File) != len(want) {
		return fmt.Errorf("no zip of %d: %v", len(want), err)
	}
	for i, w := range want {
		if z.File[i].Name != w.Name+".npy" {
			return fmt.Errorf("member %s, want %s.npy", z.File[i].Name, w.Name)
		}
		f, err := z.File[i].Open()
		if err != nil {
			return err
		}
		body, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		if err := checkNPY(w, string(body), e.RTol); err != nil {
			return err
		}
	}
	return nil
}

func checkNPY(want value, body string, rtol float64) error {
	data, shape, err := parseNPY(body, want.DType)
	if err != nil {
		return err
	}
	if !slices.Equal(shape, want.Shape) {
		return fmt.Errorf("shape %v, want %v", shape, want.Shape)
	}
	if d := differs(want, data, rtol); d != "" {
		return fmt.Errorf("%s", d)
	}
	return nil
}

// checkCSV splits each line among the outputs in the model's order.
func checkCSV(e expected, want []value, body string) error {
	r := csv.NewReader(strings.NewReader(body))
	lines, err := r.ReadAll()
	if err != nil {
		return err
	}
	columns := map[string][]any{}
	for i, line := range lines {
		at := 0
		for _, w := range want {
			end := at + w.width()
			if end > len(line) {
				return fmt.Errorf("line %d has %d values", i+1, len(line))
			}
			for _, cell := range line[at:end] {
				if w.isFloat() && cell != "" {
					columns[w.Name] = append(columns[w.Name], json.Number(cell))
				} else {
					columns[w.Name] = append(columns[w.Name], cell)
				}
			}
			at = end
		}
		if at != len(line) {
			return fmt.Errorf("line %d has %d values, want %d", i+1, len(line), at)
		}
	}
	for _, w := range want {
		w.Data = append([]any{}, w.Data...)
		for i, x := range w.Data {
			if s, ok := x.(string); ok { // as the reader of the standard library has it
				w.Data[i] = strings.ReplaceAll(s, "\r\n", "\n")
			}
		}
		if d := differs(w, columns[w.Name], e.RTol); d != "" {
			return fmt.Errorf("%s", d)
		}
	}
	return nil
}
