package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is what clary.yaml may say about one model (docs/clary-yaml.md). The
// zero value of a field means that it does not say; the server's settings
// decide then.
type Config struct {
	Name    string        `yaml:"name"`    // the model's name in replies and metrics
	Model   string        `yaml:"model"`   // the ONNX file's path inside the artifact
	Session SessionConfig `yaml:"session"` // how ONNX Runtime runs it
	Workers int           `yaml:"workers"` // runs at the same time
	Timeout time.Duration `yaml:"timeout"` // for one request
	Accept  string        `yaml:"accept"`  // the media type of replies to requests without an Accept
	Warmup  *bool         `yaml:"warmup"`  // whether to run once before /ping answers 200
}

// SessionConfig is the part of clary.yaml that ONNX Runtime is given.
type SessionConfig struct {
	IntraOpThreads int               `yaml:"intra_op_threads"` // threads inside one operator
	InterOpThreads int               `yaml:"inter_op_threads"` // operators at the same time
	Spinning       *bool             `yaml:"spinning"`         // whether idle threads spin
	Optimization   string            `yaml:"optimization"`     // off, basic, extended or all
	Config         map[string]string `yaml:"config"`           // session configuration entries, as ONNX Runtime names them
}

var optimizations = []string{"off", "basic", "extended", "all"}

const maxConfig = 1 << 20

// readConfig reads the clary.yaml in dir; without one it is the zero value.
func readConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigName)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if other := filepath.Join(dir, "clary.yml"); isFile(other) {
			return Config{}, fmt.Errorf("%s would not be read: name it %s", other, ConfigName)
		}
		return Config{}, nil
	}
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Config{}, err
	}
	if len(data) > maxConfig {
		return Config{}, fmt.Errorf("%s is larger than %d bytes", path, maxConfig)
	}
	return ParseConfig(path, data)
}

// ParseConfig reads the text of a clary.yaml. A key that Config does not have
// and a value of the wrong type are errors that give file, line and what was
// wanted; file appears in them and nowhere else.
func ParseConfig(file string, text []byte) (Config, error) {
	var c Config
	d := &decoder{file: file, lines: map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		return c, nil
	case err != nil:
		return c, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	case dec.Decode(&more) != io.EOF:
		return c, fmt.Errorf("%s holds more than one document", file)
	}
	if err := d.mapping(doc.Content[0], "", reflect.ValueOf(&c).Elem()); err != nil {
		return Config{}, err
	}
	if err := d.check(c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// A decoder fills structs from YAML by their tags.
type decoder struct {
	file  string
	lines map[string]int // where each key stands, by its dotted path
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
		if key.Kind != yaml.ScalarNode || at < 0 {
			return d.unknown(key, path, fields)
		}
		if first, again := seen[key.Value]; again {
			return d.errorf(key.Line, "%s is already set on line %d", full, first)
		}
		seen[key.Value] = key.Line
		if isNull(value) {
			continue
		}
		d.lines[full] = key.Line
		if err := d.value(value, full, into.Field(at)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) value(n *yaml.Node, path string, into reflect.Value) error {
	if into.Kind() == reflect.Struct {
		return d.mapping(n, path+".", into)
	}
	if m, ok := into.Addr().Interface().(*map[string]string); ok {
		return d.strings(n, path, m)
	}
	whole := into.Kind() != reflect.Int || n.ShortTag() == "!!int" // yaml would cut 2.5 to 2
	if n.Kind != yaml.ScalarNode || !whole || n.Decode(into.Addr().Interface()) != nil {
		return d.errorf(n.Line, "%s is %s, not %s", path, wanted(into), given(n))
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
	for _, p := range paths(reflect.TypeFor[Config](), "") {
		if p == key.Value || strings.HasSuffix(p, "."+key.Value) {
			return d.errorf(key.Line, "%s; did you mean %s?", msg, p)
		}
	}
	return d.errorf(key.Line, "%s; known here: %s", msg, strings.Join(fields, ", "))
}

// check holds the values against what they may be.
func (d *decoder) check(c Config) error {
	for _, count := range []struct {
		path string
		n    int
	}{
		{"workers", c.Workers},
		{"session.intra_op_threads", c.Session.IntraOpThreads},
		{"session.inter_op_threads", c.Session.InterOpThreads},
	} {
		if line, set := d.lines[count.path]; set && count.n < 1 {
			return d.errorf(line, "%s is at least 1, not %d", count.path, count.n)
		}
	}
	if line, set := d.lines["timeout"]; set && c.Timeout <= 0 {
		return d.errorf(line, "timeout is longer than nothing, not %v", c.Timeout)
	}
	if o := c.Session.Optimization; o != "" && !slices.Contains(optimizations, o) {
		return d.errorf(d.lines["session.optimization"], "session.optimization is one of %s, not %q", strings.Join(optimizations, ", "), o)
	}
	if c.Model != "" && (!filepath.IsLocal(c.Model) || !isModel(c.Model)) {
		return d.errorf(d.lines["model"], "model is the path of a .onnx file inside the artifact, not %q", c.Model)
	}
	return nil
}

func (d *decoder) what(path string) string {
	if path == "" {
		return ConfigName
	}
	return strings.TrimSuffix(path, ".")
}

// tags returns the keys of a struct, field by field.
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
	case int:
		return "a whole number"
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
