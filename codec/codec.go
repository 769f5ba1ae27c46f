// Package codec turns the bytes of a media type into tensors and back, one
// media type a file.
//
// [Lookup] finds the codec of a request's Content-Type, [Negotiate] that of
// its Accept. Decoding goes straight into the typed slice that the model's
// input wants, by the rules of docs/types.md: a number is either exact (or
// the nearest float) or refused, never silently another one.
package codec

import (
	"errors"
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// A Codec reads and writes one media type. It holds no state and may be used
// concurrently.
type Codec interface {
	// MediaTypes lists the names it answers to, the canonical one first,
	// all in lower case.
	MediaTypes() []string

	// Decode reads a whole body. With r.Want it returns one tensor for each
	// of them, in that order, of that type, and of a shape that fits; without,
	// it infers names, types and shapes. It fills in what it finds in r. The
	// result may share memory with body. A body that cannot be read is an
	// *Error; an empty one is ErrEmpty.
	Decode(body []byte, r *Request) ([]runtime.Tensor, error)

	// Encode appends the reply to dst. What the media type cannot carry (two
	// tensors in an NPY file) is an error that wraps ErrNotAcceptable.
	Encode(dst []byte, out []runtime.Tensor, r *Reply) ([]byte, error)
}

// A Request is what a decoder is told about a body, and what it finds in it.
type Request struct {
	Want    []runtime.Info    // the model's inputs; nil: infer from the body
	Params  map[string]string // the media type's parameters, keys in lower case; may be nil
	Options *Options          // nil: defaults
	Room    *Room             // what a body of text may be decoded into; nil: new memory

	Found Found // set by Decode
}

// Found is what a request says beside its tensors, and what the reply needs
// to be in the same dialect.
type Found struct {
	Dialect Dialect
	ID      string   // KServe V2's id
	Outputs []Output // the outputs it asks for, in order; nil: all
	Schema  *Schema  // SparkML: the schema that the rows were read by
	Binary  bool     // KServe V2: all outputs but those are wanted in binary
}

// An Output is one that a request asks for by name (KServe V2, SparkML).
type Output struct {
	Name   string
	Binary bool // wanted in binary
}

// A Reply is what an encoder is told.
type Reply struct {
	Found                     // as the request's decoder left it
	Params  map[string]string // of the accepted media type, keys in lower case; may be nil
	Infos   []runtime.Info    // describes out, index by index; may be nil
	Model   string            // the model's name, for dialects that carry it
	Options *Options          // nil: defaults
	// Trailing asks row formats for a newline after the last line.
	Trailing bool

	// ContentType is set by Encode where the reply's is another than the media
	// type that was negotiated.
	ContentType string
}

// A Dialect is one of the shapes that requests take; a request in one dialect
// is answered in the same one (contract §11.10). Only JSON has several.
type Dialect uint8

// The dialects.
const (
	Rows    Dialect = iota // {"instances":[...]}, pandas split, CSV, JSON Lines, NPY: {"predictions":[...]}, one entry a row
	Bare                   // a bare nested list: the same
	Columns                // {"inputs":{...}}: {"outputs":{...}}
	V2                     // KServe V2
	SparkML                // rows by the columns of a Schema: one output, {"predictions":[...]} in JSON, see JSONLines
)

// Errors that say what is wrong with the exchange rather than with a value.
var (
	ErrEmpty         = errors.New("the body is empty")
	ErrMediaType     = errors.New("unsupported media type") // of a request: 415
	ErrNotAcceptable = errors.New("not acceptable")         // of a reply: 406
)

// An Error is a body that cannot be read as what it claims to be, or whose
// values do not fit the model's inputs. Its text is for whoever sent it: what
// was given, what was wanted, where.
type Error struct {
	Format string // "JSON", "CSV", ...
	Where  string // "line 3, column 2", "byte 17", "instances[2].age"; may be empty
	Msg    string
	Err    error // a cause, if there is one
}

func (e *Error) Error() string {
	s := e.Format
	if e.Where != "" {
		s += ", " + e.Where
	}
	s += ": " + e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes every Error match runtime.ErrInput: the sender can mend it.
func (e *Error) Is(target error) bool { return target == runtime.ErrInput }

func errorf(format, where, msg string, args ...any) *Error {
	return &Error{Format: format, Where: where, Msg: fmt.Sprintf(msg, args...)}
}
