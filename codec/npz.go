package codec

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// NPZ is application/x-npz: named arrays as numpy.savez writes them, a zip of
// .npy files.
//
// Decode matches arrays to inputs by name, in any order; a model with one
// input takes a single array of any name. Each array is read as [NPY] reads
// it. Members may be stored or deflated; inflated they may take 64 MiB or 20
// times the body, whichever is more, and this is checked before any is
// inflated.
//
// A model with one input also takes a SciPy sparse matrix as
// scipy.sparse.save_npz writes it, in format csr, csc or coo. Its zeros are
// written out, within the same bounds, or with the parameter missing=nan NaN in
// their place, as XGBoost sees them; elements given twice are summed, as SciPy
// does.
//
// Encode writes every output under its name, stored, always the same bytes for
// the same tensors. A byte of a name that could lead an unpacker astray (a
// leading slash, "..", a backslash, a control character) becomes "_".
type NPZ struct{}

// MediaTypes returns application/x-npz.
func (NPZ) MediaTypes() []string { return npzTypes }

var npzTypes = []string{"application/x-npz"}

// What the arrays of a body may take in memory: npzFloor bytes or npzRatio
// times the body, whichever is more.
const (
	npzFloor = 64 << 20
	npzRatio = 20
)

// Decode implements [Codec].
func (NPZ) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	if len(body) == 0 {
		return nil, ErrEmpty
	}
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, &Error{Format: "NPZ", Msg: "it is no zip file", Err: err}
	}
	members, err := npzMembers(z, len(body), r.Want)
	if err != nil {
		return nil, err
	}
	want := r.Want
	if isSparse(members) && (want == nil || len(want) == 1) {
		info := runtime.Info{Name: "data"}
		if want != nil {
			info = want[0]
		}
		nan, err := missingNaN(r, npzTypes[0])
		if err != nil {
			return nil, err
		}
		t, err := readSparse(members, body, info, nan)
		if err != nil {
			return nil, err
		}
		r.Found.Dialect = Rows
		return []runtime.Tensor{t}, nil
	}
	if want == nil {
		want = make([]runtime.Info, len(members))
	}
	tensors := make([]runtime.Tensor, len(members))
	for i, m := range members {
		if tensors[i], err = m.tensor(body, want[i]); err != nil {
			return nil, inArray(m.name, err)
		}
		if r.Want == nil {
			tensors[i].Name = m.name
		}
	}
	r.Found.Dialect = Rows
	return tensors, nil
}

// inArray says in which array of the file err was found.
func inArray(name string, err error) error {
	array := "array " + quote(name)
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Format: "NPZ", Where: array, Msg: "it cannot be read", Err: err}
	}
	where := array
	if e.Where != "" {
		where += ", " + e.Where
	}
	return &Error{Format: "NPZ", Where: where, Msg: e.Msg, Err: e.Err}
}

// An npzMember is one array of a file.
type npzMember struct {
	name string
	file *zip.File
}

// npzMembers returns the arrays in the order of want, in the file's where want
// is nil, once their names and declared sizes are found in order.
func npzMembers(z *zip.Reader, body int, want []runtime.Info) ([]npzMember, error) {
	byName := make(map[string]*zip.File, len(z.File))
	members := make([]npzMember, 0, len(z.File))
	budget := uint64(max(npzFloor, npzRatio*body))
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, errorf("NPZ", "", "member %s is no .npy file", quote(f.Name))
		}
		if byName[name] != nil {
			return nil, errorf("NPZ", "", "array %s is there twice", quote(name))
		}
		if f.UncompressedSize64 > budget {
			return nil, errorf("NPZ", "array "+quote(name), "inflated, the arrays take more than %d bytes, which is 64 MiB or %d times the body's size", max(npzFloor, npzRatio*body), npzRatio)
		}
		budget -= f.UncompressedSize64
		byName[name] = f
		members = append(members, npzMember{name, f})
	}
	if len(members) == 0 {
		return nil, errorf("NPZ", "", "the file holds no array")
	}
	if want == nil || len(want) == 1 && (len(members) == 1 || isSparse(members)) {
		return members, nil
	}
	return npzInputs(members, byName, want)
}

// npzInputs returns the member of each input.
func npzInputs(members []npzMember, byName map[string]*zip.File, want []runtime.Info) ([]npzMember, error) {
	inputs := make([]npzMember, 0, len(want))
	for _, info := range want {
		if f := byName[info.Name]; f != nil {
			inputs = append(inputs, npzMember{info.Name, f})
		}
	}
	if len(inputs) == len(want) && len(members) == len(want) {
		return inputs, nil
	}
	if isSparse(members) {
		return nil, errorf("NPZ", "", "this is a SciPy sparse matrix, which a model with one input takes; this one takes %s", inputNames(want))
	}
	for _, m := range members {
		if !slices.ContainsFunc(want, func(info runtime.Info) bool { return info.Name == m.name }) {
			return nil, errorf("NPZ", "", "no input is named %s; the model takes %s", quote(m.name), inputNames(want))
		}
	}
	for _, info := range want {
		if byName[info.Name] == nil {
			return nil, errorf("NPZ", "", "there is no array for input %q; the model takes %s", info.Name, inputNames(want))
		}
	}
	return inputs, nil
}

// tensor reads the member as an input.
func (m npzMember) tensor(body []byte, want runtime.Info) (runtime.Tensor, error) {
	raw, err := m.read(body)
	if err != nil {
		return runtime.Tensor{}, err
	}
	a, err := parseNPY(raw)
	if err != nil {
		return runtime.Tensor{}, err
	}
	return a.tensor(want)
}

// read returns the member's bytes: of a stored one a part of body.
func (m npzMember) read(body []byte) ([]byte, error) {
	f := m.file
	size := f.UncompressedSize64
	switch {
	case f.Flags&1 != 0:
		return nil, errors.New("it is encrypted")
	case f.Method == zip.Deflate && size > math.MaxUint16+1032*f.CompressedSize64:
		return nil, fmt.Errorf("%d bytes cannot come from %d deflated ones", size, f.CompressedSize64)
	case f.Method == zip.Deflate:
		return inflate(f)
	case f.Method != zip.Store:
		return nil, fmt.Errorf("compression method %d; known are stored and deflated", f.Method)
	}
	start, err := f.DataOffset()
	if err != nil {
		return nil, err
	}
	if start < 0 || start > int64(len(body)) || size > uint64(int64(len(body))-start) || size != f.CompressedSize64 {
		return nil, fmt.Errorf("its %d bytes are not within the file", size)
	}
	raw := body[start : start+int64(size)]
	if crc32.ChecksumIEEE(raw) != f.CRC32 {
		return nil, zip.ErrChecksum
	}
	return raw, nil
}

// inflate returns a member's bytes, as many as it declares and no more.
func inflate(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw := make([]byte, f.UncompressedSize64)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("it ends before its %d bytes: %w", len(raw), err)
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF { // at the end the checksum is known
		return nil, errors.Join(fmt.Errorf("it holds more than its %d bytes, or others", len(raw)), err)
	}
	return raw, nil
}
