package clary

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"unsafe"
)

// Headers of the contract (§3.2, §3.3), in the form that http.Header keeps.
const (
	headerAttributes  = "X-Amzn-Sagemaker-Custom-Attributes"
	headerInferenceID = "X-Amzn-Sagemaker-Inference-Id"
	headerTargetModel = "X-Amzn-Sagemaker-Target-Model"
	headerRequestID   = "X-Request-Id"

	// headerV2JSON is KServe's own way to say how long the JSON before binary
	// tensors is; SageMaker drops it, and has a parameter of the media type
	// in its place (contract §11.8).
	headerV2JSON = "Inference-Header-Content-Length"
)

// v2Binary is the media type that has the parameter.
const v2Binary = "application/vnd.sagemaker-triton.binary+json;json-header-size="

// readHeaders fills x.req from the headers, within the bounds that the
// platform sets for them (contract §3.2).
func (x *exchange) readHeaders(r *http.Request) error {
	req := &x.req
	req.Headers = r.Header
	req.ContentType = first(r.Header, "Content-Type")
	if req.ContentType == "" {
		req.ContentType = "application/json"
	}
	if n := first(r.Header, headerV2JSON); n != "" && n != "0" {
		req.ContentType = v2Binary + n
	}
	for i, v := range r.Header["Accept"] {
		if i > 0 {
			req.Accept += ", "
		}
		req.Accept += v
	}
	req.TargetModel = first(r.Header, headerTargetModel)
	req.ID = first(r.Header, headerInferenceID)
	if x.named = req.ID != ""; !x.named {
		req.ID = newRequestID(&x.id)
	} else if !visible(req.ID, 64) {
		req.ID = newRequestID(&x.id)
		return fmt.Errorf("%w X-Amzn-SageMaker-Inference-Id: want 1 to 64 printable ASCII characters", errHeader)
	}
	attributes := first(r.Header, headerAttributes)
	if !visible(attributes, 1024) {
		return fmt.Errorf("%w X-Amzn-SageMaker-Custom-Attributes: want at most 1024 printable ASCII characters", errHeader)
	}
	req.Attributes = attributes
	if !visible(req.ContentType, 1024) {
		return fmt.Errorf("%w Content-Type: want at most 1024 printable ASCII characters", errHeader)
	}
	if !visible(req.Accept, 1024) {
		return fmt.Errorf("%w Accept: want at most 1024 printable ASCII characters", errHeader)
	}
	return nil
}

// first is h.Get for a key that is written as http.Header keeps it.
func first(h http.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// visible reports whether s is at most n printable ASCII characters.
func visible(s string, n int) bool {
	if len(s) > n {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// newRequestID makes an id, whose text lies in dst from then on.
func newRequestID(dst *[32]byte) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	hex.Encode(dst[:], b[:])
	return unsafe.String(&dst[0], len(dst))
}
