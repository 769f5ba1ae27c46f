package codec

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/claryhq/clary/runtime"
)

// jsonInputs are the inputs that a body fills, by column or row by row, and
// the reader of that body.
type jsonInputs struct {
	jsonReader
	in    []jsonTensor
	one   *oneInput      // for a model with one input: where in lies
	infer bool           // the body says what the inputs are
	names map[string]int // where many inputs are found by name
	count int            // rows read; -1 when the values are whole tensors

	request *Request
	vector  *featureVector // of the row that is read, where there was one in an object
}

// oneInput is what the only input of most models takes, in one allocation.
type oneInput struct {
	result
	in [1]jsonTensor
}

// manyInputs is where a map finds a name sooner than a look at each does.
const manyInputs = 16

// maxInferred bounds how many inputs a body may name by itself: each takes far
// more memory than its name.
const maxInferred = 4096

// start prepares d for body and the inputs that want describes (nil: whatever
// body holds), with room for as much as body may hold.
func (d *jsonInputs) start(body []byte, want []runtime.Info) error {
	d.b, d.row, d.count = body, -1, -1
	d.infer = want == nil
	total := 0
	for i := range want {
		info := &want[i]
		if info.Kind != runtime.KindTensor || !info.DType.Known() {
			return errorf("JSON", "", "the model's input %q is not a tensor of a known type, and nothing else can be sent", info.Name)
		}
		total += perRow(info)
	}
	if len(want) == 1 {
		d.one = new(oneInput)
		d.in = d.one.in[:0]
	} else {
		d.in = make([]jsonTensor, 0, len(want))
	}
	most := bytes.Count(body, []byte(",")) + 1
	for i := range want {
		info := &want[i]
		// No more elements than commas and one, nor than their shortest texts
		// have room for; of several inputs each has its shape's share.
		shortest := 2
		if info.DType == runtime.String {
			shortest = 3
		}
		n := min(most, len(body)/shortest+1)
		if len(want) > 1 {
			n = int(float64(n)*float64(perRow(info))/float64(total)) + 1
		}
		d.in = append(d.in, jsonTensor{info: info, name: info.Name, rank: -1})
		if d.one != nil {
			d.in[i].elements = d.request.elements(&d.one.result, info.DType, n)
		} else {
			d.in[i].elements = newElements(info.DType, n)
		}
		d.index(i)
	}
	return nil
}

// perRow returns the elements of a row of info, with 1 for an open dimension.
func perRow(info *runtime.Info) int {
	n := 1
	for i, dim := range info.Shape {
		if i > 0 && dim > 1 && n < 1<<32/dim {
			n *= dim
		}
	}
	return n
}

// index makes the i-th input known by name once there are many.
func (d *jsonInputs) index(i int) {
	if i < manyInputs {
		return
	}
	if d.names == nil {
		d.names = map[string]int{}
		for j := range i {
			d.names[d.in[j].name] = j
		}
	}
	d.names[d.in[i].name] = i
}

// find returns the input of that name, looking first at a guess.
func (d *jsonInputs) find(name []byte, guess int) (i int, ok bool) {
	if guess < len(d.in) && d.in[guess].name == string(name) {
		return guess, true
	}
	if d.names != nil {
		i, ok = d.names[string(name)]
		return i, ok
	}
	for i := range d.in {
		if d.in[i].name == string(name) {
			return i, true
		}
	}
	return 0, false
}

// add adds an input that the body names, if it may.
func (d *jsonInputs) add(name string) (int, error) {
	i := len(d.in)
	if i == maxInferred {
		return 0, d.errorf("more than %d names", maxInferred)
	}
	d.in = append(d.in, jsonTensor{name: name, rank: -1})
	d.index(i)
	return i, nil
}

// unknown is the error for a name that no input has.
func (d *jsonInputs) unknown(name []byte) error {
	return d.errorf("no input is called %s; the inputs are %s", strconv.Quote(clip(string(name))), d.inputNames())
}

// missing is the error for the inputs that do not have count rows, nil when
// all have.
func (d *jsonInputs) missing(count int) error {
	for i := range d.in {
		if d.in[i].rows < count {
			return d.errorf("input %q is missing; the inputs are %s", d.in[i].name, d.inputNames())
		}
	}
	return nil
}

// inputNames lists the names of the inputs, no more than a person reads.
func (d *jsonInputs) inputNames() string {
	var b strings.Builder
	for i := range d.in {
		if i == 8 {
			b.WriteString(" and " + strconv.Itoa(len(d.in)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(d.in[i].name))
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// named reads the value at the cursor into the input of that name and returns
// that input's index. guess is where to look first.
func (d *jsonInputs) named(name []byte, guess int) (int, error) {
	i, ok := d.find(name, guess)
	if !ok {
		if !d.infer || d.count > 0 {
			return 0, d.unknown(name)
		}
		var err error
		if i, err = d.add(string(name)); err != nil {
			return 0, err
		}
	}
	return i, d.fill(i)
}

// fill reads the value at the cursor into the i-th input: the next row, or the
// whole.
func (d *jsonInputs) fill(i int) error {
	t := &d.in[i]
	d.field = t.name
	if t.rows > max(d.count, 0) {
		return d.errorf("input %q is given twice", t.name)
	}
	if err := d.value(t, 0); err != nil {
		return err
	}
	t.rows++
	d.field = ""
	return nil
}

// tensors returns the inputs as they are to be run.
func (d *jsonInputs) tensors() ([]runtime.Tensor, error) {
	var out []runtime.Tensor
	var dims []int
	if d.one != nil {
		out, dims = d.one.tensors[:], d.one.dims[:0]
	} else {
		out, dims = make([]runtime.Tensor, len(d.in)), make([]int, 0, 4*len(d.in))
	}
	d.row, d.depth = -1, 0
	var buf [maxRank + 1]int
	for i := range d.in {
		t := &d.in[i]
		have := buf[:0]
		if d.count >= 0 {
			have = append(have, d.count)
		}
		have = append(have, t.shape[:max(t.rank, 0)]...)
		from := len(dims)
		if t.info == nil {
			dims = append(dims, have...)
		} else {
			fit, err := fitShape(dims, t.info, have, d.count >= 0)
			if t.flat {
				fit, err = fitFlat(dims, t.info, have)
			}
			if err != nil {
				return nil, d.errorf("input %q: %v", t.name, err)
			}
			dims = fit
		}
		out[i] = runtime.Tensor{Name: t.name, Shape: dims[from:len(dims):len(dims)], Data: t.finish()}
	}
	return out, nil
}
