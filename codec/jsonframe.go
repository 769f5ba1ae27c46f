package codec

import "strconv"

// A dataFrame is what is known of a pandas data frame in its "split" form:
// {"columns": [...], "index": [...], "data": [[...], ...]}.
type dataFrame struct {
	columns []string // nil until they are read; the first of them where there are more than may have names
	count   int      // how many columns
	data    int      // where the data begins
	done    bool     // the data is read
}

// splitObject reads the value of "dataframe_split".
func (d *jsonBody) splitObject() error {
	for first := true; ; first = false {
		key, more, err := d.member(first)
		if err != nil {
			return err
		}
		if !more {
			end := d.i
			err := d.frameEnd()
			d.i = end
			return err
		}
		switch k := string(key); k {
		case "columns", "data":
			err = d.frameMember(k)
		default: // "index"
			err = d.skip(2)
		}
		if err != nil {
			return err
		}
	}
}

// frameMember reads the columns, and the data if they are known.
func (d *jsonBody) frameMember(key string) error {
	f := &d.frame
	switch {
	case key == "columns" && f.columns != nil, key == "data" && f.data > 0:
		return d.errorf("%q is given twice", key)
	case key == "columns":
		return d.columnNames()
	}
	f.data = d.i
	if f.columns == nil {
		return d.skip(1)
	}
	return d.frameData()
}

// frameEnd reads the data where it came before the columns.
func (d *jsonBody) frameEnd() error {
	f := &d.frame
	if f.columns == nil && d.form == "data" {
		if ok, err := d.schemaData(); ok {
			return err
		}
	}
	switch {
	case f.columns == nil:
		return d.errorf(`"columns" is missing beside "data"`)
	case f.data == 0:
		return d.errorf(`"data" is missing beside "columns"`)
	case !f.done:
		d.i = f.data
		return d.frameData()
	}
	return nil
}

// columnNames reads the columns' names; pandas writes those of a data frame
// without any as numbers.
func (d *jsonBody) columnNames() error {
	f := &d.frame
	f.columns = []string{}
	for first := true; ; first = false {
		more, err := d.list(first)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		name := ""
		if d.peek() == '"' {
			raw, escaped, err := d.quoted()
			if err != nil {
				return err
			}
			name = text(raw, escaped)
		} else if _, end := scanNumber(d.b, d.i, strict); end > d.i {
			name = string(d.b[d.i:end])
			d.i = end
		} else {
			return d.errorf("%s where a column's name is wanted", clip(d.token(d.i)))
		}
		// One more than can be matched is enough to tell that not all can.
		if f.count++; f.count <= max(len(d.in), maxInferred)+1 {
			f.columns = append(f.columns, name)
		}
	}
}

// frameData reads the rows: into one named input for each column, or all
// columns, in the order sent, into the only input.
func (d *jsonBody) frameData() error {
	f := &d.frame
	f.done = true
	if d.form == "data" {
		d.key = "data"
	} else {
		d.key = "dataframe_split.data"
	}
	if len(d.in) == 1 && !(f.count == 1 && f.columns[0] == d.in[0].name) {
		t := &d.in[0]
		t.rows++
		t.flat = true
		if err := d.value(t, 0); err != nil {
			return err
		}
		if t.rank == 1 && t.shape[0] == 0 {
			return nil
		}
		if t.rank != 2 || t.shape[0] > 0 && t.shape[1] != f.count {
			return d.errorf("shape %s where rows of %d values are wanted, one for each column", shapeText(t.shape[:t.rank], nil), f.count)
		}
		return nil
	}
	order, err := d.matchColumns()
	if err != nil {
		return err
	}
	d.count = 0
	for first := true; ; first = false {
		more, err := d.list(first)
		if !more {
			d.row = -1
			return err
		}
		d.row = d.count
		if err := d.frameRow(order); err != nil {
			return err
		}
		d.count++
	}
}

// matchColumns returns each column's input.
func (d *jsonBody) matchColumns() ([]int, error) {
	order := make([]int, len(d.frame.columns))
	taken := make([]bool, len(d.in))
	for j, name := range d.frame.columns {
		i, ok := d.find([]byte(name), j)
		switch {
		case !ok && d.infer:
			var err error
			if i, err = d.add(name); err != nil {
				return nil, err
			}
			taken = append(taken, false)
		case !ok:
			return nil, d.unknown([]byte(name))
		}
		if taken[i] {
			return nil, d.errorf("the column %s is given twice", strconv.Quote(clip(name)))
		}
		order[j], taken[i] = i, true
	}
	for i, ok := range taken {
		if !ok {
			return nil, d.errorf("no column is called %q; the inputs are %s", d.in[i].name, d.inputNames())
		}
	}
	return order, nil
}

// frameRow reads one row, a value for each column.
func (d *jsonBody) frameRow(order []int) error {
	j := 0
	for first := true; ; first = false {
		more, err := d.list(first)
		switch {
		case err != nil:
			return err
		case !more && j < len(order), more && j == len(order):
			return d.errorf("a row of %d values is wanted, one for each column", len(order))
		case !more:
			return nil
		}
		if err := d.fill(order[j]); err != nil {
			return err
		}
		j++
	}
}
