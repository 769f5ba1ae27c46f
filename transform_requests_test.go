package clary_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A recorder is an endpoint that keeps what it is sent and answers a line to
// each request. Its execution parameters are what the test says.
type recorder struct {
	*httptest.Server
	mu         sync.Mutex // guards what follows
	bodies     []string
	parameters string
}

func record(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if req.Method == http.MethodGet {
			if req.URL.Path != "/execution-parameters" || r.parameters == "" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = io.WriteString(w, r.parameters)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.bodies = append(r.bodies, string(body))
		_, _ = io.WriteString(w, "1\n")
	}))
	t.Cleanup(r.Close)
	return r
}

// taken returns the bodies since the last look.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	bodies := r.bodies
	r.bodies = nil
	return bodies
}

func recordIO(data string) string {
	b := binary.LittleEndian.AppendUint32(nil, 0xced7230a)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return string(b) + data + strings.Repeat("\x00", -len(data)&3)
}

func tfRecord(data string) string {
	masked := func(b []byte) []byte {
		sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		return binary.LittleEndian.AppendUint32(nil, (sum>>15|sum<<17)+0xa282ead8)
	}
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	return string(length) + string(masked(length)) + data + string(masked([]byte(data)))
}

// What is in a request, for each way to cut and each strategy: as many records
// as fit with their framing, or one without it.
func TestTransformSendsWhatTheStrategySays(t *testing.T) {
	r := record(t)
	third := strings.Repeat("x", 400<<10) // two of them fit into a MiB
	for _, c := range []struct {
		split string
		frame func(string) string
		one   func(string) string // of a single record
	}{
		{"Line", func(s string) string { return s + "\n" }, func(s string) string { return s + "\n" }},
		{"Line", func(s string) string { return s + "\r\n" }, func(s string) string { return s + "\r\n" }},
		{"RecordIO", recordIO, func(s string) string { return s }},
		{"TFRecord", tfRecord, func(s string) string { return s }},
	} {
		var framed, single []string
		for _, s := range []string{"a", third + "1", third + "2", third + "3", "e"} {
			framed, single = append(framed, c.frame(s)), append(single, c.one(s))
		}
		in := t.TempDir()
		writeFile(t, in+"/a", strings.Join(framed, ""))
		for strategy, want := range map[string][]string{
			"MultiRecord":  {strings.Join(framed[:3], ""), strings.Join(framed[3:], "")},
			"SingleRecord": single,
		} {
			out := t.TempDir()
			transformed(t, nil, "--endpoint", r.URL, "--input", in, "--output", out, "--split-type", c.split, "--strategy", strategy, "--max-payload-mb", "1", "--max-concurrent", "1")
			if got := r.taken(); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %d requests %.40q, want %d %.40q", c.split, strategy, len(got), got, len(want), want)
			}
			if got := readFile(t, out+"/a.out"); got != strings.Repeat("1\n", len(want)) {
				t.Errorf("%s, %s: %q", c.split, strategy, got)
			}
		}
		// A record of its own that is larger than a request may be.
		large := t.TempDir()
		writeFile(t, large+"/a", framed[0]+c.frame(strings.Repeat("x", 1<<20)))
		writeFile(t, large+"/b", framed[0])
		out := t.TempDir()
		code, said := transform(t, nil, "--endpoint", r.URL, "--input", large, "--output", out, "--split-type", c.split, "--max-payload-mb", "1")
		want := fmt.Sprintf("failed: a: record 2, at byte %d: it is larger than a request may be, 1048576 bytes: raise --max-payload-mb", len(framed[0]))
		if code != 1 || !strings.Contains(said, want) || !strings.Contains(said, "2 objects, 0 of them done before, 1 failed") || readFile(t, out+"/b.out") != "1\n" {
			t.Errorf("%s: %d, %s, want %s", c.split, code, said, want)
		}
		r.taken()
	}
}

// The job's own word goes before the endpoint's, and that before the defaults
// (contract §6.1).
func TestTransformHeedsExecutionParameters(t *testing.T) {
	r := record(t)
	in := t.TempDir()
	row := strings.Repeat("1", 1<<19-1) + "\n"
	writeFile(t, in+"/a", strings.Repeat(row, 16)) // 8 MiB
	for _, c := range []struct {
		parameters, flags string
		requests          int
		fails             string
	}{
		{`{"MaxConcurrentTransforms":2,"BatchStrategy":"MULTI_RECORD","MaxPayloadInMB":2}`, "", 4, ""},
		{`{"MaxPayloadInMB":2}`, "--max-payload-mb 1", 8, ""},
		{`{"MaxPayloadInMB":2}`, "--max-concurrent 100", 8, ""}, // of 1 MB each
		{`{"BatchStrategy":"SINGLE_RECORD","MaxPayloadInMB":6}`, "", 16, ""},
		{`{"BatchStrategy":"SINGLE_RECORD","MaxPayloadInMB":6}`, "--strategy MultiRecord", 2, ""},
		{`{"BatchStrategy":"SINGLE_RECORD","MaxPayloadInMB":6}`, "--max-payload-mb 0", 1, ""},
		{`{"MaxConcurrentTransforms":0,"MaxPayloadInMB":0}`, "", 2, ""}, // as if it did not say
		{`nonsense`, "", 2, ""},
		{"", "--max-concurrent 17 --max-payload-mb 6", 0, "102 MB at the same time: SageMaker takes 100"},
	} {
		r.mu.Lock()
		r.parameters = c.parameters
		r.mu.Unlock()
		code, said := transform(t, nil, append([]string{"--endpoint", r.URL, "--input", in, "--output", t.TempDir(), "--split-type", "Line"}, strings.Fields(c.flags)...)...)
		if got := r.taken(); len(got) != c.requests || (code != 0) != (c.fails != "") || !strings.Contains(said, c.fails) {
			t.Errorf("%s %s: %d requests, want %d; it ends with %d: %s", c.parameters, c.flags, len(got), c.requests, code, said)
		}
	}
}

// A run that is taken up goes on with what the endpoint said the first time.
func TestATransformGoesOnWithTheParametersItHad(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	row := strings.Repeat("1", 1<<19-1) + "\n"
	writeFile(t, in+"/a", strings.Repeat(row, 16))
	var mu sync.Mutex // guards what follows
	payload, fails, asked := 2, true, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(map[string]int{"MaxPayloadInMB": payload, "MaxConcurrentTransforms": 1})
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // given up, after another had failed
		}
		if n != 2<<20 {
			t.Errorf("%d bytes", n)
		}
		if asked++; fails && asked > 2 {
			w.WriteHeader(503)
		}
		fmt.Fprintln(w, asked)
	}))
	defer server.Close()
	job := []string{"--endpoint", server.URL, "--input", in, "--output", out, "--split-type", "Line", "--retries", "0"}
	if code, said := transform(t, nil, job...); code != 1 || !strings.Contains(said, "failed: a: records 9 to 12: status 503") {
		t.Errorf("%d, %s", code, said)
	}
	mu.Lock()
	payload, fails = 1, false
	mu.Unlock()
	transformed(t, nil, job...)
	if got := readFile(t, out+"/a.out"); !strings.HasPrefix(got, "1\n2\n") || strings.Count(got, "\n") != 4 {
		t.Errorf("%q", got)
	}
}
