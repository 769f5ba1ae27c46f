// Package transform is SageMaker's batch transform without SageMaker: it cuts
// the objects of a data set into records, sends them to a model, and puts the
// replies together to one object each (contract §6). What a model is, an
// Invoke says: a function of this process, or a server's address.
package transform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/claryhq/clary/artifact/store"
)

// A Job is one data set's way through a model. The zero values of its fields
// are SageMaker's defaults.
type Job struct {
	Input, Output string // folders, or s3://bucket/prefix; Input may be one object
	State         string // folder of what a stopped run leaves; empty: beside the output, or in the temporary folder for s3://

	ContentType, Accept string
	Split               Split
	Multi               bool // records of a request: as many as fit, or one
	MaxPayload          int  // bytes of a request's body; 0: an object is one request, of any length
	Part                int  // bytes that are enough for a request of several records; 0: MaxPayload
	MaxConcurrent       int  // requests at the same time
	AssembleLine        bool // every record's result ends in a newline
	Gzip                bool // the input is compressed

	InputFilter, OutputFilter string // JSONPath; empty is $
	Join                      bool   // the input goes before its output
	InferenceID               bool   // each record of the output gets an id and a time

	Shard, Shards int           // this machine's part; Shards 0 is all of it
	Retries       int           // of a request that failed for a passing reason
	Timeout       time.Duration // of one request; 0 is none

	Model  string // what answers; a stopped run is only taken up with the same
	Invoke Invoke
	Stream Stream // where MaxPayload is 0
	// Advised says that Multi and MaxPayload are what the model asks for, and
	// that it may ask otherwise the next time: a stopped run goes on with what
	// it had.
	Advised bool

	Report  io.Writer  // progress; nil: nowhere
	Columns func() int // of the terminal that Report is, 0 where it does not say; nil where it is none
}

// A Summary is what came of a job.
type Summary struct {
	Objects, Resumed, Failed int
	Records, Bytes           int64
	Took                     time.Duration
	Failures                 []Failure
}

// A Failure is an object for which there is no output.
type Failure struct {
	Object string
	Err    error
}

// ErrStopped is returned when the context ended the job; the next run of the
// same job goes on from there.
var ErrStopped = errors.New("stopped before the end; the same command goes on from here")

// Run does the job. Objects that fail are in the summary and not an error.
func (j *Job) Run(ctx context.Context) (Summary, error) {
	begin := time.Now()
	r := &run{job: j}
	if err := r.prepare(ctx); err != nil {
		return Summary{}, err
	}
	state, err := openState(j)
	if err != nil {
		return Summary{}, err
	}
	r.state = state
	r.slots = make(chan struct{}, j.MaxConcurrent)
	if r.part = cmp.Or(j.Part, j.MaxPayload); r.part > 0 {
		r.held = make(chan struct{}, 2*j.MaxConcurrent+waitingBytes/r.part)
	}
	r.progress = newProgress(j.Report, j.Columns, r.objects)
	err = r.all(ctx)
	r.progress.end()
	s := Summary{Objects: len(r.objects), Resumed: r.resumed, Failed: len(r.failures), Failures: r.failures,
		Records: r.progress.records.Load(), Bytes: r.progress.bytes.Load(), Took: time.Since(begin)}
	if err == nil && ctx.Err() != nil {
		err = ErrStopped
	}
	return s, errors.Join(err, state.close(err == nil && len(r.failures) == 0))
}

// waitingBytes of small requests may be in memory besides those that are being
// answered: the model does not wait for the disk.
const waitingBytes = 8 << 20

// A run is a Job at work.
type run struct {
	job      *Job
	in, out  store.Store
	objects  []store.Object
	data     *processing // nil: bytes go through as they are
	state    *state
	progress *progress
	slots    chan struct{} // requests at the same time
	held     chan struct{} // requests and replies in memory
	part     int           // bytes of a request

	mu       sync.Mutex // guards resumed and failures
	resumed  int
	failures []Failure
}

func (r *run) prepare(ctx context.Context) (err error) {
	j := r.job
	if j.MaxPayload < 0 || j.MaxConcurrent <= 0 {
		return fmt.Errorf("a payload of %d bytes, %d requests at the same time: want 0 or more, and more", j.MaxPayload, j.MaxConcurrent)
	}
	if err := j.checkEndless(); err != nil {
		return err
	}
	if r.data, err = newProcessing(j); err != nil {
		return err
	}
	if r.in, r.objects, err = list(ctx, j.Input); err != nil {
		return err
	}
	if r.out, err = store.Open(ctx, j.Output); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	var mine []store.Object
	own, inside := within(j.Input, j.Output)
	for _, o := range r.objects {
		if !inside || !strings.HasPrefix(o.Name, own) || !strings.HasSuffix(o.Name, ".out") {
			mine = append(mine, o)
		}
	}
	r.objects = mine
	if j.Shards > 0 {
		mine = nil
		for i, o := range r.objects {
			if i%j.Shards == j.Shard {
				mine = append(mine, o)
			}
		}
		r.objects = mine
	}
	return nil
}

