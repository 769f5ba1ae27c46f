package clary

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strconv"
	"strings"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// A format is what GET / and inspect say of a media type.
type format struct {
	MediaType string `json:"media_type"`
	Accepts   bool   `json:"accepts"`           // as a request of this model
	Emits     bool   `json:"emits"`             // as a reply, where it can carry the outputs
	Example   string `json:"example,omitempty"` // a command that the model answers
}

// longest is the most bytes of a body that an example spells out.
const longest = 4096

// formats lists every media type with an example of it for a model's inputs.
// A body is shown only after the codec itself has read it.
func formats(inputs, outputs []runtime.Info, options *codec.Options, host string) []format {
	ones := sampleTensors(inputs)
	var list []format
	for _, c := range codec.All() {
		for _, mediaType := range shown(c) {
			f := format{MediaType: mediaType, Emits: emits(c, outputs)}
			body := sampleBody(c, withDefaults(mediaType, options), inputs, ones)
			if _, csv := c.(codec.CSV); csv && options.SparkML != nil {
				columns := options.SparkML.Columns()
				body = sampleBody(c, mediaType, columns, sampleTensors(columns))
			}
			r := codec.Request{Want: inputs, Options: options}
			if m, err := codec.ParseMediaType(body.mediaType); err == nil {
				r.Params = m.Params
			}
			f.Accepts = body.maker != ""
			if len(body.bytes) > 0 {
				_, err := c.Decode(body.bytes, &r)
				f.Accepts = err == nil
			}
			if _, v2 := c.(codec.V2Binary); v2 && !f.Emits {
				f.Accepts = false // it answers in kind
			}
			if f.Accepts {
				f.Example = body.command(host)
			}
			list = append(list, f)
		}
	}
	return list
}

// withDefaults says in a media type's parameters what an example relies on
// where the model's options say something else.
func withDefaults(mediaType string, o *codec.Options) string {
	switch {
	case mediaType == "text/csv" && o.Reply.Style == codec.HuggingFace:
		return mediaType + "; header=absent"
	case mediaType == "text/libsvm" && o.LibSVM.ZeroBased:
		return mediaType + "; index_base=1"
	}
	return mediaType
}

// shown are the names under which a codec is listed: its canonical one, of
// pictures each kind.
func shown(c codec.Codec) []string {
	if _, ok := c.(codec.Image); ok {
		return []string{"image/png", "image/jpeg", "image/webp", "application/x-image"}
	}
	return c.MediaTypes()[:1]
}

// emits reports whether c can write a model's outputs, tried on one of each. A
// sequence or a map only JSON can.
func emits(c codec.Codec, outputs []runtime.Info) bool {
	ts := make([]runtime.Tensor, len(outputs))
	for i, info := range outputs {
		if info.Kind != runtime.KindTensor {
			_, ok := c.(codec.JSON)
			return ok
		}
		shape, n := make([]int, len(info.Shape)), 1
		for axis := range shape {
			shape[axis] = 1
		}
		if len(info.Labels) > 0 && len(shape) > 0 {
			n = len(info.Labels)
			shape[len(shape)-1] = n
		}
		ts[i] = runtime.Tensor{Name: info.Name, Shape: shape, Data: ones(info.DType, n)}
	}
	_, err := c.Encode(nil, ts, &codec.Reply{Infos: outputs})
	return codec.Writes(c) && err == nil
}

// sampleTensors returns an input for each info: ones, true, "text"; open
// dimensions are 1. nil where that is too much to be shown.
func sampleTensors(inputs []runtime.Info) []runtime.Tensor {
	ts := make([]runtime.Tensor, len(inputs))
	for i, info := range inputs {
		shape := make([]int, len(info.Shape))
		for axis, d := range info.Shape {
			shape[axis] = max(d, 1)
		}
		n, err := runtime.Elements(shape)
		if err != nil || info.Kind != runtime.KindTensor || n > longest {
			return nil
		}
		ts[i] = runtime.Tensor{Name: info.Name, Shape: shape, Data: ones(info.DType, n)}
	}
	return ts
}

func ones(d runtime.DType, n int) any {
	if d == runtime.String {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = "text"
		}
		return texts
	}
	bytes := make([]uint8, n)
	for i := range bytes {
		bytes[i] = 1
	}
	if d == runtime.Bool {
		return runtime.View(runtime.Bool, bytes)
	}
	data, err := codec.Convert(d, bytes)
	if err != nil {
		return runtime.Make(d, n) // zeros
	}
	return data
}

// A body is an example, and how it is sent.
type body struct {
	mediaType string
	bytes     []byte
	maker     string // a command that prints it, where it is not spelled out
}

