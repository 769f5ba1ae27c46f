package clary_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// A step that is somebody else's, which streams: what goes in comes out while
// it is still coming in.
func TestLargeBodiesStreamThroughAPipeline(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "x/bytes")
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(echo.Close)
	text := "steps:\n"
	for _, name := range []string{"a", "b", "c"} {
		text += fmt.Sprintf("  - {name: %s, url: %q}\n", name, echo.URL)
	}
	p := conduct(t, text, "SAGEMAKER_MAX_REQUEST_SIZE=200000000")
	const size = 128 << 20
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.base+"/invocations", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != size || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "x/bytes" {
		t.Errorf("%d: %d bytes of %d came, %v", resp.StatusCode, n, size, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var peak int
	if _, err := fmt.Sscan(string(rest), &peak); err != nil || peak > 96<<10 && !raceEnabled {
		t.Errorf("the server took %d KiB at its most, %v", peak, err)
	}
	if a := p.do(p.request("POST", "/invocations", strings.Repeat("x", 300), "Expect", "")); a.status != 200 {
		t.Errorf("the next one: %d %s", a.status, a.body)
	}
	large := p.request("POST", "/invocations", "")
	large.Body, large.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 300000000)), 300000000
	if a, err := p.try(large); err == nil && a.status != 413 {
		t.Errorf("a body over the limit: %d %s", a.status, a.body)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