// within reports whether the output is in the input, and what its objects'
// names begin with there: what an earlier run has written is none of the data.
func within(input, output string) (prefix string, inside bool) {
	if strings.HasPrefix(input, "s3://") != strings.HasPrefix(output, "s3://") {
		return "", false
	}
	if !strings.HasPrefix(input, "s3://") {
		in, err := filepath.Abs(input)
		out, err2 := filepath.Abs(output)
		if err != nil || err2 != nil {
			return "", false // and there is no folder to read
		}
		input, output = filepath.ToSlash(in), filepath.ToSlash(out)
	}
	rest, ok := strings.CutPrefix(strings.TrimRight(output, "/")+"/", strings.TrimRight(input, "/")+"/")
	return rest, ok
}

// list opens the input and finds its objects: those of a folder or prefix, or
// the one that it names.
func list(ctx context.Context, location string) (store.Store, []store.Object, error) {
	if dir, base := parent(location); base != "" {
		if s, err := store.Open(ctx, dir); err == nil {
			if o, err := s.Stat(ctx, base); err == nil {
				return s, []store.Object{o}, nil
			}
		}
	}
	s, err := store.Open(ctx, location)
	if err != nil {
		return nil, nil, fmt.Errorf("input: %w", err)
	}
	var objects []store.Object
	for o, err := range s.List(ctx, "") {
		if err != nil {
			return nil, nil, fmt.Errorf("input: %w", err)
		}
		objects = append(objects, o)
	}
	if len(objects) == 0 {
		return nil, nil, fmt.Errorf("input: there is nothing in %s", location)
	}
	return s, objects, nil
}

// parent cuts a location before its last element; "" for the element where
// there is none.
func parent(location string) (dir, base string) {
	if rest, ok := strings.CutPrefix(location, "s3://"); ok {
		if strings.HasSuffix(rest, "/") || !strings.Contains(rest, "/") {
			return location, ""
		}
		return "s3://" + path.Dir(rest), path.Base(rest)
	}
	return filepath.Dir(location), filepath.Base(location)
}

// all takes the objects, several at the same time.
func (r *run) all(ctx context.Context) error {
	work := make(chan store.Object)
	var workers sync.WaitGroup
	for range r.job.MaxConcurrent {
		workers.Go(func() {
			for o := range work {
				r.one(ctx, o)
			}
		})
	}
	for _, o := range r.objects {
		select {
		case work <- o:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	workers.Wait()
	return nil
}

// one takes an object from input to output, or notes why not.
func (r *run) one(ctx context.Context, o store.Object) {
	if r.state.done(o) {
		if _, err := r.out.Stat(ctx, o.Name+".out"); err == nil {
			r.mu.Lock()
			r.resumed++
			r.mu.Unlock()
			r.progress.object(o, true)
			return
		}
	}
	err := r.through(ctx, o)
	if err != nil && ctx.Err() != nil {
		return // its part stays, for the next run
	}
	if err != nil {
		r.mu.Lock()
		r.failures = append(r.failures, Failure{o.Name, err})
		r.mu.Unlock()
		r.progress.failed(o.Name, err)
		if later := (*tired)(nil); !errors.As(err, &later) {
			r.state.drop(o)
		}
	}
	r.progress.object(o, false)
}

// through takes an object through the model and to the output, and begins
// again where a store did not answer or a request of any length failed.
func (r *run) through(ctx context.Context, o store.Object) error {
	part, err := r.state.open(o)
	if err != nil {
		return err
	}
	defer part.close()
	endless := r.job.MaxPayload == 0
	object, again, whole := r.object, unavailable, false
	if !endless {
		r.progress.resume(part.at)
	} else {
		object = r.streamed
		again = func(err error) bool {
			failed := (*failedRequest)(nil)
			return unavailable(err) || errors.As(err, &failed) && passing(failed.error)
		}
	}
	err = r.retry(ctx, again, func() (err error) {
		if !whole {
			err = object(ctx, o, part)
			whole = err == nil
		}
		if err == nil {
			err = r.publish(ctx, o.Name+".out", part)
		}
		return err
	})
	if err != nil && !endless {
		err = errors.Join(err, part.note())
	}
	if err != nil {
		return err
	}
	if err := r.state.finish(o); err != nil {
		return err
	}
	r.state.drop(o)
	return nil
}
