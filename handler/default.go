package handler

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// Default serves any ONNX model: it opens the artifact's model, decodes and
// encodes every media type that package codec knows, and runs the model in
// between. It has no state; embed it and override what should differ.
type Default struct{}

var _ Handler = Default{}

// ModelFn opens the artifact's model file.
func (Default) ModelFn(ctx context.Context, env Env) (Model, error) {
	if env.Path == "" {
		return nil, fmt.Errorf("%w: %s holds no .onnx file", runtime.ErrModel, env.Dir)
	}
	return env.Open(ctx, env.Path)
}

// InputFn decodes body into the model's inputs. Without a model that tells
// its inputs, names and types come from the body.
func (Default) InputFn(ctx context.Context, body []byte, contentType string) (Tensors, error) {
	c, params, err := codec.For(contentType)
	if err != nil {
		return nil, err
	}
	req := RequestFrom(ctx)
	r := req.Scratch.decoding()
	r.Want, r.Params, r.Options = req.Inputs, params, req.Options
	in, err := c.Decode(body, r)
	if err != nil {
		return nil, err
	}
	req.Found = r.Found
	return in, nil
}

// PredictFn runs m, which must be a runtime.Session.
func (Default) PredictFn(ctx context.Context, in Tensors, m Model) (Tensors, error) {
	s, ok := m.(runtime.Session)
	if !ok {
		return nil, fmt.Errorf("the default PredictFn runs a runtime.Session, ModelFn returned a %T: override PredictFn too", m)
	}
	scratch := RequestFrom(ctx).Scratch
	out, err := s.Run(ctx, in, scratch.outputs())
	scratch.keep(out)
	return out, err
}

// OutputFn encodes the outputs that the request asks for, all where it names
// none, in the dialect of the request and the best media type that accept
// allows. Outputs can be chosen in a KServe V2 body or, for every media type,
// by the custom attribute ort-outputs=a|b (contract §3.2).
func (Default) OutputFn(ctx context.Context, out Tensors, accept string) ([]byte, string, error) {
	req := RequestFrom(ctx)
	if req.Unasked && req.Default == "" && req.Found.Dialect == codec.SparkML {
		accept = "text/csv" // the SparkML container's default (contract §11.7)
	}
	c, params, contentType, err := codec.Negotiate(accept, req.Default, req.ContentType)
	if err != nil {
		return nil, "", err
	}
	out, infos, err := chosen(out, req, params)
	if err != nil {
		return nil, "", err
	}
	reply, dst := req.Scratch.encoding()
	*reply = codec.Reply{Found: req.Found, Params: params, Infos: infos, Model: req.Model, Options: req.Options, Trailing: req.Trailing}
	body, err := c.Encode(dst, out, reply)
	req.Scratch.keepBody(body)
	return body, cmp.Or(reply.ContentType, contentType), err
}

// chosen returns the tensors that the request asks for, with their Infos.
func chosen(out Tensors, req *Request, params map[string]string) (Tensors, []runtime.Info, error) {
	names := make([]string, 0, 4)
	for _, o := range req.Found.Outputs {
		names = append(names, o.Name)
	}
	if v, ok := req.Attribute("ort-outputs"); ok && len(names) == 0 {
		names = strings.Split(v, "|")
	}
	if len(names) == 0 {
		infos := infosOf(out, req.Outputs)
		if req.Options != nil && !strings.EqualFold(params["verbose"], "true") {
			brief := max(0, len(out)-req.Options.Reply.Verbose)
			out, infos = out[:brief], infos[:brief]
		}
		return out, infos, nil
	}
	picked := make(Tensors, 0, len(names))
	for _, name := range names {
		t, ok := out.Named(name)
		if !ok {
			return nil, nil, &StatusError{Status: 400, Message: fmt.Sprintf("no output is named %q; the model has %s", name, nameList(out))}
		}
		if _, twice := picked.Named(name); twice {
			return nil, nil, &StatusError{Status: 400, Message: fmt.Sprintf("output %q is asked for twice", name)}
		}
		picked = append(picked, t)
	}
	return picked, infosOf(picked, req.Outputs), nil
}

// infosOf returns the Info of each tensor, by name where the model knows it,
// else by what the tensor is: a handler may have made new ones.
func infosOf(ts Tensors, known []runtime.Info) []runtime.Info {
	if same(ts, known) {
		return known
	}
	infos := make([]runtime.Info, len(ts))
	for i, t := range ts {
		infos[i] = runtime.Info{Name: t.Name, Kind: t.Kind(), DType: t.DType(), Shape: t.Shape}
		for _, k := range known {
			if k.Name == t.Name && k.Kind == t.Kind() && k.DType == t.DType() {
				infos[i] = k
			}
		}
	}
	return infos
}

func same(ts Tensors, known []runtime.Info) bool {
	if len(ts) != len(known) {
		return false
	}
	for i, t := range ts {
		if t.Name != known[i].Name || known[i].Kind == runtime.KindTensor && t.DType() != known[i].DType {
			return false
		}
	}
	return true
}

func nameList(ts Tensors) string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
