package runtime

import "strconv"

// A Device is where a session runs. The zero value is the CPU.
type Device struct {
	CUDA  bool
	Index int   // as CUDA counts what this process may see
	Limit int64 // bytes of its memory that the session's arena may take; 0: no limit
}

// String returns "cpu" or, as "cuda:1", a GPU; its memory's pool is named so too.
func (d Device) String() string {
	if !d.CUDA {
		return "cpu"
	}
	return "cuda:" + strconv.Itoa(d.Index)
}
