package codec

import (
	"errors"
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// The types of a field, numbered as Arrow's union Type.
const (
	arrowNull            = 1
	arrowInt             = 2
	arrowFloat           = 3
	arrowBinary          = 4
	arrowUTF8            = 5
	arrowBool            = 6
	arrowList            = 12
	arrowFixedSizeBinary = 15
	arrowFixedSizeList   = 16
	arrowLargeBinary     = 19
	arrowLargeUTF8       = 20
	arrowLargeList       = 21
	arrowBinaryView      = 23
	arrowUTF8View        = 24
)

// arrowNames are what the types that are not read are called.
var arrowNames = map[int]string{7: "a decimal", 8: "a date", 9: "a time", 10: "a timestamp", 11: "an interval", 13: "a struct",
	14: "a union", arrowFixedSizeBinary: "binary of a fixed size", 17: "a map", 18: "a duration", 22: "run-end encoded",
	25: "a list view", 26: "a list view"}

// An arrowField is what the schema says of a column or of a list's elements.
type arrowField struct {
	kind   int
	dtype  runtime.DType // of an element
	size   int           // of arrowFixedSizeList
	child  *arrowField   // of a list: its elements
	nested bool          // it has children

	encoded    bool // values are indices into a dictionary
	dictionary int
	index      runtime.DType

	used bool // by the model
}

// readSchema reads the first message.
func (s *arrowStream) readSchema() error {
	kind, schema, _, ok, err := s.next()
	switch {
	case err != nil:
		return s.fail(err)
	case !ok || kind != arrowSchema:
		return s.fail(errors.New("it is no Arrow stream, which begins with a schema"))
	case schema.int(0, 2) != 0:
		return s.fail(errors.New("the stream is big-endian; only little-endian ones are read"))
	}
	at, n := schema.vector(1, 4)
	for i := range n {
		field := schema.flatBuffer.table(schema.deref(at + 4*i))
		name := field.string(0)
		if err := s.take(columnOverhead+len(name), 1); err != nil {
			return s.fail(err)
		}
		c := column{name: string(name), width: 1}
		f, refused := readField(field, true)
		if c.refused = refused; refused == "" {
			c.dtype = f.dtype
		}
		if c.list = f.child != nil; c.list {
			c.width = 0
		}
		s.columns = append(s.columns, c)
		s.fields = append(s.fields, f)
		if schema.bad {
			break
		}
	}
	if schema.bad {
		return s.fail(errArrow)
	}
	return nil
}

// readField reads a Field, of which lists says whether it may be one. refused
// says why it cannot be read; it is empty if it can.
func readField(t flatTable, lists bool) (f arrowField, refused string) {
	f.kind = int(uint8(t.int(2, 1)))
	kind, _ := t.table(3)
	children, n := t.vector(5, 4)
	f.nested = n > 0
	if dictionary, ok := t.table(4); ok {
		f.encoded = true
		f.dictionary = dictionary.int(0, 8)
		f.index = runtime.Int32
		if index, ok := dictionary.table(1); ok {
			f.index = arrowInteger(index)
		}
		if f.index == runtime.Undefined || f.nested {
			return f, "a dictionary of another type than strings or numbers"
		}
	}
	switch f.kind {
	case arrowNull:
		f.dtype = runtime.Float64
	case arrowBool:
		f.dtype = runtime.Bool
	case arrowInt:
		f.dtype = arrowInteger(kind)
	case arrowFloat:
		precision := kind.int(0, 2)
		if precision < 0 || precision > 2 {
			return f, fmt.Sprintf("a float of precision %d", precision)
		}
		f.dtype = [...]runtime.DType{runtime.Float16, runtime.Float32, runtime.Float64}[precision]
	case arrowUTF8, arrowLargeUTF8, arrowUTF8View, arrowBinary, arrowLargeBinary, arrowBinaryView:
		f.dtype = runtime.String
	case arrowList, arrowLargeList, arrowFixedSizeList:
		if n != 1 || !lists {
			return f, "a list of lists"
		}
		child, refused := readField(t.flatBuffer.table(t.deref(children)), false)
		if refused != "" {
			return f, "a list, and each element " + refused
		}
		f.child, f.dtype = &child, child.dtype
		if f.size = kind.int(0, 4); f.kind == arrowFixedSizeList && f.size < 0 {
			return f, "a list of negative size"
		}
	}
	if f.dtype == runtime.Undefined {
		if name := arrowNames[f.kind]; name != "" {
			return f, name
		}
		return f, fmt.Sprintf("of Arrow's type %d", f.kind)
	}
	return f, ""
}

// arrowInteger returns the element type of an Int, Undefined where there is
// none.
func arrowInteger(t flatTable) runtime.DType {
	signed := t.int(1, 1) != 0
	switch t.int(0, 4) {
	case 8:
		if signed {
			return runtime.Int8
		}
		return runtime.Uint8
	case 16:
		if signed {
			return runtime.Int16
		}
		return runtime.Uint16
	case 32:
		if signed {
			return runtime.Int32
		}
		return runtime.Uint32
	case 64:
		if signed {
			return runtime.Int64
		}
		return runtime.Uint64
	}
	return runtime.Undefined
}
