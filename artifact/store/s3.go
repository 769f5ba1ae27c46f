package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// An S3 is the store of the objects below a prefix of a bucket.
type S3 struct {
	client   *s3.Client
	location string
	bucket   string
	prefix   string // "" or ends in a slash
	patience time.Duration
}

var _ Store = (*S3)(nil)

// answerTime is how long S3 may take to begin an answer, and then to send the
// next bytes of it, before it counts as not answering.
const answerTime = 20 * time.Second

// openS3 takes the location without its s3://.
func openS3(ctx context.Context, location, rest string) (*S3, error) {
	bucket, prefix, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return nil, fmt.Errorf("%s names no bucket: %w", location, errLocation)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		if err := checkName(prefix); err != nil {
			return nil, fmt.Errorf("%s: %w", location, err)
		}
		prefix += "/"
	}
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = answerTime
	})
	// A server that is not AWS's needs a region in its signatures, and takes any.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(transport), config.WithDefaultRegion("us-east-1"))
	if err != nil {
		return nil, fmt.Errorf("%s: the AWS SDK's configuration: %w", location, err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		// Checksums that only AWS computes would be asked of every server.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	return &S3{client: client, location: location, bucket: bucket, prefix: prefix, patience: answerTime}, nil
}

func (s *S3) String() string { return s.location }

// Stat asks for one object's head.
func (s *S3) Stat(ctx context.Context, name string) (Object, error) {
	if err := checkName(name); err != nil {
		return Object{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name)})
	if err != nil {
		return Object{}, s.explain(ctx, name, err)
	}
	return Object{Name: name, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), Version: aws.ToString(out.ETag)}, nil
}

// Read opens one object. A connection that breaks or stalls on the way is
// taken up again where it ended, as long as the object is still the same.
func (s *S3) Read(ctx context.Context, name string) (io.ReadCloser, Object, error) {
	if err := checkName(name); err != nil {
		return nil, Object{}, err
	}
	r := &s3Reader{store: s, name: name, ctx: ctx}
	if err := r.open(); err != nil {
		return nil, Object{}, err
	}
	return r, r.object, nil
}

// List pages through the objects whose names begin with prefix.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.prefix + prefix)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, s.explain(ctx, prefix, err))
				return
			}
			for i := range page.Contents {
				o := listed(&page.Contents[i], s.prefix)
				if o.Name == "" || strings.HasSuffix(o.Name, "/") || hidden(o.Name) {
					continue
				}
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

func listed(o *types.Object, prefix string) Object {
	return Object{Name: strings.TrimPrefix(aws.ToString(o.Key), prefix), Size: aws.ToInt64(o.Size),
		Modified: aws.ToTime(o.LastModified), Version: aws.ToString(o.ETag)}
}

// Parts of an upload: one request up to largeObject, else at most 9,000 parts
// of partSize or more (S3 takes 10,000).
const (
	largeObject = 64 << 20
	partSize    = 16 << 20
)

// Put uploads one object; a large one in parts.
func (s *S3) Put(ctx context.Context, name string, r io.ReaderAt, size int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	key := aws.String(s.prefix + name)
	if size <= largeObject {
		body, taken, done := s.pushed(ctx, io.NewSectionReader(r, 0, size))
		defer done()
		_, err := s.client.PutObject(taken, &s3.PutObjectInput{Bucket: &s.bucket, Key: key, Body: body, ContentLength: &size})
		return s.explain(ctx, name, err)
	}
	upload, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: key})
	if err != nil {
		return s.explain(ctx, name, err)
	}
	parts, err := s.putParts(ctx, upload, r, size)
	if err == nil {
		_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.bucket, Key: key, UploadId: upload.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	}
	if err != nil {
		// Parts that stay behind are paid for; ctx may have ended.
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
		defer cancel()
		_, aborted := s.client.AbortMultipartUpload(abort, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: key, UploadId: upload.UploadId})
		return errors.Join(s.explain(ctx, name, err), aborted)
	}
	return nil
}

