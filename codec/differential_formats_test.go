package codec_test

import (
	"slices"
	"strings"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

var differentials = []differential{
	{format: "json/bare", codec: codec.JSON{}, requests: true},
	{format: "json/instances", codec: codec.JSON{}, requests: true},
	{format: "json/inputs", codec: codec.JSON{}, requests: true},
	{format: "json/v2", codec: codec.JSON{}, requests: true},
	{format: "json/pandas", codec: codec.JSON{}, requests: true},
	{format: "json/infer", codec: codec.JSON{}, requests: true},
	{format: "json", codec: codec.JSON{}, outputs: jsonOutputs},
	{format: "v2binary", codec: codec.V2Binary{}, requests: true, outputs: v2BinaryOutputs},
	{format: "jsonlines", codec: codec.JSONLines{}, requests: true, outputs: lineOutputs},
	{format: "csv", codec: codec.CSV{}, requests: true, outputs: csvOutputs},
	{format: "csv/pandas", codec: codec.CSV{}, requests: true, outputs: pandasOutputs},
	{format: "npy", codec: codec.NPY{}, binary: true, requests: true, outputs: npyOutputs},
	{format: "npz", codec: codec.NPZ{}, binary: true, requests: true, outputs: npzOutputs},
	{format: "npz/sparse", codec: codec.NPZ{}, requests: true},
	{format: "octet-stream", codec: codec.Raw{}, binary: true, requests: true, outputs: rawOutputs},
	{format: "recordio", codec: codec.RecordIO{}, requests: true, outputs: recordOutputs},
	{format: "libsvm", codec: codec.LibSVM{}, requests: true},
	{format: "parquet", codec: codec.Parquet{}, requests: true, outputs: parquetOutputs},
	{format: "arrow", codec: codec.Arrow{}, requests: true},
	{format: "image", codec: codec.Image{}, binary: true, requests: true},
	{format: "text", codec: codec.Text{}, requests: true, outputs: textOutputs},
}

// jsonOutputs are those of a reply in any dialect.
func jsonOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	out, r := v.rowOutputs(everyType)
	if v.chance(.3) {
		out, r = v.outputs(4, everyType), codec.Reply{}
	}
	r.Dialect = pick(v, codec.Rows, codec.Bare, codec.Columns, codec.V2)
	r.Model = "m"
	if r.Dialect == codec.V2 {
		r.ID = v.text()
		r.Binary = v.chance(.3)
		for i := range out {
			if v.chance(.2) {
				r.Outputs = append(r.Outputs, codec.Output{Name: out[i].Name, Binary: v.chance(.5)})
			}
		}
	}
	r.Params = v.probabilities()
	return out, r
}

func v2BinaryOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	return v.outputs(4, everyType), codec.Reply{Found: codec.Found{Dialect: codec.V2, ID: v.text()}, Model: "m"}
}

func (v values) probabilities() map[string]string {
	if v.chance(.5) {
		return map[string]string{"probabilities": "map"}
	}
	return nil
}

func lineOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	out, r := v.rowOutputs(everyType)
	r.Params = v.probabilities()
	return out, r
}

// numpyText cuts the NULs off the ends of strings, which NumPy cannot hold.
func numpyText(out []runtime.Tensor) []runtime.Tensor {
	for _, t := range out {
		if s, ok := t.Data.([]string); ok {
			for i := range s {
				s[i] = strings.TrimRight(s[i], "\x00")
			}
		}
	}
	return out
}

func npyOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	return numpyText(v.outputs(1, everyType)), codec.Reply{}
}

func npzOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	out := numpyText(v.outputs(4, everyType))
	for i := range out { // a file's names are for every system
		out[i].Name = strings.Map(func(r rune) rune {
			if strings.ContainsRune("\t\\", r) {
				return 'x'
			}
			return r
		}, out[i].Name)
	}
	return out, codec.Reply{}
}

func rawOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	return v.outputs(1, slices.Concat(numbers, smallFloats)), codec.Reply{}
}

// csvOutputs are what has columns: none without, none with open rows.
func csvOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	out, r := v.rowOutputs(everyType)
	if v.chance(.1) {
		out, r.Infos = []runtime.Tensor{v.tensor("y", pick(v, everyType...), nil)}, nil
	}
	for i := range out {
		if slices.Contains(out[i].Shape[min(1, len(out[i].Shape)):], 0) {
			return csvOutputs(v)
		}
	}
	if len(r.Infos) == 2 && v.chance(.5) {
		slices.Reverse(out) // the probabilities first
		slices.Reverse(r.Infos)
	}
	r.Params = map[string]string{}
	if v.chance(.3) {
		r.Params["header"] = "present"
	}
	if v.chance(.3) {
		r.Params["delimiter"] = pick(v, ";", "\t", "|")
	}
	return out, r
}

func parquetOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	out, r := csvOutputs(v)
	r.Params = nil
	return out, r
}

// pandasOutputs are what pandas reads without help.
func pandasOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	rows := 1 + v.rows()
	out := make([]runtime.Tensor, 1+v.IntN(3))
	for i, name := range v.names(len(out)) {
		d := pick(v, runtime.Float32, runtime.Float64, runtime.Float16, runtime.Int64, runtime.Int8, runtime.Uint64, runtime.Bool, runtime.String)
		out[i] = v.tensor(name, d, []int{rows, 1 + v.IntN(4)})
		if s, ok := out[i].Data.([]string); ok {
			for j := range s {
				s[j] = strings.ReplaceAll(s[j], "\x00", "") // ends a string in pandas
			}
		}
	}
	r := codec.Reply{Trailing: v.chance(.5)}
	if v.chance(.5) {
		r.Params = map[string]string{"header": "present"}
	}
	return out, r
}

// recordOutputs hold integers that a float64 holds.
func recordOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	out, r := v.rowOutputs(everyType)
	for _, t := range out {
		switch data := t.Data.(type) {
		case []int64:
			for i := range data {
				data[i] >>= 11
			}
		case []uint64:
			for i := range data {
				data[i] >>= 11
			}
		}
	}
	if v.chance(.3) {
		r.Params = map[string]string{"as": "features"}
	}
	return out, r
}

// textOutputs have one value a row, strings no line ends.
func textOutputs(v values) ([]runtime.Tensor, codec.Reply) {
	rows := v.rows()
	shape := pick(v, []int{rows}, []int{rows, 1})
	t := v.tensor("y", pick(v, everyType...), shape)
	if s, ok := t.Data.([]string); ok && rows > 1 {
		for i := range s {
			s[i] = strings.NewReplacer("\n", " ", "\r", " ").Replace(s[i])
		}
	}
	return []runtime.Tensor{t}, codec.Reply{Trailing: v.chance(.5)}
}
