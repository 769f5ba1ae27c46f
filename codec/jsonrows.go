package codec

// rowList reads a list of rows.
func (d *jsonInputs) rowList() error {
	d.count = 0
	for first := true; ; first = false {
		more, err := d.list(first)
		if !more {
			d.row = -1
			return err
		}
		d.row = d.count
		if err := d.oneRow(); err != nil {
			return err
		}
	}
}

// oneRow reads the row at the cursor: an object by input name, {"features":
// [...]}, the value of the only input, or a list with a value for each.
func (d *jsonInputs) oneRow() (err error) {
	switch c := d.peek(); {
	case c == '{':
		err = d.objectRow()
	case len(d.in) == 1 && (!d.infer || d.in[0].name == ""):
		err = d.onlyRow()
	case d.infer && d.count == 0 && len(d.in) == 0:
		d.add("") // the first: never too many
		err = d.onlyRow()
	case c == '[':
		err = d.listRow()
	default:
		err = d.errorf("%s where a row is wanted: an object by input name, or a list of %d values; the inputs are %s", clip(d.token(d.i)), len(d.in), d.inputNames())
	}
	if err == nil {
		err = d.missing(d.count + 1)
	}
	d.count++
	return err
}

// onlyRow reads the row of the only input.
func (d *jsonInputs) onlyRow() error {
	t := &d.in[0]
	t.rows++
	return d.value(t, 0)
}

// listRow reads a list with a value for each input, in the model's order.
func (d *jsonInputs) listRow() error {
	i := 0
	for first := true; ; first = false {
		more, err := d.list(first)
		switch {
		case err != nil:
			return err
		case !more && i < len(d.in):
			return d.errorf("a row of %d values where %d are wanted, one for each input: %s", i, len(d.in), d.inputNames())
		case !more:
			return nil
		case i == len(d.in):
			return d.errorf("a row of more than %d values, one for each input: %s", i, d.inputNames())
		}
		if err := d.fill(i); err != nil {
			return err
		}
		i++
	}
}

// objectRow reads a row whose values stand under the names of the inputs, or
// as features.
func (d *jsonInputs) objectRow() error {
	guess := 0
	for first := true; ; first = false {
		name, more, err := d.member(first)
		if !more {
			return err
		}
		_, input := d.find(name, guess)
		switch {
		case !input && string(name) == "features":
			err = d.features("features")
		case !input && string(name) == "data" && d.peek() == '{':
			err = d.features("data")
		default:
			guess, err = d.named(name, guess)
			guess++
		}
		if err != nil {
			return err
		}
	}
}

// features reads the value at the cursor, which stands under field: a vector,
// or an object that has it as "values", or for "data" one that has either as
// "features".
func (d *jsonInputs) features(field string) error {
	d.field = field
	if d.peek() == '{' {
		return d.featureObject()
	}
	if len(d.in) == 0 && d.infer {
		d.add("") // the first: never too many
	}
	if len(d.in) != 1 {
		return d.listRow()
	}
	if d.in[0].rows > d.count {
		return d.errorf("a row has its features twice")
	}
	d.in[0].flat = true
	return d.onlyRow()
}
