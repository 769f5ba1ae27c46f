package artifact

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A decoder fills structs from YAML by their tags.
type decoder struct {
	file  string
	name  string         // what such a file is called
	whole reflect.Type   // the struct of the whole file
	lines map[string]int // where each key stands, by its dotted path
}

// decode fills into, a pointer to a struct, from the text of a file that is
// named for people by file and called name. An empty text leaves it as it is.
func decode(file, name string, text []byte, into any) (*decoder, error) {
	whole := reflect.ValueOf(into).Elem()
	d := &decoder{file: file, name: name, whole: whole.Type(), lines: map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		return d, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	case dec.Decode(&more) != io.EOF:
		return nil, fmt.Errorf("%s holds more than one document", file)
	}
	return d, d.mapping(doc.Content[0], "", whole)
}

func (d *decoder) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s, line %d: %s", d.file, line, fmt.Sprintf(format, args...))
}

// mapping fills the struct into from n; path is n's own key, with a dot.
func (d *decoder) mapping(n *yaml.Node, path string, into reflect.Value) error {
	n = resolved(n)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.errorf(n.Line, "%s is wanted as key: value lines, not %s", d.what(path), given(n))
	}
	fields := tags(into.Type())
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolved(n.Content[i+1])
		full := path + key.Value
		at := slices.Index(fields, key.Value)
		if key.Kind != yaml.ScalarNode || at < 0 || key.Value == "" {
			return d.unknown(key, path, fields)
		}
		if first, again := seen[key.Value]; again {
			return d.errorf(key.Line, "%s is already set on line %d", full, first)
		}
		seen[key.Value] = key.Line
		if isNull(value) && !isSection(into.Field(at).Type()) {
			continue
		}
		d.lines[full] = key.Line
		if err := d.value(value, full, into.Field(at)); err != nil {
			return err
		}
	}
	return nil
}

// isSection reports whether a key alone, without a value, says something: a
// step of post for the only output.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

func (d *decoder) value(n *yaml.Node, path string, into reflect.Value) error {
	switch m := into.Addr().Interface().(type) {
	case *map[string]string:
		return d.strings(n, path, m)
	case *Pairs:
		return d.pairs(n, path, m)
	}
	switch {
	case into.Kind() == reflect.Struct:
		return d.mapping(n, path+".", into)
	case into.Kind() == reflect.Slice:
		return d.list(n, path, into)
	case isSection(into.Type()):
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
		if n.Kind == yaml.ScalarNode && !isNull(n) { // softmax: logits
			return d.value(n, path+".output", into.FieldByName("Output"))
		}
		return d.mapping(n, path+".", into)
	}
	return d.scalar(n, path, into)
}

// scalar fills a number, a text, a truth value or a duration.
func (d *decoder) scalar(n *yaml.Node, path string, into reflect.Value) error {
	whole := !wantsWhole(into.Type()) || n.ShortTag() == "!!int" // yaml would cut 2.5 to 2
	if n.Kind != yaml.ScalarNode || !whole || n.Decode(into.Addr().Interface()) != nil {
		return d.errorf(n.Line, "%s is %s, not %s", path, wanted(into), given(n))
	}
	if into.Kind() == reflect.Float64 && into.Float()-into.Float() != 0 {
		return d.errorf(n.Line, "%s is %s, not %s", path, wanted(into), given(n))
	}
	return nil
}

func wantsWhole(t reflect.Type) bool {
	return t.Kind() == reflect.Int || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Int
}

// list fills a slice; a single value is a list of one.
func (d *decoder) list(n *yaml.Node, path string, into reflect.Value) error {
	elem := into.Type().Elem()
	nodes := n.Content
	if n.Kind == yaml.ScalarNode && elem.Kind() != reflect.Struct {
		nodes = []*yaml.Node{n}
	} else if n.Kind != yaml.SequenceNode {
		return d.errorf(n.Line, "%s is a list, not %s", path, given(n))
	}
	list := reflect.MakeSlice(into.Type(), len(nodes), len(nodes))
	for i, node := range nodes {
		node = resolved(node)
		at := fmt.Sprintf("%s[%d]", path, i)
		switch item := list.Index(i).Addr().Interface().(type) {
		case *string:
			if node.Kind != yaml.ScalarNode || isNull(node) {
				return d.errorf(node.Line, "%s is text, not %s", at, given(node))
			}
			*item = node.Value // a number as it is written
			continue
		case *PostStep:
			item.Line = node.Line
		case *PipelineStep:
			item.Line = node.Line
		}
		if err := d.value(node, at, list.Index(i)); err != nil {
			return err
		}
	}
	into.Set(list)
	return nil
}

// pairs fills a mapping whose keys are free, in its order.
func (d *decoder) pairs(n *yaml.Node, path string, into *Pairs) error {
	var m map[string]string
	if err := d.strings(n, path, &m); err != nil {
		return err
	}
	*into = make(Pairs, 0, len(m))
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		*into = append(*into, Pair{key, m[key]})
	}
	return nil
}

// strings fills a map whose keys are free; numbers and booleans are taken as
// they are written.
func (d *decoder) strings(n *yaml.Node, path string, into *map[string]string) error {
	if n.Kind != yaml.MappingNode {
		return d.errorf(n.Line, "%s is wanted as key: value lines, not %s", path, given(n))
	}
	m := make(map[string]string, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolved(n.Content[i+1])
		if key.Kind != yaml.ScalarNode || value.Kind != yaml.ScalarNode || isNull(value) {
			return d.errorf(key.Line, "%s: every key and value is text", path)
		}
		if _, again := m[key.Value]; again {
			return d.errorf(key.Line, "%s.%s is set twice", path, key.Value)
		}
		m[key.Value] = value.Value
	}
	*into = m
	return nil
}

func (d *decoder) unknown(key *yaml.Node, path string, fields []string) error {
	msg := fmt.Sprintf("there is no %s%s", path, key.Value)
	if near := Nearest(key.Value, fields); near != "" {
		return d.errorf(key.Line, "%s; did you mean %s%s?", msg, path, near)
	}
	for _, p := range paths(d.whole, "") {
		if p == key.Value || strings.HasSuffix(p, "."+key.Value) {
			return d.errorf(key.Line, "%s; did you mean %s?", msg, p)
		}
	}
	known := slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return f == "" })
	return d.errorf(key.Line, "%s; known here: %s", msg, strings.Join(known, ", "))
}

func (d *decoder) what(path string) string {
	if path == "" {
		return d.name
	}
	return strings.TrimSuffix(path, ".")
}

// tags returns the keys of a struct, field by field; "" is none.
func tags(t reflect.Type) []string {
	list := make([]string, t.NumField())
	for i := range list {
		list[i] = t.Field(i).Tag.Get("yaml")
	}
	return list
}

// paths returns every key below t with its dotted path.
func paths(t reflect.Type, path string) []string {
	var list []string
	for i, tag := range tags(t) {
		list = append(list, path+tag)
		if f := t.Field(i).Type; f.Kind() == reflect.Struct {
			list = append(list, paths(f, path+tag+".")...)
		}
	}
	return list
}

func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case time.Duration:
		return `a duration such as "30s" or "1m30s"`
	case int, *int:
		return "a whole number"
	case float64:
		return "a number"
	case *bool:
		return "true or false"
	}
	return "text"
}

func given(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "key: value lines"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

func typeOf(structure any) reflect.Type { return reflect.TypeOf(structure).Elem() }
