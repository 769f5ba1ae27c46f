package onnx

// #include "shim.h"
import "C"

// Arena is what the session has taken of its GPU's memory by now, in bytes: its
// weights, and what its runs have made its arena grow to, which it keeps. It is
// 0 on the CPU, after Close, and where ONNX Runtime does not count.
func (s *Session) Arena() int64 {
	s.mu.Lock()
	defer s.mu.Unlock() // Close waits
	if s.closed || !s.accelerated {
		return 0
	}
	return int64(C.clary_arena(s.session, C.int(s.index), C.bool(s.forced)))
}
