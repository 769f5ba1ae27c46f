package codec

import (
	"bytes"

	"github.com/claryhq/clary/runtime"
)

// JSON is application/json in the dialects that clients of model servers use
// (contract §11.10); Found.Dialect says which one a request came in.
//
//	[[5.1, 3.5, 1.4, 0.2]]                                bare: rows, or one row for an input with an open first dimension
//	{"instances": [[5.1, 3.5, 1.4, 0.2]]}                 rows: lists or scalars for the only input, lists with a value for each input,
//	{"instances": [{"age": 39, "job": "clerk"}]}          objects by input name,
//	{"instances": [{"features": [5.1, 3.5, 1.4, 0.2]}]}   vectors of features, also {"data": {"features": {"values": [...]}}}
//	{"inputs": {"x": [[5.1, 3.5, 1.4, 0.2]]}}             columns: whole tensors by name, or without one for the only input
//	{"inputs": [{"name": "x", "shape": [1, 4],
//	  "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]} KServe V2
//	{"columns": ["age", "job"], "data": [[39, "clerk"]]}  pandas split, also under "dataframe_split", and "dataframe_records"
//	{"data": [39, "clerk"]}                               SparkML, by the model's [Schema] or one in the request's "schema"
//
// Numbers are read by the rules of docs/types.md, straight from the body into
// the slice that the model reads. Strings without escapes share the body's
// memory. Encode answers in the request's dialect; see [Reply].
type JSON struct{}

// MediaTypes implements [Codec].
func (JSON) MediaTypes() []string { return []string{"application/json"} }

// Decode implements [Codec].
func (JSON) Decode(body []byte, req *Request) ([]runtime.Tensor, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // what some editors put in front
	if in, ok := plainRows(body, req); ok {
		return in, nil
	}
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return nil, ErrEmpty
	}
	return decodeJSON(body, nil, req)
}

// decodeJSON reads a body; tail is what follows it, the data of binary tensors,
// and nil where there can be none.
func decodeJSON(body, tail []byte, req *Request) ([]runtime.Tensor, error) {
	req.Found = Found{}
	d := jsonBody{found: &req.Found, tail: tail, binary: tail != nil}
	d.request = req
	if err := d.start(body, req.Want); err != nil {
		return nil, err
	}
	if err := d.read(); err != nil {
		return nil, err
	}
	if c := d.peek(); c == '{' || c == '[' {
		return nil, d.syntax("the end of the body (a value a line is application/jsonlines)")
	} else if d.i < len(d.b) {
		return nil, d.syntax("the end of the body")
	}
	if len(d.tail) > 0 {
		return nil, errorf("JSON", "", "%d bytes of binary data that no input claims follow", len(d.tail))
	}
	if d.rows != nil {
		return d.rows.finish("JSON", req)
	}
	return d.tensors()
}
