package clary_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// zipped is a gzip stream of text.
func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// endless is a job whose objects are requests without end.
func endless(in, out string, more ...string) []string {
	return irisJob(in, out, append([]string{"--max-payload-mb", "0"}, more...)...)
}

// Objects that are one request each, whatever their size, come to the same as
// those that are cut.
func TestTransformOfObjectsThatAreOneRequest(t *testing.T) {
	p := transformer(t, "serve", iris)
	in, zips := t.TempDir(), t.TempDir()
	rows := irisCSV(70_000) // 1.2 MB
	for name, text := range map[string]string{"large": rows, "open": strings.TrimSuffix(irisCSV(98), "\n"), "crlf": strings.ReplaceAll(irisCSV(98), "\n", "\r\n"),
		"empty": "", "blank": "\n\r\n\n", "gaps": "\n" + setosaRow + "\n\n\n" + virginicaRow + "\n\n"} {
		writeFile(t, in+"/"+name, text)
		writeFile(t, zips+"/"+name, zipped(t, text))
	}
	whole := t.TempDir()
	said := transformed(t, nil, irisJob(in, whole)...)
	_, counts, _ := strings.Cut(said, "failed; ")
	counts, _, _ = strings.Cut(counts, " rows")
	for i, args := range [][]string{
		endless(in, ""), endless(zips, "", "--compression", "Gzip", "--assemble-with", "Line"),
		endless(in, "", "--endpoint", p.base, "--split-type", "None", "--assemble-with", "Line", "--max-concurrent", "3"),
		endless(zips, "", "--endpoint", p.base+"/invocations", "--compression", "Gzip", "--strategy", "MultiRecord"),
	} {
		out := t.TempDir()
		said := transformed(t, nil, append(args, "--output", out)...)
		same(t, fmt.Sprint(i, args), whole, out)
		if !strings.Contains(fmt.Sprint(args), "None") && !strings.Contains(said, "failed; "+counts+" rows") {
			t.Errorf("%d: it says %s, want %s rows", i, said, counts)
		}
	}
	t.Run("RecordIO", func(t *testing.T) {
		p := transformer(t, "serve", "testdata/models/identity-float32")
		frames := p.invoke(asRows, strings.Repeat("1,2.5,-3\n", 60_000), "Accept", "application/x-recordio-protobuf; as=features").body
		in, cut, once := t.TempDir(), t.TempDir(), t.TempDir()
		writeFile(t, in+"/a", frames)
		job := func(out string, more ...string) []string {
			return append([]string{"--model-dir", "testdata/models/identity-float32", "--input", in, "--output", out,
				"--content-type", "application/x-recordio-protobuf", "--accept", "text/csv", "--split-type", "RecordIO"}, more...)
		}
		transformed(t, nil, job(cut)...)
		transformed(t, nil, job(once, "--max-payload-mb", "0")...)
		if got := readFile(t, once+"/a.out"); len(frames) < 3*partSize/2 || strings.Count(got, "\n") != 60_000 || !strings.HasPrefix(got, "1,2.5,-3\n") {
			t.Errorf("%d bytes of frames, %d lines", len(frames), strings.Count(got, "\n"))
		}
		same(t, "RecordIO", cut, once)
	})
	t.Run("bad records", func(t *testing.T) {
		in, out := t.TempDir(), t.TempDir()
		writeFile(t, in+"/a", rows+rows[:330000]+"x\n")
		if code, said := transform(t, nil, endless(in, out)...); code != 1 || !strings.Contains(said, "x is not a number") || !strings.Contains(said, "of the body") {
			t.Errorf("%d, %s", code, said)
		}
		if _, err := os.Stat(out + "/a.out"); err == nil {
			t.Error("there is an output of half an object")
		}
		transformed(t, []string{"CLARY_BAD_RECORD=placeholder"}, endless(in, out)...)
		if got := readFile(t, out+"/a.out"); strings.Count(got, "\n") != 90_001 || strings.Count(got, "ERROR\n") != 1 {
			t.Errorf("%d lines", strings.Count(got, "\n"))
		}
	})
	t.Run("rows that depend on each other", func(t *testing.T) { // are taken whole, within the limit
		in, out := t.TempDir(), t.TempDir()
		writeFile(t, in+"/large", rows)
		writeFile(t, in+"/small", setosaRow)
		code, said := transform(t, []string{"SAGEMAKER_MAX_REQUEST_SIZE=1000000"}, endless(in, out, "--accept", "application/json")...)
		if code != 1 || !strings.Contains(said, "failed: large:") || !strings.Contains(said, "status 413") {
			t.Errorf("%d, %s", code, said)
		}
		if got := readFile(t, out+"/small.out"); !strings.HasPrefix(got, `{"predictions":`) {
			t.Error(got)
		}
	})
}

// same compares two folders' outputs.
func same(t testing.TB, what, want, got string) {
	t.Helper()
	entries, err := os.ReadDir(want)
	if err != nil || len(entries) == 0 {
		t.Fatal(len(entries), err)
	}
	for _, e := range entries {
		if a, b := readFile(t, want+"/"+e.Name()), readFile(t, got+"/"+e.Name()); a != b {
			t.Errorf("%s: %s has %d bytes %.60q, want %d %.60q", what, e.Name(), len(b), b, len(a), a)
		}
	}
}

