package codec_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// differentialCases is how many random cases a format is tried with in each
// direction; CLARY_SOAK=1 tries 20 times as many.
const differentialCases = 2000

// A differential is a format as scripts/oracle knows it.
type differential struct {
	format string
	codec  codec.Codec
	// binary says that NaN keeps its bits.
	binary bool
	// outputs makes what a reply carries; nil: replies are not tried.
	outputs func(v values) ([]runtime.Tensor, codec.Reply)
	// requests says that bodies are tried.
	requests bool
}

// What Python's libraries write is read as exactly the values they wrote, and
// what is written they read as exactly the same. CLARY_SEED repeats a failure.
func TestPythonsLibrariesAgree(t *testing.T) {
	seeds := []uint64{1}
	if text := os.Getenv("CLARY_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 53)
		if err != nil {
			t.Fatalf("CLARY_SEED: %v", err)
		}
		seeds[0] = seed
	} else if os.Getenv("CLARY_SOAK") == "1" {
		first := rand.Uint64N(1 << 50)
		for i := range uint64(20) {
			seeds = append(seeds[:i], first+i)
		}
	}
	for _, d := range differentials {
		t.Run(d.format, func(t *testing.T) {
			t.Parallel()
			o := startOracle(t)
			for _, seed := range seeds {
				if d.requests {
					d.readRequests(t, o, seed)
				}
				if d.outputs != nil {
					d.writeReplies(t, o, seed)
				}
			}
		})
	}
}

// readRequests decodes what Python writes.
func (d differential) readRequests(t *testing.T, o *oracle, seed uint64) {
	t.Helper()
	if err := o.send(oracleHeader{Op: "write", Format: d.format, Seed: seed, N: differentialCases}); err != nil {
		t.Fatal(err)
	}
	if err := o.in.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range differentialCases {
		h, blobs, err := o.receive()
		if err != nil {
			t.Fatalf("CLARY_SEED=%d, case %d: %v", seed, i, err)
		}
		if err := d.readRequest(h, blobs); err != nil {
			t.Fatalf("CLARY_SEED=%d, case %d (%s): %v\nparameters %v, options %s, inputs %+v\nbody %.2000q", seed, i, h.Note, err, h.Params, h.Options, h.Want, blobs[0])
		}
	}
}

func (d differential) readRequest(h oracleHeader, blobs [][]byte) error {
	want, err := oracleTensors(h.Tensors, blobs[1:])
	if err != nil {
		return err
	}
	var options struct {
		Codec     *codec.Options
		Found     codec.Found
		JPEG      bool
		Converted bool
	}
	if err := json.Unmarshal(h.Options, &options); err != nil {
		return err
	}
	r := codec.Request{Params: h.Params, Options: options.Codec}
	if h.Want != nil {
		r.Want = make([]runtime.Info, len(h.Want))
		for i, w := range h.Want {
			r.Want[i] = runtime.Info{Name: w.Name, DType: dtypesByName[w.DType], Shape: w.Shape}
		}
	}
	in, err := d.codec.Decode(blobs[0], &r)
	if err != nil {
		return err
	}
	if dialect, ok := dialects[h.Dialect]; ok {
		options.Found.Dialect = dialect
		if !reflect.DeepEqual(r.Found, options.Found) {
			return fmt.Errorf("found %+v, want %+v", r.Found, options.Found)
		}
	}
	if options.JPEG {
		return pixelsDiffer(in, want)
	}
	if options.Converted { // between floats NaN keeps no bits
		d.binary = false
	}
	return d.differ(in, want)
}

// dialects are oracle.py's names of the dialects.
var dialects = map[string]codec.Dialect{"rows": codec.Rows, "bare": codec.Bare, "columns": codec.Columns, "v2": codec.V2}

