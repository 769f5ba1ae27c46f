package main

import (
	"errors"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// withoutZipMap copies a model to path with the tensor that its ZipMap is
// given as the output in the ZipMap's place: the raw loop returns tensors, as
// Clary does. The numbers of the fields are onnx.proto's.
func withoutZipMap(model, path string) error {
	file, err := os.ReadFile(model)
	if err != nil {
		return err
	}
	inputs := map[string]string{} // of the ZipMaps, by their outputs
	out, err := rewrite(file, func(num protowire.Number, content []byte) ([]byte, error) {
		if num != 7 { // graph
			return content, nil
		}
		graph, err := rewrite(content, func(num protowire.Number, content []byte) ([]byte, error) {
			if num != 1 { // node
				return content, nil
			}
			op, _ := field(content, 4)
			if op != "ZipMap" {
				return content, nil
			}
			in, _ := field(content, 1)
			name, _ := field(content, 2)
			inputs[name] = in
			return nil, nil
		})
		if err != nil {
			return nil, err
		}
		return rewrite(graph, func(num protowire.Number, content []byte) ([]byte, error) {
			name, _ := field(content, 1)
			in, ok := inputs[name]
			if num != 12 || !ok { // output
				return content, nil
			}
			// A ValueInfoProto: the name, and a tensor type of float32.
			info := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), in)
			return append(info, 2<<3|2, 4, 1<<3|2, 2, 1<<3, 1), nil
		})
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o600)
}

var errNotProto = errors.New("it is not a protobuf message")

// rewrite copies a message, its length-delimited fields as visit returns them;
// nil leaves one out.
func rewrite(message []byte, visit func(protowire.Number, []byte) ([]byte, error)) (out []byte, err error) {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, errNotProto
		}
		m := protowire.ConsumeFieldValue(num, typ, message[n:])
		if m < 0 {
			return nil, errNotProto
		}
		if typ == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(message[n:])
			if content, err = visit(num, content); err != nil {
				return nil, err
			}
			if content != nil {
				out = protowire.AppendBytes(protowire.AppendTag(out, num, typ), content)
			}
		} else {
			out = append(out, message[:n+m]...)
		}
		message = message[n+m:]
	}
	return out, nil
}

// field returns the first string field with that number.
func field(message []byte, want protowire.Number) (s string, ok bool) {
	_, _ = rewrite(message, func(num protowire.Number, content []byte) ([]byte, error) {
		if num == want && !ok {
			s, ok = string(content), true
		}
		return nil, nil
	})
	return s, ok
}
