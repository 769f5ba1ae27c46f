package codec_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// An oracle is the Python process of scripts/oracle/oracle.py, which says how
// its messages look. It serves one test at a time.
type oracle struct {
	in  *bufio.Writer
	out *bufio.Reader
}

// An oracleTensor is a tensor's or an input's description in a header.
type oracleTensor struct {
	Name   string   `json:"name"`
	DType  string   `json:"dtype"`
	Shape  []int    `json:"shape"`
	Labels []string `json:"labels,omitempty"`
}

// An oracleHeader is the header of a message in either direction.
type oracleHeader struct {
	Op     string `json:"op,omitempty"`
	Format string `json:"format,omitempty"`
	Seed   uint64 `json:"seed,omitempty"`
	N      int    `json:"n,omitempty"`

	Tensors []oracleTensor    `json:"tensors,omitempty"`
	Want    []oracleTensor    `json:"want,omitempty"`
	Params  map[string]string `json:"params,omitempty"`
	Dialect string            `json:"dialect,omitempty"`
	Note    string            `json:"note,omitempty"`
	Options json.RawMessage   `json:"options,omitempty"`
	Error   string            `json:"error,omitempty"`

	Blobs []int `json:"blobs"`
}

// startOracle starts the process, which ends with the test.
func startOracle(t *testing.T) *oracle {
	t.Helper()
	python, err := filepath.Abs("../.cache/oracle/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Fatal("Python's libraries, which this test compares with, are not in .cache/oracle: run `make oracle`, which needs Python 3.11 or later")
	}
	cmd := exec.Command(python, "-B", "../scripts/oracle/oracle.py")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = cmd.Process.Kill() // it may be in the middle of an answer
		}
		_ = in.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("oracle.py: %v\n%s", err, complaints.Bytes())
		}
	})
	return &oracle{bufio.NewWriterSize(in, 1<<16), bufio.NewReaderSize(out, 1<<16)}
}

// send writes a message; flush it.
func (o *oracle) send(h oracleHeader, blobs ...[]byte) error {
	h.Blobs = []int{}
	for _, b := range blobs {
		h.Blobs = append(h.Blobs, len(b))
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := binary.Write(o.in, binary.LittleEndian, uint32(len(text))); err != nil {
		return err
	}
	for _, b := range append([][]byte{text}, blobs...) {
		if _, err := o.in.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// receive reads a message.
func (o *oracle) receive() (h oracleHeader, blobs [][]byte, err error) {
	var n uint32
	if err := binary.Read(o.out, binary.LittleEndian, &n); err != nil {
		return h, nil, fmt.Errorf("oracle.py has ended: %w", err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(o.out, text); err != nil {
		return h, nil, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, nil, err
	}
	for _, n := range h.Blobs {
		b := make([]byte, n)
		if _, err := io.ReadFull(o.out, b); err != nil {
			return h, nil, err
		}
		blobs = append(blobs, b)
	}
	if h.Error != "" {
		return h, blobs, errors.New(h.Error)
	}
	return h, blobs, nil
}

// dtypesByName are the types as oracle.py names them.
var dtypesByName = func() map[string]runtime.DType {
	m := map[string]runtime.DType{}
	for d := range runtime.DType(255) {
		if d.Known() {
			m[d.String()] = d
		}
	}
	return m
}()

// oracleTensors returns the tensors of a message.
func oracleTensors(entries []oracleTensor, blobs [][]byte) ([]runtime.Tensor, error) {
	if len(entries) != len(blobs) {
		return nil, fmt.Errorf("%d tensors and %d blobs", len(entries), len(blobs))
	}
	tensors := make([]runtime.Tensor, len(entries))
	for i, e := range entries {
		d := dtypesByName[e.DType]
		n, err := runtime.Elements(e.Shape)
		if err != nil || !d.Known() {
			return nil, fmt.Errorf("a tensor of type %q and shape %v", e.DType, e.Shape)
		}
		data := runtime.Make(d, n)
		if s, ok := data.([]string); ok {
			b := blobs[i]
			for j := range s {
				n := binary.LittleEndian.Uint32(b)
				s[j] = string(b[4 : 4+n])
				b = b[4+n:]
			}
		} else if copied := copy(runtime.Bytes(data), blobs[i]); copied != len(blobs[i]) || copied != n*d.Size() {
			return nil, fmt.Errorf("%d bytes for %d elements of %v", len(blobs[i]), n, d)
		}
		tensors[i] = runtime.Tensor{Name: e.Name, Shape: e.Shape, Data: data}
	}
	return tensors, nil
}

// describe returns what send says of tensors.
func describe(tensors []runtime.Tensor, infos []runtime.Info) []oracleTensor {
	entries := make([]oracleTensor, len(tensors))
	for i, t := range tensors {
		entries[i] = oracleTensor{Name: t.Name, DType: t.DType().String(), Shape: append([]int{}, t.Shape...)}
		if i < len(infos) {
			entries[i].Labels = infos[i].Labels
		}
	}
	return entries
}
