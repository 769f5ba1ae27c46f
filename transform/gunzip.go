package transform

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/claryhq/clary/artifact/store"
)

// read opens an object, decompressed where the job says so.
func (r *run) read(ctx context.Context, o store.Object) (io.ReadCloser, error) {
	source, _, err := r.in.Read(ctx, o.Name)
	if err != nil || !r.job.Gzip || o.Size == 0 {
		return source, err
	}
	z, err := gzip.NewReader(source)
	if err != nil {
		return nil, errors.Join((&gunzip{}).explain(err), source.Close())
	}
	return &gunzip{Closer: source, z: z}, nil
}

// A gunzip decompresses an object: one gzip stream, or several one after the
// other. It says of what is wrong with them that it is.
type gunzip struct {
	io.Closer
	z  *gzip.Reader
	at int64 // bytes that have come out of it
}

func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	g.at += int64(n)
	return n, g.explain(err)
}

func (g *gunzip) explain(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrHeader) && g.z == nil:
		return fmt.Errorf("gzip: the object is not compressed: %w", err)
	case errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("gzip: after the compressed data, %d bytes decompressed, something else follows: %w", g.at, err)
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF && g.z == nil:
		return fmt.Errorf("gzip: the object ends in the middle of the compressed data, after %d bytes decompressed: %w", g.at, io.ErrUnexpectedEOF)
	case errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return fmt.Errorf("gzip: the object is damaged, in what follows %d bytes decompressed or before: %w", g.at, err)
	}
	return err
}
