package codec

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// LibSVM is text/libsvm, a row a line:
//
//	1 qid:3 1:0.5 4:-2e3   # a comment
//	2:1.25
//
// A label, one number, may stand in front; it and a qid are passed over, and
// so are blank lines: a row of zeros needs a label. Indices are counted from 1
// or, with the parameter index_base=0, from 0, may come in any order and none
// twice in a line. What a line does not name is 0, or with missing=nan NaN, as
// XGBoost sees it. Rows go to a model's only input and are as wide as it, where
// the model leaves that open as wide as the greatest index. Values are numbers
// as in [CSV], nan and inf among them. Zeros included the rows may take 64 MiB
// or 20 times the body, whichever is more. A body without rows is [ErrEmpty].
//
// It is read and never written: Encode returns ErrNotAcceptable.
type LibSVM struct{}

// LibSVMOptions are what a model says of its libsvm input; the parameter
// index_base goes before them.
type LibSVMOptions struct {
	ZeroBased bool // the first column's index is 0, not 1
}

// MediaTypes returns text/libsvm and its alias.
func (LibSVM) MediaTypes() []string { return libSVMTypes }

var libSVMTypes = []string{"text/libsvm", "text/x-libsvm"}

func (LibSVM) readsOnly() {}

// indexBase returns the index of the first column.
func indexBase(r *Request) (int, error) {
	switch v := r.Params["index_base"]; v {
	case "0":
		return 0, nil
	case "1":
		return 1, nil
	case "":
		if r.Options != nil && r.Options.LibSVM.ZeroBased {
			return 0, nil
		}
		return 1, nil
	default:
		return 0, fmt.Errorf("%w: text/libsvm with index_base=%s: it may be 0 or 1", ErrMediaType, quote(v))
	}
}

// Decode implements [Codec].
func (LibSVM) Decode(body []byte, r *Request) ([]runtime.Tensor, error) {
	s := libSVMScanner{b: body}
	var err error
	if s.base, err = indexBase(r); err != nil {
		return nil, err
	}
	if s.missingNaN, err = missingNaN(r, "text/libsvm"); err != nil {
		return nil, err
	}
	want := runtime.Info{DType: runtime.Float64, Shape: []int{-1, -1}}
	switch {
	case len(r.Want) == 1:
		want = r.Want[0]
	case r.Want != nil:
		return nil, errorf("LibSVM", "", "rows for one input, and the model has %d: send text/csv or application/json", len(r.Want))
	}
	if want.Kind != runtime.KindTensor || !want.DType.Known() || want.DType == runtime.String {
		return nil, errorf("LibSVM", "", "input %q does not take numbers, and nothing else can be sent", want.Name)
	}
	s.dtype = want.DType
	if err := s.rows(&want); err != nil {
		return nil, err
	}
	t, err := s.tensor(&want)
	if err != nil {
		return nil, err
	}
	r.Found.Dialect = Rows
	return []runtime.Tensor{t}, nil
}

// Encode implements [Codec].
func (LibSVM) Encode([]byte, []runtime.Tensor, *Reply) ([]byte, error) {
	return nil, fmt.Errorf("%w: text/libsvm is read and not written; accept text/csv", ErrNotAcceptable)
}

// tensor writes the zeros out between what was read.
func (s *libSVMScanner) tensor(info *runtime.Info) (t runtime.Tensor, err error) {
	rows := len(s.ends)
	if s.width < 0 {
		s.width = s.sparseRows.width()
	}
	t.Name = info.Name
	if t.Shape, err = fitRows(info, rows, s.width); err != nil {
		return t, errorf("LibSVM", "", "input %q: %v", info.Name, err)
	}
	if err := checkDense("LibSVM", "", rows, s.width, info.DType.Size(), maxDense(len(s.b))); err != nil {
		return t, err
	}
	t.Data = runtime.Make(info.DType, rows*s.width)
	if s.missingNaN {
		nan, err := nanOf(info.DType)
		if err != nil {
			return t, errorf("LibSVM", "", "input %q: %v", info.Name, err)
		}
		fill(runtime.Bytes(t.Data), nan)
	}
	s.values = s.read.finish()
	s.writeTo(t.Data, s.width)
	return t, nil
}
