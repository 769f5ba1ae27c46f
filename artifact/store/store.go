// Package store finds and fetches named objects in a folder or in S3: the
// archives of many models, and the data sets of batch transform.
//
// [Open] takes the location's own notation; [Disk] keeps what was fetched
// unpacked on disk, within a bound.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"
)

// A Store holds objects by name. Names are relative paths with slashes
// (team/a.tar.gz); one that leaves the store, or that is not in its shortest
// form, is ErrName and never looked up. Its methods may be called
// concurrently, and end early with ctx's cause when that ends.
type Store interface {
	// Stat describes one object.
	Stat(ctx context.Context, name string) (Object, error)
	// Read opens one object and describes what is being read.
	Read(ctx context.Context, name string) (io.ReadCloser, Object, error)
	// List yields every object whose name begins with prefix, by name. An
	// error is the last thing that it yields. Hidden files are left out.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Put writes size bytes of r as one object, which appears whole or not
	// at all and replaces what had its name.
	Put(ctx context.Context, name string, r io.ReaderAt, size int64) error
	// String is the location that the store was opened with.
	String() string
}

// An Object is one thing in a store.
type Object struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
	// Version differs whenever the content does: size and time of a file, the
	// ETag in S3.
	Version string
}

// What a Store's errors mean, for errors.Is.
var (
	ErrName        = errors.New("not the name of an object")
	ErrNotFound    = errors.New("not in the store")
	ErrRefused     = errors.New("the store refuses")             // it answered, with no: access, a broken bucket
	ErrUnavailable = errors.New("the store does not answer")     // try again later
	ErrSpace       = errors.New("the disk cache has no room")    // with all that is idle evicted
	ErrChanged     = errors.New("the object changed while read") // try again
	errLocation    = errors.New("want a folder or s3://bucket/prefix")
)

// Open returns the store at location: a folder that exists, or
// s3://bucket/prefix. S3 is not asked anything yet; region, credentials and
// endpoint come from the AWS SDK's ordinary chain (environment, shared files,
// container and instance roles; AWS_ENDPOINT_URL_S3 for servers that are not
// AWS's, which are then addressed path-style).
func Open(ctx context.Context, location string) (Store, error) {
	if rest, ok := strings.CutPrefix(location, "s3://"); ok {
		return openS3(ctx, location, rest)
	}
	if scheme, _, ok := strings.Cut(location, "://"); ok {
		return nil, fmt.Errorf("%s: no store is known by %s://: %w", location, scheme, errLocation)
	}
	return OpenFolder(location)
}

// checkName refuses what is no plain relative path: nothing that is looked up
// can leave the store.
func checkName(name string) error {
	if fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "\\\x00") && len(name) <= 1024 {
		return nil
	}
	shown := name
	if len(shown) > 80 {
		shown = shown[:80] + "..."
	}
	return fmt.Errorf("%w: %q: want a relative path such as team/a.tar.gz, without . or .. in it", ErrName, shown)
}

// hidden reports whether any part of the path begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(path.Base(name), ".") || strings.Contains("/"+name, "/.")
}
