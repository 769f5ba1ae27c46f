package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// processing is SageMaker's DataProcessing of single records: a filter before
// the model, the input joined to the output, a filter after that, and an id.
type processing struct {
	csv     bool
	in, out *filter
	join    bool
	id      bool
}

// newProcessing returns nil where a job has none.
func newProcessing(j *Job) (*processing, error) {
	in, err := newFilter(j.InputFilter)
	if err != nil {
		return nil, fmt.Errorf("input filter: %w", err)
	}
	out, err := newFilter(j.OutputFilter)
	if err != nil {
		return nil, fmt.Errorf("output filter: %w", err)
	}
	if in == nil && out == nil && !j.Join && !j.InferenceID {
		return nil, nil
	}
	if err := j.checkProcessing(); err != nil {
		return nil, err
	}
	return &processing{csv: strings.HasPrefix(j.ContentType, "text/csv"), in: in, out: out, join: j.Join, id: j.InferenceID}, nil
}

// input is what the model gets of a record.
func (p *processing) input(record []byte) ([]byte, error) {
	record = bytes.TrimRight(record, "\r\n")
	if p.in == nil {
		return record, nil
	}
	value, err := p.read(record)
	if err == nil {
		value, err = p.in.apply(value)
	}
	if err != nil {
		return nil, fmt.Errorf("input filter: %w", err)
	}
	return p.write(value)
}

// output makes the output's records of a reply and the records that it
// answers, the first of which is number first of the object.
func (p *processing) output(object string, first int64, inputs [][]byte, reply []byte) ([]byte, error) {
	replies := [][]byte{reply}
	if len(inputs) > 1 || p.csv {
		replies = bytes.Split(bytes.TrimRight(reply, "\r\n"), []byte("\n"))
	}
	if len(replies) != len(inputs) {
		return nil, fmt.Errorf("%d records came back for %d: they cannot be told apart", len(replies), len(inputs))
	}
	var b bytes.Buffer
	for i, record := range inputs {
		line, err := p.record(bytes.TrimRight(record, "\r\n"), bytes.TrimSpace(replies[i]))
		if err == nil && p.id {
			line, err = p.identify(line, object, first+int64(i))
		}
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", first+int64(i)+1, err)
		}
		if b.Write(line); len(inputs) > 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes(), nil
}

// record joins and filters.
func (p *processing) record(in, out []byte) ([]byte, error) {
	if p.join {
		joined, err := p.joined(in, out)
		if err != nil {
			return nil, fmt.Errorf("join: %w", err)
		}
		out = joined
	}
	if p.out == nil {
		return out, nil
	}
	value, err := p.read(out)
	if err == nil {
		value, err = p.out.apply(value)
	}
	if err != nil {
		return nil, fmt.Errorf("output filter: %w", err)
	}
	return p.write(value)
}

// joined puts the output to its input: columns to columns; a member of the
// object, or of a new one where the input is none. The input's bytes stay as
// they are.
func (p *processing) joined(in, out []byte) ([]byte, error) {
	if p.csv {
		return fmt.Appendf(nil, "%s,%s", in, out), nil
	}
	for _, value := range [][]byte{in, out} {
		if !json.Valid(value) {
			return nil, fmt.Errorf("%.60q is no JSON", value)
		}
	}
	if in = bytes.TrimSpace(in); in[0] == '{' {
		return member(in, "SageMakerOutput", out), nil
	}
	return fmt.Appendf(nil, `{"SageMakerInput":%s,"SageMakerOutput":%s}`, in, out), nil
}

// member adds one to an object's text.
func member(object []byte, name string, value []byte) []byte {
	head := bytes.TrimSpace(object[:len(object)-1])
	comma := ","
	if len(head) == 1 {
		comma = ""
	}
	return fmt.Appendf(nil, "%s%s%q:%s}", head, comma, name, value)
}

// identify appends the id, which is of the object and the record alone, and
// the time.
func (p *processing) identify(line []byte, object string, record int64) ([]byte, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", object, record))
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // a UUID of version 8, which is one's own
	id := fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	now := time.Now().UTC().Format(time.RFC3339)
	if p.csv {
		return fmt.Appendf(line[:len(line):len(line)], ",%s,%s", id, now), nil
	}
	if len(line) == 0 || line[0] != '{' {
		line = fmt.Appendf(nil, `{"SageMakerOutput":%s}`, line)
	}
	line = member(line, "SageMakerInferenceId", fmt.Appendf(nil, "%q", id))
	return member(line, "SageMakerInferenceTime", fmt.Appendf(nil, "%q", now)), nil
}

// read parses a record: a row of CSV is a list of texts, and numbers of JSON
// keep their digits.
func (p *processing) read(record []byte) (any, error) {
	if p.csv {
		r := csv.NewReader(bytes.NewReader(record))
		row, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("%.60q is no row of CSV: %w", record, err)
		}
		list := make([]any, len(row))
		for i, cell := range row {
			list[i] = cell
		}
		return list, nil
	}
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("%.60q is no JSON: %w", record, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%.60q goes on after its value", record)
	}
	return value, nil
}

// write is the inverse of read.
func (p *processing) write(value any) ([]byte, error) {
	var b bytes.Buffer
	if !p.csv {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(value)
		return bytes.TrimRight(b.Bytes(), "\n"), err
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	row := make([]string, len(list))
	for i, cell := range list {
		text, ok := cell.(string)
		if !ok {
			return nil, errors.New("it selects more than columns")
		}
		row[i] = text
	}
	w := csv.NewWriter(&b)
	err := w.Write(row)
	w.Flush()
	return bytes.TrimRight(b.Bytes(), "\n"), errors.Join(err, w.Error())
}
