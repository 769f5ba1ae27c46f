package clary_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/runtime"
)

// The formats as a client writes and reads them, by the standard library and
// nothing of package codec.

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// nested folds flat data into lists of a shape.
func nested(data []any, shape []int) any {
	if len(shape) == 0 {
		return data[0]
	}
	list := make([]any, shape[0])
	for i := range list {
		n := len(data) / shape[0]
		list[i] = nested(data[i*n:(i+1)*n], shape[1:])
	}
	return list
}

func rowValue(v value, i int) any { return nested(v.row(i), v.Shape[1:]) }

// v2Types are KServe's names.
var v2Types = map[string]string{"float32": "FP32", "float64": "FP64", "float16": "FP16", "bfloat16": "BF16", "bool": "BOOL", "string": "BYTES",
	"int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64"}

// descrs are numpy's names; what numpy has no name for is written as raw
// bytes, as ml_dtypes does.
var descrs = map[string]string{"float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "<V2", "bool": "|b1",
	"int8": "|i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "uint8": "|u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8",
	"float8e4m3fn": "|V1", "float8e4m3fnuz": "|V1", "float8e5m2": "|V1", "float8e5m2fnuz": "|V1"}

// A form is a way to send a case. body returns false for a case that the form
// cannot carry.
type form struct {
	name        string
	contentType string
	body        func(in []value) (string, bool)
}

func ranked(in []value) bool {
	for _, v := range in {
		if len(v.Shape) == 0 {
			return false
		}
	}
	return true
}

func rowObjects(in []value) ([]any, bool) {
	if !ranked(in) {
		return nil, false
	}
	rows := make([]any, in[0].rows())
	for i := range rows {
		if len(in) == 1 {
			rows[i] = rowValue(in[0], i)
			continue
		}
		row := map[string]any{}
		for _, v := range in {
			row[v.Name] = rowValue(v, i)
		}
		rows[i] = row
	}
	return rows, true
}

var forms = []form{
	{"bare JSON", "application/json", func(in []value) (string, bool) {
		return mustJSON(nested(in[0].Data, in[0].Shape)), len(in) == 1
	}},
	{"instances", "application/json; charset=UTF-8", func(in []value) (string, bool) {
		rows, ok := rowObjects(in)
		return mustJSON(map[string]any{"instances": rows}), ok
	}},
	{"inputs", "Application/JSON", func(in []value) (string, bool) {
		columns := map[string]any{}
		for _, v := range in {
			columns[v.Name] = nested(v.Data, v.Shape)
		}
		return mustJSON(map[string]any{"inputs": columns}), true
	}},
	{"KServe V2", "application/json", func(in []value) (string, bool) {
		tensors := make([]any, len(in))
		for i, v := range in {
			if v2Types[v.DType] == "" {
				return "", false
			}
			tensors[i] = map[string]any{"name": v.Name, "shape": append([]int{}, v.Shape...), "datatype": v2Types[v.DType], "data": append([]any{}, v.Data...)}
		}
		return mustJSON(map[string]any{"id": "seven", "inputs": tensors}), true
	}},
	{"pandas split", "application/json", func(in []value) (string, bool) { return split(in, false) }},
	{"dataframe_split", "application/json", func(in []value) (string, bool) { return split(in, true) }},
	{"JSON Lines", "application/jsonlines", func(in []value) (string, bool) {
		rows, ok := rowObjects(in)
		var b strings.Builder
		for _, row := range rows {
			b.WriteString(mustJSON(row) + "\n")
		}
		return b.String(), ok && len(rows) > 0
	}},
	{"CSV", "text/csv", func(in []value) (string, bool) {
		if !ranked(in) || in[0].rows() == 0 {
			return "", false
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		for i := range in[0].rows() {
			var cells []string
			for _, v := range in {
				for _, x := range v.row(i) {
					cells = append(cells, text(x))
				}
			}
			if len(cells) == 1 && cells[0] == "" {
				return "", false // an empty line is no row
			}
			if err := w.Write(cells); err != nil {
				panic(err)
			}
		}
		w.Flush()
		return b.String(), !strings.Contains(b.String(), "\r") // the writer of the standard library normalises it
	}},
	{"NPY", "application/x-npy", func(in []value) (string, bool) {
		return npy(in[0]), len(in) == 1
	}},
	{"NPZ", "application/x-npz", func(in []value) (string, bool) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, v := range in {
			w, err := z.Create(v.Name + ".npy")
			if err != nil {
				panic(err)
			}
			if _, err := io.WriteString(w, npy(v)); err != nil {
				panic(err)
			}
		}
		if err := z.Close(); err != nil {
			panic(err)
		}
		return b.String(), true
	}},
}

// split is a pandas data frame: one column per input, or the columns of one.
func split(in []value, enveloped bool) (string, bool) {
	if !ranked(in) {
		return "", false
	}
	columns, data := []string{}, make([]any, in[0].rows())
	for _, v := range in {
		switch {
		case len(v.Shape) != 2 || len(in) > 1 && v.Shape[1] != 1:
			return "", false
		case len(in) > 1:
			columns = append(columns, v.Name)
		default:
			for c := range v.Shape[1] {
				columns = append(columns, "c"+strconv.Itoa(c))
			}
		}
	}
	for i := range data {
		row := []any{}
		for _, v := range in {
			row = append(row, v.row(i)...)
		}
		data[i] = row
	}
	var frame any = map[string]any{"columns": columns, "data": data}
	if enveloped {
		frame = map[string]any{"dataframe_split": frame}
	}
	return mustJSON(frame), true
}

