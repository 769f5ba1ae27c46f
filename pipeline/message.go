package pipeline

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// A Message is a body on its way along a chain, with what is said about it.
type Message struct {
	Header http.Header   // Content-Type and SageMaker's own headers
	Body   io.ReadCloser // its errors are those of whoever sends it
	Length int64         // of Body; -1 where it is not known
	Status int           // of a reply: 200, or 204 without a body
}

// The headers that travel beside a body.
const (
	contentType     = "Content-Type"
	contentEncoding = "Content-Encoding"
	jsonLength      = "Inference-Header-Content-Length" // KServe V2 with binary tensors
	attributes      = "X-Amzn-Sagemaker-Custom-Attributes"
	target          = "X-Amzn-Sagemaker-Target-Container-Hostname"
)

// ours says of a header that it is SageMaker's and meant for a container or
// its client.
func ours(name string) bool {
	return strings.HasPrefix(name, "X-Amzn-") && name != target
}

// Carried returns what of a request's headers goes along a chain: what is
// said of the body, and SageMaker's own.
func Carried(h http.Header) http.Header {
	c := http.Header{}
	for name, values := range h {
		if ours(name) || name == contentType || name == contentEncoding || name == jsonLength {
			c[name] = values
		}
	}
	return c
}

// window is how much of a body whose length is not known is waited for: one
// that ends within it goes on with a length, which not every container can do
// without, and can be sent again on another connection. What is longer
// streams; no more of it than this is held.
const window = 1 << 20

// fill makes a Message of unknown length one of known length where it ends
// within the window.
func (m *Message) fill() error {
	if m.Length > window {
		return nil
	}
	var head bytes.Buffer
	n, err := io.CopyN(&head, m.Body, window+1)
	switch {
	case err == io.EOF && m.Length >= 0 && n != m.Length:
		return fmt.Errorf("%w after %d of %d bytes", ErrBroken, n, m.Length)
	case err == io.EOF:
		err = m.Body.Close()
		m.Body, m.Length = whole(head.Bytes()), n
		return err
	case err != nil:
		return err
	}
	m.Body = &joined{io.MultiReader(&head, m.Body), m.Body}
	return nil
}

// Begin waits for a reply's first bytes, or for all of it where it is short
// and says so: what fails until then can still be answered with a status.
func (m *Message) Begin() error {
	if m.Length >= 0 && m.Length <= window {
		return m.fill()
	}
	first := make([]byte, copyBuffer)
	n, err := m.Body.Read(first)
	if err != nil && err != io.EOF {
		return err
	}
	m.Body = &joined{io.MultiReader(bytes.NewReader(first[:n]), m.Body), m.Body}
	return nil
}

// held is a body that is in memory.
type held struct {
	*bytes.Reader
	data []byte
}

func whole(data []byte) io.ReadCloser { return held{bytes.NewReader(data), data} }

func (held) Close() error { return nil }

// Whole returns a Message of a body that is held.
func Whole(header http.Header, body []byte) *Message {
	return &Message{Header: header, Body: whole(body), Length: int64(len(body)), Status: http.StatusOK}
}

type joined struct {
	io.Reader
	io.Closer
}

// A source is a body that is being sent on; it remembers how reading it
// failed, which the sending does not tell from failures of its own.
type source struct {
	io.ReadCloser
	failed atomic.Pointer[error]
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		s.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// A replyBody is the body of a step's reply. That it breaks off is the step's
// failure.
type replyBody struct {
	io.ReadCloser
	step *Step
	end  func() // once the body is closed
	read int64
}

func (b *replyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err != nil && err != io.EOF {
		b.step.suspect()
		err = &StepError{Step: b.step.name, Err: fmt.Errorf("%w after %d bytes of its reply: %w", ErrBroken, b.read, err)}
	}
	return n, err
}

func (b *replyBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}
