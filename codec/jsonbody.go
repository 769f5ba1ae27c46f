package codec

import (
	"strconv"
	"strings"
)

// A jsonBody reads the outermost value and finds the dialect.
type jsonBody struct {
	jsonInputs
	found *Found // the request's

	form  string   // the key that says what the body is
	seen  []string // the keys that say nothing, for an error
	frame dataFrame

	schemaAt int         // where the schema of its rows begins
	rows     *schemaRows // of a schema, where they were read

	binary bool   // inputs may have their data behind the body
	tail   []byte // what of that has not been read yet
}

func (d *jsonBody) read() error {
	if d.peek() == '{' {
		d.found.Dialect = Rows
		return d.object()
	}
	d.found.Dialect = Bare
	if d.peek() == '[' && (d.inner() == '{' || !d.infer && len(d.in) != 1) {
		return d.rowList()
	}
	return d.only()
}

// inner returns the first byte inside the list at the cursor.
func (d *jsonBody) inner() byte {
	start := d.i
	d.i++
	c := d.peek()
	d.i = start
	return c
}

// only reads the whole of the only input.
func (d *jsonBody) only() error {
	if d.infer {
		d.add("") // the first: never too many
	}
	if len(d.in) != 1 {
		return d.errorf("a value without a name where the model has %d inputs; give each by its name: %s", len(d.in), d.inputNames())
	}
	d.in[0].rows++
	return d.value(&d.in[0], 0)
}

// object reads an envelope. Keys that belong to no dialect and say nothing
// about the values ("signature_name", "configuration") are left alone.
func (d *jsonBody) object() error {
	id, outputs, parameters := 0, 0, 0 // where KServe V2's begin
	for first := true; ; first = false {
		key, more, err := d.member(first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		switch d.key = envelopeKey(key); d.key {
		case "id":
			err = d.later(&id)
		case "outputs":
			err = d.later(&outputs)
		case "schema":
			err = d.later(&d.schemaAt)
		case "parameters":
			err = d.later(&parameters)
		case "":
			if len(d.seen) < 4 {
				d.seen = append(d.seen, strconv.Quote(clip(string(key))))
			}
			err = d.skip(1)
		default:
			err = d.envelope(d.key)
		}
		d.key, d.field = "", ""
		if err != nil {
			return err
		}
	}
	end := d.i
	err := d.finish(id, outputs, parameters)
	d.i = end
	return err
}

// envelopeKey returns key if it is one that some dialect's envelope has.
func envelopeKey(key []byte) string {
	for _, k := range [...]string{"instances", "predictions", "inputs", "id", "outputs", "parameters", "features", "dataframe_split", "dataframe_records", "columns", "data", "schema"} {
		if string(key) == k {
			return k
		}
	}
	return ""
}

// later notes where a value begins, if it is not null, and passes over it.
func (d *jsonBody) later(at *int) error {
	if *at > 0 {
		return d.errorf("given twice")
	}
	*at = d.i
	err := d.skip(1)
	if string(d.b[*at:d.i]) == "null" {
		*at = 0
	}
	return err
}

// claim makes key the one that says what the body is.
func (d *jsonBody) claim(key string) error {
	if d.form != "" {
		d.key = ""
		if d.form == key {
			return d.errorf("%q is given twice", key)
		}
		return d.errorf("both %q and %q are given; one of them says what the body is", d.form, key)
	}
	d.form = key
	return nil
}

// envelope reads the value of one of the keys that carry values.
func (d *jsonBody) envelope(key string) error {
	if key == "columns" || key == "data" && (d.form == "data" || d.peek() != '{') {
		if d.form != "data" {
			if err := d.claim("data"); err != nil {
				return err
			}
		}
		return d.frameMember(key)
	}
	switch key {
	case "data":
		key = "features"
	case "predictions": // a reply of this package: the request of a pipeline's next step
		key = "instances"
	}
	if err := d.claim(key); err != nil {
		return err
	}
	switch key {
	case "inputs":
		return d.inputs()
	case "features":
		d.count = 0
		field := d.key
		d.key = ""
		if err := d.features(field); err != nil {
			return err
		}
		d.count = 1
		return d.missing(1)
	case "dataframe_split":
		return d.splitObject()
	}
	return d.rowList()
}

// inputs reads the value of "inputs": whole tensors by name, KServe V2's list,
// or the only input.
func (d *jsonBody) inputs() error {
	c := d.peek()
	if c == '[' && (d.inner() == '{' || d.inner() == ']' && !d.infer && len(d.in) == 0) {
		d.found.Dialect = V2
		return d.v2Inputs()
	}
	d.found.Dialect = Columns
	if c != '{' {
		return d.only()
	}
	guess := 0
	for first := true; ; first = false {
		name, more, err := d.member(first)
		if err != nil {
			return err
		}
		if !more {
			return d.missing(1)
		}
		if guess, err = d.named(name, guess); err != nil {
			return err
		}
		guess++
	}
}

// finish reads what could not be read before the whole envelope was seen.
func (d *jsonBody) finish(id, outputs, parameters int) error {
	if d.form == "" && outputs > 0 { // as predictions
		d.i, d.form, outputs = outputs, "inputs", 0
		if err := d.inputs(); err != nil {
			return err
		}
	}
	switch {
	case d.form == "data":
		return d.frameEnd()
	case d.found.Dialect == V2:
		return d.v2Envelope(id, outputs, parameters)
	case d.form == "" && (d.infer || len(d.in) > 0):
		hint := ""
		if len(d.seen) > 0 {
			hint = "; it has " + strings.Join(d.seen, ", ")
		}
		return d.errorf(`an object with "instances", "inputs" or "dataframe_split" is wanted%s`, hint)
	}
	return nil
}