func (s *S3) putParts(ctx context.Context, upload *s3.CreateMultipartUploadOutput, r io.ReaderAt, size int64) ([]types.CompletedPart, error) {
	step := max(partSize, (size+8999)/9000)
	var parts []types.CompletedPart
	for at := int64(0); at < size; at += step {
		n := min(step, size-at)
		number := aws.Int32(int32(len(parts) + 1))
		body, taken, done := s.pushed(ctx, io.NewSectionReader(r, at, n))
		out, err := s.client.UploadPart(taken, &s3.UploadPartInput{Bucket: &s.bucket, Key: upload.Key, UploadId: upload.UploadId,
			PartNumber: number, Body: body, ContentLength: &n})
		done()
		if err != nil {
			return nil, err
		}
		parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: number})
	}
	return parts, nil
}

// A push is the body of an upload, which must keep leaving.
type push struct {
	r     *io.SectionReader
	stall *time.Timer // ends the upload
	least time.Duration
}

// pushed returns a body, and a context that ends when S3 takes no more of it:
// an answer that does not come ends the request by itself, so this waits
// longer, for the pause before another attempt too.
func (s *S3) pushed(ctx context.Context, r *io.SectionReader) (*push, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	least := 3 * s.patience
	p := &push{r, time.AfterFunc(least, cancel), least}
	return p, ctx, func() { p.stall.Stop(); cancel() }
}

func (p *push) Read(b []byte) (int, error) {
	p.stall.Reset(p.least)
	return p.r.Read(b)
}

func (p *push) Seek(offset int64, whence int) (int64, error) {
	p.stall.Reset(p.least)
	return p.r.Seek(offset, whence)
}

// explain says what S3's error means here; nil for nil.
func (s *S3) explain(ctx context.Context, name string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, s.location, err)
	}
	switch status := answer.HTTPStatusCode(); {
	case isNoBucket(err):
		return fmt.Errorf("%w: %s: there is no bucket %s", ErrRefused, s.location, s.bucket)
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %s has no %s", ErrNotFound, s.location, name)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %s in %s", ErrChanged, name, s.location)
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, s.location, err)
	}
	return fmt.Errorf("%w: %s: %s: %w", ErrRefused, s.location, name, err)
}

func isNoBucket(err error) bool {
	var coded interface{ ErrorCode() string }
	return errors.As(err, &coded) && coded.ErrorCode() == "NoSuchBucket"
}

// An s3Reader is one object on its way, over as many requests as it takes.
type s3Reader struct {
	ctx    context.Context
	store  *S3
	name   string
	object Object
	body   io.ReadCloser
	cancel context.CancelFunc // of the request that body belongs to
	stall  *time.Timer        // cancels it
	at     int64              // bytes read
	broken int                // times taken up again without a byte between
}

const mostBroken = 4

// open asks for what is not read yet.
func (r *s3Reader) open() error {
	ctx, cancel := context.WithCancel(r.ctx)
	in := &s3.GetObjectInput{Bucket: &r.store.bucket, Key: aws.String(r.store.prefix + r.name)}
	if r.at > 0 {
		in.Range, in.IfMatch = aws.String(fmt.Sprintf("bytes=%d-", r.at)), &r.object.Version
	}
	out, err := r.store.client.GetObject(ctx, in)
	if err != nil {
		cancel()
		r.body, r.cancel, r.stall = io.NopCloser(bytes.NewReader(nil)), func() {}, time.NewTimer(0)
		return r.store.explain(r.ctx, r.name, err)
	}
	if r.at == 0 {
		r.object = Object{Name: r.name, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified), Version: aws.ToString(out.ETag)}
	}
	r.body, r.cancel = out.Body, cancel
	r.stall = time.AfterFunc(r.store.patience, cancel)
	return nil
}

func (r *s3Reader) Read(p []byte) (int, error) {
	for {
		r.stall.Reset(r.store.patience)
		n, err := r.body.Read(p)
		r.at += int64(n)
		if n > 0 {
			r.broken = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if r.ctx.Err() != nil {
			return 0, context.Cause(r.ctx)
		}
		if r.at == r.object.Size {
			return 0, io.EOF
		}
		if r.broken++; r.broken > mostBroken {
			return 0, fmt.Errorf("%w: %s: %s ended after %d of %d bytes: %w", ErrUnavailable, r.store.location, r.name, r.at, r.object.Size, err)
		}
		if err := errors.Join(r.Close(), r.open()); err != nil {
			return 0, err
		}
	}
}

// Close gives up what is not read yet.
func (r *s3Reader) Close() error {
	r.stall.Stop()
	r.cancel()
	_ = r.body.Close() // of a request that was just cancelled
	return nil
}
