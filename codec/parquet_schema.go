package codec

import (
	"fmt"

	"github.com/claryhq/clary/runtime"
)

// Parquet's physical types.
const (
	parquetBoolean = iota
	parquetInt32
	parquetInt64
	parquetInt96
	parquetFloat
	parquetDouble
	parquetByteArray
	parquetFixed
)

// Parquet's repetition types.
const (
	parquetRequired = iota
	parquetOptional
	parquetRepeated
)

// Parquet's logical types, numbered as the fields of the union LogicalType.
const (
	logicalNone      = 0
	logicalString    = 1
	logicalMap       = 2
	logicalList      = 3
	logicalEnum      = 4
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTime      = 7
	logicalTimestamp = 8
	logicalInterval  = 9 // converted types alone have it
	logicalInteger   = 10
	logicalUnknown   = 11
	logicalJSON      = 12
	logicalBSON      = 13
	logicalUUID      = 14
	logicalFloat16   = 15
)

// A parquetLogical is a logical type.
type parquetLogical struct {
	logical  int
	bits     int // of logicalInteger
	unsigned bool
}

// convertedTypes gives the logical type of each of the older converted types.
var convertedTypes = [...]parquetLogical{
	0: {logical: logicalString}, 1: {logical: logicalMap}, 2: {logical: logicalMap}, 3: {logical: logicalList},
	4: {logical: logicalEnum}, 5: {logical: logicalDecimal}, 6: {logical: logicalDate}, 7: {logical: logicalTime},
	8: {logical: logicalTime}, 9: {logical: logicalTimestamp}, 10: {logical: logicalTimestamp},
	11: {logicalInteger, 8, true}, 12: {logicalInteger, 16, true}, 13: {logicalInteger, 32, true}, 14: {logicalInteger, 64, true},
	15: {logicalInteger, 8, false}, 16: {logicalInteger, 16, false}, 17: {logicalInteger, 32, false}, 18: {logicalInteger, 64, false},
	19: {logical: logicalJSON}, 20: {logical: logicalBSON}, 21: {logical: logicalInterval},
}

// A parquetNode is an element of a file's schema.
type parquetNode struct {
	name       string
	physical   int // -1 for a group
	size       int // of parquetFixed, in bytes
	repetition int
	children   int
	parquetLogical
}

// readNode reads a SchemaElement.
func readNode(t *thriftReader) parquetNode {
	n := parquetNode{physical: -1}
	converted := -1
	t.fields(func(field int) bool {
		switch field {
		case 1<<4 | thriftI32:
			n.physical = t.i32()
		case 2<<4 | thriftI32:
			n.size = t.i32()
		case 3<<4 | thriftI32:
			n.repetition = t.i32()
		case 4<<4 | thriftBinary:
			n.name = string(t.bytes())
		case 5<<4 | thriftI32:
			n.children = t.i32()
		case 6<<4 | thriftI32:
			converted = t.i32()
		case 10<<4 | thriftStruct:
			n.readLogical(t)
		default:
			return false
		}
		return true
	})
	if n.logical == logicalNone && converted >= 0 {
		n.logical = -1 // one that is not known
		if converted < len(convertedTypes) {
			n.parquetLogical = convertedTypes[converted]
		}
	}
	return n
}

// readLogical reads a LogicalType.
func (n *parquetNode) readLogical(t *thriftReader) {
	t.fields(func(field int) bool {
		n.logical = field >> 4
		if field != logicalInteger<<4|thriftStruct {
			return false
		}
		t.fields(func(field int) bool {
			switch field {
			case 1<<4 | thriftByte:
				n.bits = int(t.byte())
			case 2<<4 | thriftTrue, 2<<4 | thriftFalse:
				n.unsigned = field&15 == thriftFalse
			default:
				return false
			}
			return true
		})
		return true
	})
}

// elementType returns the type of a leaf's elements and the one under which
// they are stored, or why they cannot be read.
func (n *parquetNode) elementType() (declared, stored runtime.DType, refused string) {
	type kind struct{ physical, logical int }
	switch (kind{n.physical, n.logical}) {
	case kind{parquetBoolean, logicalNone}:
		return runtime.Bool, runtime.Bool, ""
	case kind{parquetInt32, logicalNone}, kind{parquetInt32, logicalUnknown}:
		return runtime.Int32, runtime.Int32, ""
	case kind{parquetInt64, logicalNone}, kind{parquetInt64, logicalUnknown}:
		return runtime.Int64, runtime.Int64, ""
	case kind{parquetInt32, logicalInteger}, kind{parquetInt64, logicalInteger}:
		return n.integerType()
	case kind{parquetFloat, logicalNone}:
		return runtime.Float32, runtime.Float32, ""
	case kind{parquetDouble, logicalNone}:
		return runtime.Float64, runtime.Float64, ""
	case kind{parquetByteArray, logicalNone}, kind{parquetByteArray, logicalString}, kind{parquetByteArray, logicalEnum},
		kind{parquetByteArray, logicalJSON}, kind{parquetByteArray, logicalUnknown}:
		return runtime.String, runtime.String, ""
	case kind{parquetFixed, logicalFloat16}:
		if n.size == 2 {
			return runtime.Float16, runtime.Float16, ""
		}
	}
	names := map[int]string{logicalDecimal: "a decimal", logicalDate: "a date", logicalTime: "a time", logicalTimestamp: "a timestamp",
		logicalInterval: "an interval", logicalBSON: "BSON", logicalUUID: "a UUID"}
	switch name := names[n.logical]; {
	case name != "":
		return 0, 0, name
	case n.physical == parquetInt96:
		return 0, 0, "a timestamp (INT96)"
	case n.physical == parquetFixed:
		return 0, 0, fmt.Sprintf("binary of %d bytes", n.size)
	}
	return 0, 0, fmt.Sprintf("of physical type %d with logical type %d", n.physical, n.logical)
}