// writeReplies lets Python read what is encoded.
func (d differential) writeReplies(t *testing.T, o *oracle, seed uint64) {
	t.Helper()
	type reply struct {
		out  []runtime.Tensor
		h    oracleHeader
		body []byte
	}
	replies := make([]reply, differentialCases)
	for i := range replies {
		out, r := d.outputs(values{rand.New(rand.NewPCG(seed, uint64(i)))})
		body, err := d.codec.Encode(nil, out, &r)
		if err != nil {
			t.Fatalf("CLARY_SEED=%d, case %d: %v\noutputs %v", seed, i, err, out)
		}
		binary := map[string]bool{} // the outputs that are wanted in binary
		for i := range out {
			binary[out[i].Name] = r.Dialect == codec.V2 && r.Binary
		}
		for _, o := range r.Outputs {
			binary[o.Name] = o.Binary
		}
		h := oracleHeader{Tensors: describe(out, r.Infos), Params: r.Params}
		for name, dialect := range dialects {
			if dialect == r.Dialect {
				h.Dialect = name
			}
		}
		if h.Options, err = json.Marshal(map[string]any{"id": r.ID, "trailing": r.Trailing, "type": r.ContentType, "binary": binary}); err != nil {
			t.Fatal(err)
		}
		replies[i] = reply{out, h, body}
	}
	sent := make(chan error, 1)
	go func() {
		err := o.send(oracleHeader{Op: "read", Format: d.format, N: len(replies)})
		for _, r := range replies {
			if err == nil {
				err = o.send(r.h, r.body)
			}
		}
		if err == nil {
			err = o.in.Flush()
		}
		sent <- err
	}()
	for i, r := range replies {
		h, blobs, err := o.receive()
		if err == nil {
			var got []runtime.Tensor
			if got, err = oracleTensors(h.Tensors, blobs); err == nil {
				err = d.differ(got, r.out)
			}
		}
		if err != nil {
			t.Fatalf("CLARY_SEED=%d, case %d: %v\nreply %+v, options %s\nbody %.2000q", seed, i, err, r.h.Tensors, r.h.Options, r.body)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// differ says where got is not want.
func (d differential) differ(got, want []runtime.Tensor) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if err := g.Check(); err != nil {
			return err
		}
		if g.Name != w.Name || g.DType() != w.DType() || !slices.Equal(g.Shape, w.Shape) {
			return fmt.Errorf("tensor %q, %v %v; want %q, %v %v", g.Name, g.DType(), g.Shape, w.Name, w.DType(), w.Shape)
		}
		if at := d.differAt(g.Data, w.Data); at >= 0 {
			return fmt.Errorf("tensor %q, element %d: %#v, want %#v", w.Name, at, at1(g.Data, at), at1(w.Data, at))
		}
	}
	return nil
}

// differAt returns the index of the first element of a that is not b's, -1 if
// there is none.
func (d differential) differAt(a, b any) int {
	if s, ok := a.([]string); ok {
		for i, v := range b.([]string) {
			if s[i] != v {
				return i
			}
		}
		return -1
	}
	x, y, size := runtime.Bytes(a), runtime.Bytes(b), runtime.DTypeOf(a).Size()
	for i := range runtime.Len(a) {
		if string(x[i*size:(i+1)*size]) != string(y[i*size:(i+1)*size]) && (d.binary || !isNaN(a, i) || !isNaN(b, i)) {
			return i
		}
	}
	return -1
}

func isNaN(data any, i int) bool {
	switch v := at1(data, i).(type) {
	case float32:
		return v != v
	case float64:
		return v != v
	case interface{ Float32() float32 }:
		return v.Float32() != v.Float32()
	}
	return false
}

// pixelsDiffer is differ for what was a JPEG image, of which every decoder
// rounds the cosine transform in its own way.
func pixelsDiffer(got, want []runtime.Tensor) error {
	const most = 4
	if len(got) != len(want) || !slices.Equal(got[0].Shape, want[0].Shape) {
		return fmt.Errorf("%v, want %v", got, want)
	}
	pixels := got[0].Data.([]uint8)
	for i, w := range want[0].Data.([]uint8) {
		if off := int(pixels[i]) - int(w); off < -most || off > most {
			return fmt.Errorf("pixel value %d: %d, want %d", i, pixels[i], w)
		}
	}
	return nil
}

// at1 returns element i of a tensor's data.
func at1(data any, i int) any { return reflect.ValueOf(data).Index(i).Interface() }
