package clary_test

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"testing"
)

// KServe's binary tensors, under the media type that SageMaker lets through and
// under the header of the plain extension, say the same.
func TestBinaryTensorsComeUnderTritonsTypeAndUnderKServesHeader(t *testing.T) {
	p := start(t, "serve", nil, iris)
	header := `{"id":"b","inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}],"parameters":{"binary_data_output":true}}`
	var data []byte
	for _, v := range []float32{5.1, 3.5, 1.4, 0.2} {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	const triton = "application/vnd.sagemaker-triton.binary+json;json-header-size="
	for _, c := range []struct{ contentType, n string }{
		{triton + strconv.Itoa(len(header)), ""},
		{"application/octet-stream", strconv.Itoa(len(header))},
		{"application/json", strconv.Itoa(len(header))},
	} {
		var headers []string
		if c.n != "" {
			headers = []string{"Inference-Header-Content-Length", c.n}
		}
		a := p.invoke(c.contentType, header+string(data), headers...)
		n, err := strconv.Atoi(a.header.Get("Inference-Header-Content-Length"))
		if a.status != 200 || err != nil || n >= len(a.body) || a.header.Get("Content-Type") != triton+strconv.Itoa(n) {
			t.Errorf("%s: %d %v, %q", c.contentType, a.status, a.header, a.body)
			continue
		}
		if !strings.Contains(a.body[:n], `"id":"b"`) || !strings.Contains(a.body[:n], `"binary_data_size":8`) || len(a.body) != n+8+12 {
			t.Errorf("%s: %q", c.contentType, a.body)
			continue
		}
		label := binary.LittleEndian.Uint64([]byte(a.body[n:]))
		score := math.Float32frombits(binary.LittleEndian.Uint32([]byte(a.body[n+8:])))
		if label != 0 || math.Abs(float64(score)-0.99999934) > 1e-5 {
			t.Errorf("%s: label %d, score %v", c.contentType, label, score)
		}
	}
	for _, n := range []string{"many", "-1", "99999", "0x10"} {
		if a := p.invoke("application/octet-stream", header+string(data), "Inference-Header-Content-Length", n); a.status != 400 {
			t.Errorf("a JSON length of %s: %d %s", n, a.status, a.body)
		}
		if a := p.invoke(triton+n, header+string(data)); a.status != 400 {
			t.Errorf("%s: %d %s", triton+n, a.status, a.body)
		}
		mustAnswer(t, p)
	}
}