func (n *parquetNode) integerType() (declared, stored runtime.DType, refused string) {
	wide := n.physical == parquetInt64
	switch {
	case n.bits == 64 && wide && n.unsigned:
		return runtime.Uint64, runtime.Uint64, ""
	case n.bits == 64 && wide:
		return runtime.Int64, runtime.Int64, ""
	case n.bits == 32 && !wide && n.unsigned:
		return runtime.Uint32, runtime.Uint32, ""
	case n.bits == 32 && !wide:
		return runtime.Int32, runtime.Int32, ""
	case n.bits == 16 && !wide && n.unsigned:
		return runtime.Uint16, runtime.Int32, ""
	case n.bits == 16 && !wide:
		return runtime.Int16, runtime.Int32, ""
	case n.bits == 8 && !wide && n.unsigned:
		return runtime.Uint8, runtime.Int32, ""
	case n.bits == 8 && !wide:
		return runtime.Int8, runtime.Int32, ""
	}
	return 0, 0, fmt.Sprintf("an integer of %d bits in physical type %d", n.bits, n.physical)
}

// A parquetLeaf is what the file says of a column's values.
type parquetLeaf struct {
	stored  runtime.DType // of the values in pages
	index   int           // among the schema's leaves, which is that of its chunks
	maxDef  int           // the definition level of a value
	listDef int           // that of a list's element, null or not; 0 for no list
}

// readSchema turns the schema into columns, one for each child of its root.
// It returns how many leaves it has, those of columns that are refused included.
func (f *parquetFile) readSchema(nodes []parquetNode) (leaves int, err error) {
	if len(nodes) == 0 || nodes[0].physical >= 0 {
		return 0, errorf("Parquet", "", "the file has no schema")
	}
	if end, _ := subtree(nodes, 0); end != len(nodes) {
		return 0, errorf("Parquet", "", "the schema is malformed")
	}
	for at := 1; at < len(nodes); {
		end, n := subtree(nodes, at)
		top := &nodes[at]
		if err := f.take(columnOverhead+len(top.name), 1); err != nil {
			return 0, errorf("Parquet", "", "%s", err)
		}
		leaf := parquetLeaf{index: leaves}
		c := column{name: top.name, width: 1}
		value := leaf.descend(nodes[at:end], &c)
		if c.refused == "" {
			c.dtype, leaf.stored, c.refused = value.elementType()
		}
		f.columns = append(f.columns, c)
		f.leaves = append(f.leaves, leaf)
		leaves += n
		at = end
	}
	return leaves, nil
}

// subtree returns where the node at ends with all its children, and how many
// leaves it has; end is negative where the schema ends before.
func subtree(nodes []parquetNode, at int) (end, leaves int) {
	for open := 1; open > 0; at++ {
		if at >= len(nodes) {
			return -1, 0
		}
		n := &nodes[at]
		if n.children < 0 || n.children > len(nodes) || n.physical >= 0 && n.children > 0 {
			return -1, 0
		}
		if n.physical >= 0 {
			leaves++
		}
		open += n.children - 1
	}
	return at, leaves
}

// descend finds the levels and the value of a column, a scalar or a list as
// the format's LogicalTypes.md lays it out:
//
//	<optional|required> <name> (LIST) { repeated group list { <optional|required> <type> element } }
//
// It also takes the two levels that older writers use, and a bare repeated
// value.
func (l *parquetLeaf) descend(nodes []parquetNode, c *column) *parquetNode {
	n := &nodes[0]
	if n.repetition == parquetOptional {
		l.maxDef++
	}
	if n.physical < 0 {
		switch {
		case n.logical == logicalMap:
			c.refused = "a map"
			return n
		case n.logical != logicalList || n.children != 1 || nodes[1].repetition != parquetRepeated:
			c.refused = "a struct"
			return n
		}
		nodes = nodes[1:]
		n = &nodes[0]
	}
	if n.repetition == parquetRepeated {
		c.list = true
		l.maxDef++
		l.listDef = l.maxDef
		if n.physical < 0 && n.children == 1 {
			n = &nodes[1]
			if n.repetition == parquetOptional {
				l.maxDef++
			}
		}
	}
	if n.physical < 0 || c.list && n != &nodes[0] && n.repetition == parquetRepeated {
		c.refused = "a list of lists or structs"
	}
	return n
}
