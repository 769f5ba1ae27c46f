package clary

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/claryhq/clary/artifact"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/onnx"
)

// inspect prints what a model takes and returns, read from its file alone:
// ONNX Runtime is not needed.
func inspect(args []string, w io.Writer) (err error) {
	if len(args) == 1 && args[0] == "--devices" {
		return inspectDevices(w)
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return usageError{errors.New("usage: serve inspect MODEL, a .onnx file, a folder or a model.tar.gz; or serve inspect --devices")}
	}
	a, err := artifact.Open(args[0], artifact.Limits{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if a.Model == "" {
		return fmt.Errorf("%s holds no .onnx file", a.Dir)
	}
	g, err := onnx.Read(a.Model, a.Dir)
	if err != nil {
		return err
	}
	file, err := filepath.Rel(a.Dir, a.Model)
	if err != nil {
		return err
	}

	options, err := codecOptions(&Config{}, a)
	if err != nil {
		return err
	}
	outputs := g.Outputs
	chain, err := outputChain(&Config{}, a, outputs)
	if err != nil {
		return err
	}
	if chain != nil {
		outputs = chain.Outputs()
	}

	if err := inspectGraph(w, a.Name, file, g, outputs); err != nil {
		return err
	}
	return inspectFormats(w, formats(g.Inputs, outputs, options, "localhost:8080"))
}

// inspectGraph prints what the file says.
func inspectGraph(w io.Writer, name, file string, g *onnx.Graph, outputs []runtime.Info) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) } // tabwriter keeps errors for Flush
	row("model", name)
	row("file", file)
	row("size", size(g.Size))
	row("producer", strings.TrimSpace(g.Producer+" "+g.ProducerVersion))
	row("ir version", strconv.FormatInt(g.IRVersion, 10))
	row("opsets", opsets(g.Opsets))
	if g.ModelVersion != 0 {
		row("model version", strconv.FormatInt(g.ModelVersion, 10))
	}
	if g.Doc != "" {
		row("description", strconv.Quote(g.Doc))
	}
	for _, beside := range g.External {
		row("external data", beside)
	}
	for _, k := range sortedKeys(g.Metadata) {
		row("metadata "+k, strconv.Quote(g.Metadata[k]))
	}
	for _, in := range g.Inputs {
		row("input", in.Name, signature(in))
	}
	for _, out := range outputs {
		row("output", out.Name, signature(out), strings.Join(out.Labels, ", "))
	}
	return t.Flush()
}

// inspectFormats prints a line to paste for each format that the model takes,
// and what it can be answered in.
func inspectFormats(w io.Writer, list []format) error {
	var emits []string
	for _, f := range list {
		if f.Emits {
			emits = append(emits, f.MediaType)
		}
		if !f.Accepts {
			continue
		}
		line := f.Example
		if line == "" {
			line = "(too long to be shown)"
		}
		if _, err := fmt.Fprintf(w, "\n# %s\n%s\n", f.MediaType, line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n# replies, by Accept: %s\n", strings.Join(emits, ", "))
	return err
}

// signature is a type as ONNX people write it: float32[N,4].
func signature(info runtime.Info) string {
	dims := make([]string, len(info.Shape))
	for i, d := range info.Shape {
		switch {
		case d >= 0:
			dims[i] = strconv.Itoa(d)
		case i < len(info.Dims) && info.Dims[i] != "":
			dims[i] = info.Dims[i]
		default:
			dims[i] = "?"
		}
	}
	s := info.DType.String() + "[" + strings.Join(dims, ",") + "]"
	switch info.Kind {
	case runtime.KindSequence:
		return "sequence of " + info.DType.String()
	case runtime.KindMap:
		return "map to " + info.DType.String()
	}
	return s
}

func opsets(versions map[string]int64) string {
	var list []string
	for _, domain := range sortedKeys(versions) {
		name := domain
		if name == "" {
			name = "ai.onnx"
		}
		list = append(list, fmt.Sprintf("%s %d", name, versions[domain]))
	}
	return strings.Join(list, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// pack makes a model.tar.gz.
func pack(args []string, w io.Writer) error {
	fs := flag.NewFlagSet("package", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	out := fs.String("o", "model.tar.gz", "file to write")
	rest, err := parseInterspersed(fs, args)
	if err != nil || len(rest) != 1 {
		return usageError{errors.New("usage: serve package DIR -o model.tar.gz")}
	}
	if info, err := os.Stat(rest[0]); err != nil {
		return err
	} else if !info.IsDir() {
		return usageError{fmt.Errorf("%s is no folder: put the model into one, with its clary.yaml if it has one", rest[0])}
	}
	if err := writeArchive(*out, rest[0]); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\nlook at it: serve inspect %s\nserve it:   serve %s\n", *out, *out, *out)
	return err
}

// writeArchive writes path only once the whole archive is there.
func writeArchive(path, dir string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := artifact.Pack(f, dir); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
