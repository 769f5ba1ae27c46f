package transform

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/claryhq/clary/artifact/store"
)

// checkEndless refuses what cannot be where an object is one request without
// end (contract §6.2): nothing knows its records then.
func (j *Job) checkEndless() error {
	switch {
	case j.MaxPayload != 0:
		return nil
	case j.Stream == nil:
		return errors.New("a payload of 0 is a request without end, and nobody takes one")
	case j.Split != SplitNone && !j.Multi:
		return errors.New("--max-payload-mb 0 sends an object as one request: want --strategy MultiRecord, or a payload of 1 to 100")
	case j.InputFilter != "" && j.InputFilter != "$" || j.OutputFilter != "" && j.OutputFilter != "$" || j.Join || j.InferenceID:
		return errors.New("--max-payload-mb 0 sends an object as it is: filters, join and inference ids want a payload of 1 to 100")
	}
	return nil
}

// A failedRequest is why the model did not answer, or not to the end.
type failedRequest struct{ error }

func (e *failedRequest) Unwrap() error { return e.error }

// streamed takes an object through the model as one request without end. It
// begins at the object's first byte, whatever there has been of it before.
func (r *run) streamed(ctx context.Context, o store.Object, p *part) error {
	if err := p.reset(); err != nil {
		return err
	}
	ctx, cancel := r.attempt(ctx)
	defer cancel()
	source, err := r.read(ctx, o)
	if err != nil {
		return err
	}
	defer source.Close()
	body := &tally{r: bufio.NewReaderSize(source, 256<<10), progress: r.progress, lines: r.job.Split == SplitLine}
	if _, err := body.r.Peek(1); err == io.EOF {
		return nil // no records
	} else if err != nil {
		return err
	}
	reply := &appender{part: p}
	if err = r.job.Stream(ctx, Request{ContentType: r.job.ContentType, Accept: r.job.Accept}, body, reply); err != nil {
		err = &failedRequest{err}
	}
	switch {
	case body.err != nil: // that is why
		err = body.err
	case reply.err != nil:
		err = reply.err
	case err == nil && r.job.AssembleLine && reply.last != '\n' && p.at.out > 0:
		_, err = reply.Write([]byte{'\n'})
	}
	if err != nil {
		r.progress.add(-body.at, -body.records)
		return fmt.Errorf("after byte %d of the object: %w", body.at, err)
	}
	p.at.in, p.at.records = body.at, body.records
	return nil
}

// A tally counts what is read of an object.
type tally struct {
	r        *bufio.Reader
	progress *progress
	lines    bool // its records are
	open     bool // there is something on the last line
	ended    bool
	at       int64
	records  int64
	err      error // other than io.EOF
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	records := t.count(p[:n])
	if err == io.EOF && !t.ended {
		t.ended = true
		if t.open || !t.lines {
			records++
		}
	} else if err != nil && err != io.EOF {
		t.err = err
	}
	t.at += int64(n)
	t.records += records
	t.progress.add(int64(n), records)
	return n, err
}

// count returns how many lines end in b, without those that have nothing on
// them.
func (t *tally) count(b []byte) (n int64) {
	for t.lines && len(b) > 0 {
		line, rest, ends := bytes.Cut(b, []byte{'\n'})
		t.open = t.open || len(bytes.TrimRight(line, "\r")) > 0
		if ends && t.open {
			n++
			t.open = false
		}
		b = rest
	}
	return n
}

// An appender writes to a part.
type appender struct {
	part *part
	last byte
	err  error
}

func (a *appender) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := a.part.file.Write(b)
	a.part.at.out += int64(n)
	a.last, a.err = b[len(b)-1], err
	return n, err
}