func TestWhatGoesWithRequestsWithoutEnd(t *testing.T) {
	in := t.TempDir()
	writeFile(t, in+"/a", setosaRow+"\n")
	for more, want := range map[string]string{
		"--strategy SingleRecord":                      "want --strategy MultiRecord",
		"--assemble-with Line --join-source Input":     "as it is",
		"--assemble-with Line --input-filter $[0]":     "as it is",
		"--assemble-with Line --output-filter $[0]":    "as it is",
		"--assemble-with Line --generate-inference-id": "as it is",
	} {
		if code, said := transform(t, nil, endless(in, t.TempDir(), strings.Fields(more)...)...); code != 1 || !strings.Contains(said, want) {
			t.Errorf("%s: %d, %s", more, code, said)
		}
	}
	transformed(t, nil, endless(in, t.TempDir(), "--strategy", "SingleRecord", "--split-type", "None")...) // an object is a record
}

// A server may answer before it has read, and read before it answers: the
// object is sent while the reply is read, and neither is held.
func TestAnObjectIsSentWhileItsReplyIsRead(t *testing.T) {
	const size = 48 << 20
	in := t.TempDir()
	writeFile(t, in+"/a", strings.Repeat(setosaRow+"\n", size/16))
	line := []byte("1,0.9,0.1,0.0000000\n")
	block := bytes.Repeat(line, 1<<20/len(line))
	for name, first := range map[string]bool{"it answers first": true, "it reads first": false} {
		t.Run(name, func(t *testing.T) {
			var chunked atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					return
				}
				chunked.Store(r.ContentLength < 0)
				_ = http.NewResponseController(w).EnableFullDuplex()
				if !first {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				for range size >> 20 {
					_, _ = w.Write(block)
				}
				if first {
					_, _ = io.Copy(io.Discard, r.Body)
				}
			}))
			defer server.Close()
			out := t.TempDir()
			said := transformed(t, nil, endless(in, out, "--endpoint", server.URL)...)
			if got := readFile(t, out+"/a.out"); len(got) != len(block)*(size>>20) || !chunked.Load() {
				t.Errorf("%d bytes came, chunked: %v", len(got), chunked.Load())
			}
			var memory float64
			if _, text, ok := strings.Cut(said, " rows/s; "); ok {
				_, _ = fmt.Sscanf(text, "%g MiB of memory at most", &memory) // 0 is not enough
			}
			if memory == 0 || memory > size>>20 && !raceEnabled {
				t.Errorf("%g MiB of memory for %d of an object", memory, size>>20)
			}
		})
	}
}

// A request without end that fails for a passing reason begins the object
// anew; one that fails for good does not.
func TestARequestWithoutEndThatFailsBeginsAnew(t *testing.T) {
	in := t.TempDir()
	text := irisCSV(200_000)
	writeFile(t, in+"/a", text)
	fail := map[string]func(w http.ResponseWriter, r *http.Request){
		"503 at once":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"503 once it is read": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); w.WriteHeader(503) },
		"broken off": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.CopyN(w, r.Body, 1<<20)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	for name, fails := range fail {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					return
				}
				if asked.Add(1) <= 2 {
					fails(w, r)
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				_, _ = w.Write(body) // the client looks
			}))
			defer server.Close()
			server.Config.ErrorLog = nil
			out := t.TempDir()
			said := transformed(t, nil, endless(in, out, "--endpoint", server.URL)...)
			if got := readFile(t, out+"/a.out"); got != text || asked.Load() != 3 || !strings.Contains(said, "0 failed; 200000 rows") {
				t.Errorf("%d bytes of %d, asked %d times: %s", len(got), len(text), asked.Load(), said)
			}
		})
	}
	t.Run("ended long before the object", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				_ = http.NewResponseController(w).EnableFullDuplex()
				_, _ = io.CopyN(w, r.Body, 1<<20)
			}
		}))
		defer server.Close()
		in, out := t.TempDir(), t.TempDir()
		writeFile(t, in+"/a", strings.Repeat(text, 20))
		if code, said := transform(t, nil, endless(in, out, "--endpoint", server.URL, "--retries", "0")...); code != 1 || !strings.Contains(said, "failed: a: after byte ") {
			t.Errorf("%d, %s", code, said)
		}
	})
	t.Run("for good", func(t *testing.T) {
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				asked.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(400)
			}
		}))
		defer server.Close()
		if code, said := transform(t, nil, endless(in, t.TempDir(), "--endpoint", server.URL)...); code != 1 || asked.Load() != 1 || !strings.Contains(said, "status 400") {
			t.Errorf("%d, asked %d times: %s", code, asked.Load(), said)
		}
	})
}

// Killed in the middle of an object, it begins that object anew, and those
// that are done are not done again.
func TestAKilledTransformBeginsAnObjectThatIsOneRequestAnew(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	a, b := irisCSV(1000), irisCSV(100_000)
	writeFile(t, in+"/a", a)
	writeFile(t, in+"/b", b)
	var asked atomic.Int64
	middle, free := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		if asked.Add(1) == 2 {
			_, _ = io.CopyN(w, r.Body, 1<<20)
			_ = http.NewResponseController(w).Flush()
			close(middle)
			<-free
			return
		}
		_, _ = io.Copy(w, r.Body) // the client looks
	}))
	defer server.Close()
	defer close(free)
	job := endless(in, out, "--endpoint", server.URL, "--max-concurrent", "1")
	cmd := program(t, "serve", nil, append([]string{"transform"}, job...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-middle
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := os.Stat(out + "/b.out"); err == nil {
		t.Error("half of an output is there")
	}
	said := transformed(t, nil, job...)
	if readFile(t, out+"/a.out") != a || readFile(t, out+"/b.out") != b || asked.Load() != 3 || !strings.Contains(said, "1 of them done before") {
		t.Errorf("asked %d times: %s", asked.Load(), said)
	}
}
