package handler

import (
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/runtime"
)

// A Scratch is memory that the stages of [Default] use for one request after
// another. Whoever puts one into a Request promises that nothing which the
// stages return is looked at after [Scratch.Reset]: with stages of a user's
// own there is no such promise. Each stage uses it once a request, the first
// time. A nil Scratch keeps nothing.
type Scratch struct {
	request codec.Request
	room    codec.Room
	out     []runtime.Tensor
	reply   codec.Reply
	body    []byte

	decoded, ran, encoded bool
}

// most is what a Scratch may keep of outputs and of the reply, each.
const most = 1 << 20

// Reset makes s ready for the next request. It keeps what is small.
func (s *Scratch) Reset() {
	size := 0
	for i := range s.out {
		data := s.out[i].Data
		if size += len(runtime.Bytes(data)); runtime.DTypeOf(data) == runtime.String || s.out[i].Kind() != runtime.KindTensor {
			size += most + 1 // what its elements hold is not known
		}
	}
	if size > most {
		s.out = nil
	}
	if cap(s.body) > most {
		s.body = nil
	}
	s.request, s.reply = codec.Request{}, codec.Reply{}
	s.decoded, s.ran, s.encoded = false, false, false
}

// decoding returns the codec.Request to fill and to decode with.
func (s *Scratch) decoding() *codec.Request {
	if s == nil || s.decoded {
		return new(codec.Request)
	}
	s.decoded = true
	s.request.Room = &s.room
	return &s.request
}

// outputs returns what a Run may write into; what it returns goes to keep.
func (s *Scratch) outputs() []runtime.Tensor {
	if s == nil || s.ran {
		return nil
	}
	s.ran = true
	return s.out
}

func (s *Scratch) keep(out []runtime.Tensor) {
	if s != nil && out != nil {
		s.out = out
	}
}

// encoding returns the codec.Reply to fill and to encode with, and what to
// append to; the body goes to keepBody.
func (s *Scratch) encoding() (r *codec.Reply, dst []byte) {
	if s == nil || s.encoded {
		return new(codec.Reply), nil
	}
	s.encoded = true
	return &s.reply, s.body[:0]
}

func (s *Scratch) keepBody(body []byte) {
	if s != nil && body != nil {
		s.body = body
	}
}