// command returns the line to paste.
func (b body) command(host string) string {
	curl := fmt.Sprintf("curl -s %s/invocations -H 'Content-Type: %s'", host, b.mediaType)
	switch text := string(b.bytes); {
	case b.maker != "":
		return b.maker + " | " + curl + " --data-binary @-"
	case len(b.bytes) > longest:
		return ""
	case printable(text) && text[0] != '@': // which curl takes for a file's name
		return curl + " --data-binary '" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return "echo " + base64.StdEncoding.EncodeToString(b.bytes) + " | base64 -d | " + curl + " --data-binary @-"
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// sampleBody makes a request's body in a media type; without bytes where that
// cannot carry the inputs.
func sampleBody(c codec.Codec, mediaType string, inputs []runtime.Info, ts []runtime.Tensor) body {
	b := body{mediaType: mediaType}
	if wide, ok := wideBody(c, mediaType, inputs); ok {
		return wide
	}
	if len(ts) == 0 {
		return b
	}
	reply := codec.Reply{Infos: inputs}
	switch c.(type) {
	case codec.JSON:
		b.bytes = columnsBody(ts)
		return b
	case codec.JSONLines:
		// An entry a row, by name where there are several: also what it writes.
	case codec.RecordIO:
		reply.Params = map[string]string{"as": "features"}
	case codec.LibSVM:
		b.bytes = libsvmBody(ts)
		return b
	case codec.V2Binary:
		return binaryBody(ts)
	case codec.Arrow:
		// There is no encoder to try; it takes the tables that Parquet takes.
		if table, err := (codec.Parquet{}).Encode(nil, ts, &reply); err == nil {
			if _, err := (codec.Parquet{}).Decode(table, &codec.Request{Want: inputs}); err == nil {
				b.maker = arrowMaker(ts)
			}
		}
		return b
	case codec.Image:
		b.bytes = picture(mediaType)
		return b
	}
	var err error
	if b.bytes, err = c.Encode(nil, ts, &reply); err != nil {
		b.bytes = nil
	}
	return b
}

// wideBody is a row that is too long to be spelled out, as CSV or raw zeros.
func wideBody(c codec.Codec, mediaType string, inputs []runtime.Info) (body, bool) {
	if len(inputs) != 1 || len(inputs[0].Shape) == 0 || inputs[0].DType == runtime.String {
		return body{}, false
	}
	rows, width := max(inputs[0].Shape[0], 1), 1
	for _, d := range inputs[0].Shape[1:] {
		width *= max(d, 1)
	}
	if rows*width <= widest || rows*width > 1<<24 {
		return body{}, false
	}
	switch c.(type) {
	case codec.CSV:
		row := strings.Repeat("1,", width-1) + "1\n"
		return body{mediaType, []byte(strings.Repeat(row, rows)),
			fmt.Sprintf(`awk 'BEGIN{for(r=0;r<%d;r++){for(i=1;i<%d;i++)printf "1,";print 1}}'`, rows, width)}, true
	case codec.Raw:
		n := rows * width * inputs[0].DType.Size()
		return body{mediaType, make([]byte, n), fmt.Sprintf("head -c %d /dev/zero", n)}, true
	}
	return body{}, false
}

// columnsBody is {"inputs":{name: nested lists}}.
func columnsBody(ts []runtime.Tensor) []byte {
	columns, err := codec.JSON{}.Encode(nil, ts, &codec.Reply{Found: codec.Found{Dialect: codec.Columns}})
	if err != nil {
		return nil
	}
	// What it writes of outputs is what it reads of inputs, by another key.
	return append([]byte(`{"inputs"`), bytes.TrimPrefix(columns, []byte(`{"outputs"`))...)
}

func libsvmBody(ts []runtime.Tensor) []byte {
	if len(ts) != 1 {
		return nil
	}
	line := []byte("0")
	for i := range runtime.Len(ts[0].Data) {
		line = append(strconv.AppendInt(append(line, ' '), int64(i+1), 10), ":1"...)
	}
	return line
}

// binaryBody is a KServe V2 request whose tensors follow its JSON header.
func binaryBody(ts []runtime.Tensor) body {
	r := codec.Reply{Found: codec.Found{Dialect: codec.V2}}
	out, err := codec.V2Binary{}.Encode(nil, ts, &r)
	if err != nil {
		return body{}
	}
	m, err := codec.ParseMediaType(r.ContentType)
	if err != nil {
		return body{}
	}
	size, err := strconv.Atoi(m.Params["json-header-size"])
	if err != nil || size > len(out) {
		return body{}
	}
	// What it writes of outputs is what it reads of inputs, by another key.
	header := strings.Replace(string(out[:size]), `"outputs":`, `"inputs":`, 1)
	return body{mediaType: m.Type + ";json-header-size=" + strconv.Itoa(len(header)), bytes: append([]byte(header), out[size:]...)}
}

// arrowMaker prints an Arrow stream by pyarrow, one column a value of a row.
func arrowMaker(ts []runtime.Tensor) string {
	var columns []string
	for _, t := range ts {
		width := 1
		for _, d := range t.Shape[min(1, len(t.Shape)):] {
			width *= d
		}
		for i := range width {
			name := t.Name
			if width > 1 {
				name += "_" + strconv.Itoa(i)
			}
			value := "1"
			switch t.DType() {
			case runtime.String:
				value = `"text"`
			case runtime.Bool:
				value = "True"
			}
			columns = append(columns, strings.ReplaceAll(strconv.QuoteToASCII(name), "'", `\x27`)+": ["+value+"]")
		}
	}
	return `python3 -c 'import sys, pyarrow as pa; t = pa.table({` + strings.Join(columns, ", ") + `}); pa.ipc.new_stream(sys.stdout.buffer, t.schema).write_table(t)'`
}

// picture is one grey pixel; of WebP there is no encoder, so it is spelled out.
func picture(mediaType string) []byte {
	var b bytes.Buffer
	pixel := image.NewGray(image.Rect(0, 0, 1, 1))
	switch mediaType {
	case "image/jpeg":
		if jpeg.Encode(&b, pixel, nil) != nil {
			return nil
		}
	case "image/webp":
		data, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
		if err != nil {
			return nil
		}
		b.Write(data)
	default:
		if png.Encode(&b, pixel) != nil {
			return nil
		}
	}
	return b.Bytes()
}