// npy writes an array as numpy does.
func npy(v value) string {
	var data bytes.Buffer
	descr := descrs[v.DType]
	if v.isText() {
		longest := 1
		for _, x := range v.Data {
			longest = max(longest, utf8.RuneCountInString(x.(string)))
		}
		descr = "<U" + strconv.Itoa(longest)
		for _, x := range v.Data {
			runes := make([]int32, longest)
			copy(runes, []rune(x.(string)))
			must(binary.Write(&data, binary.LittleEndian, runes))
		}
	} else {
		for _, x := range v.Data {
			must(binary.Write(&data, binary.LittleEndian, element(v.DType, text(x))))
		}
	}
	dims := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		dims[i] = strconv.Itoa(d) + ","
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.Join(dims, " "))
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(header)), byte(len(header) >> 8)}) + header + data.String()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// element is a number or truth value as its type's bits.
func element(dtype, s string) any {
	if strings.Contains(dtype, "float") {
		v, err := inType(dtype, s)
		must(err)
		switch dtype {
		case "float32":
			return float32(v)
		case "float16":
			return uint16(runtime.ToF16(v))
		case "bfloat16":
			return uint16(runtime.ToBF16(v))
		case "float8e4m3fn":
			return uint8(runtime.ToF8E4M3FN(v))
		case "float8e4m3fnuz":
			return uint8(runtime.ToF8E4M3FNUZ(v))
		case "float8e5m2":
			return uint8(runtime.ToF8E5M2(v))
		case "float8e5m2fnuz":
			return uint8(runtime.ToF8E5M2FNUZ(v))
		}
		return v
	}
	if dtype == "bool" {
		return s == "true"
	}
	bits, err := strconv.Atoi(strings.TrimLeft(dtype, "uint"))
	must(err)
	var n uint64
	if dtype[0] == 'u' {
		n, err = strconv.ParseUint(s, 10, bits)
	} else {
		var signed int64
		signed, err = strconv.ParseInt(s, 10, bits)
		n = uint64(signed)
	}
	must(err)
	switch bits {
	case 8:
		return uint8(n)
	case 16:
		return uint16(n)
	case 32:
		return uint32(n)
	}
	return n
}

var npyHeader = regexp.MustCompile(`^\{'descr': '([^']+)', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n$`)

// parseNPY reads what numpy would write for a tensor of dtype.
func parseNPY(body, dtype string) (data []any, shape []int, err error) {
	if len(body) < 10 || body[:8] != "\x93NUMPY\x01\x00" {
		return nil, nil, fmt.Errorf("no NPY: %.40q", body)
	}
	n := 10 + int(body[8]) + int(body[9])<<8
	if n > len(body) || n%64 != 0 {
		return nil, nil, fmt.Errorf("a header of %d bytes in %d", n, len(body))
	}
	m := npyHeader.FindStringSubmatch(body[10:n])
	if m == nil {
		return nil, nil, fmt.Errorf("header %q", body[10:n])
	}
	count := 1
	for _, d := range strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' }) {
		size, err := strconv.Atoi(d)
		if err != nil {
			return nil, nil, err
		}
		shape, count = append(shape, size), count*size
	}
	raw := body[n:]
	if dtype == "string" {
		width, err := strconv.Atoi(strings.TrimPrefix(m[1], "<U"))
		if err != nil || len(raw) != 4*width*count {
			return nil, nil, fmt.Errorf("descr %s, %d bytes for %d strings", m[1], len(raw), count)
		}
		for i := range count {
			var b strings.Builder
			for c := range width {
				if r := binary.LittleEndian.Uint32([]byte(raw[4*(i*width+c):])); r != 0 {
					b.WriteRune(rune(r))
				}
			}
			data = append(data, b.String())
		}
		return data, shape, nil
	}
	if m[1] != descrs[dtype] {
		return nil, nil, fmt.Errorf("descr %s, want %s", m[1], descrs[dtype])
	}
	size := int(m[1][2] - '0')
	if len(raw) != count*size {
		return nil, nil, fmt.Errorf("%d bytes for %d elements of %d", len(raw), count, size)
	}
	for i := range count {
		data = append(data, fromBits(dtype, raw[i*size:(i+1)*size]))
	}
	return data, shape, nil
}

func fromBits(dtype, raw string) any {
	var n uint64
	for i := len(raw) - 1; i >= 0; i-- {
		n = n<<8 | uint64(raw[i])
	}
	number := func(v float64) any {
		if math.IsNaN(v) {
			return "NaN"
		}
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64))
	}
	switch dtype {
	case "bool":
		return n == 1
	case "float64":
		return number(math.Float64frombits(n))
	case "float32":
		return number(float64(math.Float32frombits(uint32(n))))
	case "float16":
		return number(float64(runtime.F16(n).Float32()))
	case "bfloat16":
		return number(float64(runtime.BF16(n).Float32()))
	case "float8e4m3fn":
		return number(float64(runtime.F8E4M3FN(n).Float32()))
	case "float8e4m3fnuz":
		return number(float64(runtime.F8E4M3FNUZ(n).Float32()))
	case "float8e5m2":
		return number(float64(runtime.F8E5M2(n).Float32()))
	case "float8e5m2fnuz":
		return number(float64(runtime.F8E5M2FNUZ(n).Float32()))
	}
	if dtype[0] == 'u' {
		return json.Number(strconv.FormatUint(n, 10))
	}
	shift := 64 - 8*len(raw)
	return json.Number(strconv.FormatInt(int64(n<<shift)>>shift, 10))
}
