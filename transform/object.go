package transform

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/claryhq/clary/artifact/store"
)

// A chunk is the records of one request, on their way.
type chunk struct {
	body    []byte   // what is sent
	inputs  [][]byte // the records before the filter, where the output needs them
	first   int64    // records before it in the object
	in      int64    // where it ends in the object
	records int64    // at its end

	output []byte
	err    error
	done   chan struct{}
}

// object takes one object through the model. It goes on where it was before.
func (r *run) object(ctx context.Context, o store.Object, part *part) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reader, err := r.read(ctx, o)
	if err != nil {
		return err
	}
	defer reader.Close()
	if _, err := io.CopyN(io.Discard, reader, part.at.in); err != nil {
		return fmt.Errorf("going on at byte %d: %w", part.at.in, err)
	}
	chunks := make(chan *chunk, cap(r.held))
	read := make(chan error, 1)
	go func() {
		defer close(chunks)
		read <- r.cut(ctx, o, reader, part.at, chunks)
	}()
	for c := range chunks {
		<-c.done
		if err == nil {
			if err = c.err; err == nil {
				before := part.at
				if err = part.add(c.output, c.in, c.records); err == nil {
					r.progress.add(c.in-before.in, c.records-before.records)
				}
			}
			if err != nil {
				cancel(err)
			}
		}
		<-r.held
	}
	if e := <-read; err == nil {
		err = e
	}
	return err
}

// publish puts a part, which is whole, into the output; where that is a folder
// with the part in it, by its name alone.
func (r *run) publish(ctx context.Context, name string, p *part) error {
	if folder, ok := r.out.(*store.Folder); ok {
		if err := p.file.Sync(); err != nil {
			return err
		}
		if moved, err := folder.Move(p.file.Name(), name); moved || err != nil {
			return err
		}
	}
	return r.out.Put(ctx, name, p.file, p.at.out)
}

// cut reads records, puts them together to requests and has them answered,
// in order as seen from chunks.
func (r *run) cut(ctx context.Context, o store.Object, reader io.Reader, from place, chunks chan<- *chunk) error {
	s := newRecords(reader, r.job.Split, r.job.MaxPayload)
	s.at, s.count = from.in, from.records
	c := &chunk{first: from.records}
	size := 0
	send := func() error {
		if c.records == 0 {
			return nil
		}
		c.done = make(chan struct{})
		select {
		case r.held <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		chunks <- c
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			c.err = context.Cause(ctx)
			close(c.done)
			return c.err
		}
		go func(c *chunk) {
			defer close(c.done)
			defer func() { <-r.slots }()
			c.output, c.err = r.answer(ctx, o, c)
			c.body, c.inputs = nil, nil
		}(c)
		c = &chunk{first: c.records, body: make([]byte, 0, min(size+size/8, r.part))}
		return nil
	}
	for {
		framed, content, err := s.next()
		if err == io.EOF {
			return send()
		}
		if err != nil {
			return err
		}
		sent := framed
		if !r.job.Multi {
			sent = content
		}
		if r.data != nil {
			if sent, err = r.data.input(content); err != nil {
				return fmt.Errorf("record %d: %w", s.count, err)
			}
		}
		if len(c.body) > 0 && (len(c.body)+len(sent) > r.part || !r.job.Multi) {
			if err := send(); err != nil {
				return err
			}
		}
		if len(sent) > r.job.MaxPayload {
			return fmt.Errorf("record %d: %w", s.count, s.tooLarge())
		}
		if n := len(c.body); n > 0 && r.job.Split == SplitLine && c.body[n-1] != '\n' {
			c.body = append(c.body, '\n') // a filter's, whose records have none
		}
		c.body = append(c.body, sent...)
		size = len(c.body)
		if r.data != nil {
			c.inputs = append(c.inputs, bytes.Clone(content))
		}
		c.in, c.records = s.at, s.count
	}
}

// answer has one request answered and makes output of the reply.
func (r *run) answer(ctx context.Context, o store.Object, c *chunk) ([]byte, error) {
	where := fmt.Sprintf("records %d to %d", c.first+1, c.records)
	if c.records == c.first+1 {
		where = fmt.Sprintf("record %d", c.records)
	}
	reply, err := r.invoke(ctx, Request{Body: c.body, ContentType: r.job.ContentType, Accept: r.job.Accept})
	if err == nil && r.data != nil {
		reply, err = r.data.output(o.Name, c.first, c.inputs, reply)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if r.job.AssembleLine && (len(reply) == 0 || reply[len(reply)-1] != '\n') {
		reply = append(reply, '\n')
	}
	return reply, nil
}
