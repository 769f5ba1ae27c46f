package clary_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const asRows = "text/csv"

// partSize is what the server makes a part of a body.
const partSize = 1 << 20

// irisRows are n random rows.
func irisRows(n int, seed uint64) []string {
	random := rand.New(rand.NewPCG(seed, 1))
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("%.1f,%.1f,%.1f,%.1f", 4+4*random.Float64(), 2+2*random.Float64(), 1+6*random.Float64(), 3*random.Float64())
	}
	return rows
}

// transformer starts a server as a batch transform job does.
func transformer(t testing.TB, program, model string, env ...string) *process {
	return start(t, program, append([]string{"SAGEMAKER_BATCH=true", "CLARY_ELASTIC=off"}, env...), model)
}

// chunked sends a body whose length is not announced.
func (p *process) chunked(contentType, accept string, body io.Reader) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, p.base+"/invocations", body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.ContentLength = -1
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", accept)
	return p.try(req)
}

// TestPartsAnswerAsTheWhole holds bodies of several parts against the answers
// to bodies that are too small to be divided.
func TestPartsAnswerAsTheWhole(t *testing.T) {
	rows := irisRows(120_000, 1) // 2 MB
	p := transformer(t, "serve", iris)
	small := func(kind, accept, head string, form func(string) string) string {
		var all strings.Builder
		for at := 0; at < len(rows); at += 30_000 {
			var body strings.Builder
			body.WriteString(head)
			for _, row := range rows[at : at+30_000] {
				body.WriteString(form(row))
			}
			a := p.invoke(kind, body.String(), "Accept", accept)
			if a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			all.WriteString(a.body)
		}
		return all.String()
	}
	for _, c := range []struct {
		name, kind, accept, head string
		form                     func(string) string
	}{
		{"CSV", "text/csv", "text/csv", "", func(r string) string { return r + "\n" }},
		{"CSV with names and CRLF", "text/csv; header=present", "text/csv", "a,\"b\r\nb\",c,d\r\n", func(r string) string { return r + "\r\n" }},
		{"JSON Lines", "application/jsonlines", "application/jsonlines", "", func(r string) string { return `{"features":[` + r + "]}\n" }},
		{"CSV to RecordIO", "text/csv", "application/x-recordio-protobuf", "", func(r string) string { return r + "\n" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body strings.Builder
			body.WriteString(c.head)
			for _, row := range rows {
				body.WriteString(c.form(row))
			}
			whole := strings.TrimSuffix(strings.TrimSuffix(body.String(), "\n"), "\r")
			want := small(c.kind, c.accept, c.head, c.form)
			a, err := p.chunked(c.kind, c.accept, strings.NewReader(whole))
			if err != nil || a.status != 200 || a.body != want {
				t.Fatalf("%v %d: %d bytes, want %d", err, a.status, len(a.body), len(want))
			}
			if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, c.accept) {
				t.Errorf("Content-Type %q", got)
			}
			if c.accept != "application/x-recordio-protobuf" && strings.Count(a.body, "\n") != len(rows) {
				t.Errorf("%d lines for %d", strings.Count(a.body, "\n"), len(rows))
			}
			if a.header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
			// Announced, the same.
			if b := p.invoke(c.kind, whole, "Accept", c.accept); b.body != want {
				t.Errorf("with a Content-Length: %d %d bytes, want %d", b.status, len(b.body), len(want))
			}
		})
	}
	t.Run("RecordIO", func(t *testing.T) {
		p := transformer(t, "serve", "testdata/models/identity-float32")
		var numbers strings.Builder
		for i := range 20_000 {
			fmt.Fprintf(&numbers, "%d,%d.5,-%d\n", i+1, i, i+1)
		}
		frames := p.invoke("text/csv", numbers.String(), "Accept", "application/x-recordio-protobuf; as=features").body
		a, err := p.chunked("application/x-recordio-protobuf", "text/csv", strings.NewReader(strings.Repeat(frames, 5)))
		if want := strings.Repeat(numbers.String(), 5); err != nil || len(frames) < partSize/2 || a.body != want {
			t.Errorf("%v %d: %d bytes of %d, want %d", err, a.status, len(a.body), len(frames), len(want))
		}
	})
	t.Run("nothing", func(t *testing.T) {
		for _, body := range []string{"", "\n", "\r\n\n"} {
			if a, err := p.chunked("text/csv", "text/csv", strings.NewReader(body)); err != nil || a.status != 204 || a.body != "" {
				t.Errorf("%q: %v %d %q", body, err, a.status, a.body)
			}
		}
		if a, err := p.chunked("text/csv; header=present", "text/csv", strings.NewReader("a,b,c,d\n")); err != nil || a.status != 204 {
			t.Errorf("names alone: %v %d %q", err, a.status, a.body)
		}
	})
}

// TestRowsAreAnsweredWhileTheBodyArrives reads the first answers before the
// last rows are sent.
func TestRowsAreAnsweredWhileTheBodyArrives(t *testing.T) {
	for _, c := range []struct {
		program string
		env     string
	}{{"serve", ""}, {"unruly", "UNRULY_ROWWISE=1"}} {
		t.Run(c.program, func(t *testing.T) {
			p := transformer(t, c.program, iris, c.env)
			rows := strings.Join(irisRows(1000, 2), "\n") + "\n"
			body, send := io.Pipe()
			req, err := http.NewRequest(http.MethodPost, p.base+"/invocations", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", asRows)
			req.Header.Set("Accept", asRows)
			begun, sent := make(chan struct{}), make(chan error, 1)
			go func() {
				for range 150 { // 2.4 MB
					if _, err := io.WriteString(send, rows); err != nil {
						sent <- err
						return
					}
				}
				<-begun
				_, err := io.WriteString(send, rows)
				sent <- errors.Join(err, send.Close())
			}()
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewReader(resp.Body)
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			close(begun)
			n := 1
			for ; ; n++ {
				if _, err := lines.ReadString('\n'); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sent; err != nil || n != 151_000 {
				t.Errorf("%d lines, %v", n, err)
			}
		})
	}
}

// everythingFirst is a client that sends all it has before it reads.
func everythingFirst(t *testing.T, p *process, rows string, times int) (*http.Response, error) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nAccept: text/csv\r\nContent-Length: %d\r\n\r\n", times*len(rows)); err != nil {
		t.Fatal(err)
	}
	for range times {
		if _, err := io.WriteString(conn, rows); err != nil {
			return nil, err
		}
	}
	return http.ReadResponse(bufio.NewReader(conn), nil)
}

func TestAClientThatSendsEverythingBeforeItReads(t *testing.T) {
	rows := strings.Join(irisRows(60_000, 3), "\n") + "\n" // 1 MB, and 1.9 of answers
	times := 12
	if os.Getenv("CLARY_SOAK") != "" {
		times = 1000
	}
	spool := t.TempDir()
	p := transformer(t, "serve", iris, "TMPDIR="+spool)
	resp, err := everythingFirst(t, p, rows, times)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines, n := bufio.NewScanner(resp.Body), 0
	var first []string
	for ; lines.Scan(); n++ {
		if n < 60_000 {
			first = append(first, lines.Text())
		} else if lines.Text() != first[n%60_000] {
			t.Fatalf("line %d: %q, want %q", n, lines.Text(), first[n%60_000])
		}
	}
	if lines.Err() != nil || n != 60_000*times {
		t.Errorf("%d lines, %v", n, lines.Err())
	}
	if peak := p.memory("VmHWM"); peak > 300<<20 && !raceEnabled {
		t.Errorf("%d MiB at its peak", peak>>20)
	}
	if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}

	t.Run("more than is kept", func(t *testing.T) {
		p := transformer(t, "serve", iris, "CLARY_SPOOL_BYTES=1000000")
		resp, err := everythingFirst(t, p, rows, 40)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Error("it was kept all the same")
		}
		if line := p.logged("request"); !strings.Contains(fmt.Sprint(line["error"]), "CLARY_SPOOL_BYTES") {
			t.Errorf("%v", line)
		}
		if a := p.invoke(asRows, "5.1,3.5,1.4,0.2"); a.status != 200 {
			t.Errorf("the next request: %d", a.status)
		}
	})
}

// memory is a size that Linux tells of the process.
func (p *process) memory(field string) int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), field+":")
	kb, err := strconv.Atoi(strings.TrimSpace(rest[:strings.Index(rest, "kB")]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kb << 10
}

func TestBadRecordsOfAStream(t *testing.T) {
	rows := irisRows(200_000, 4)
	good := strings.Join(rows, "\n") + "\n"
	p := transformer(t, "serve", iris)
	t.Run("at its beginning", func(t *testing.T) {
		a, err := p.chunked(asRows, asRows, strings.NewReader("1,2,x,4\n"+good))
		if err != nil || a.status != 400 || !strings.Contains(a.body, "line 1") {
			t.Errorf("%v %d %s", err, a.status, a.body)
		}
	})
	t.Run("after the reply has begun", func(t *testing.T) {
		a, err := p.chunked(asRows, asRows, strings.NewReader(good+"1,2,x,4\n"))
		if err == nil {
			t.Errorf("the reply ended as if it were whole: %d, %d bytes", a.status, len(a.body))
		}
		p.until("the log says why and where", func() bool {
			return strings.Contains(p.log(), `of the body: CSV, line`) && strings.Contains(p.log(), `x is not a number`)
		})
	})
	t.Run("the connection is lost", func(t *testing.T) {
		body, send := io.Pipe()
		go func() {
			_, _ = io.WriteString(send, good[:len(good)/2])
			send.CloseWithError(errors.New("no more"))
		}()
		if _, err := p.chunked(asRows, asRows, body); err == nil {
			t.Error("no error")
		}
	})
	if a, err := p.chunked(asRows, asRows, strings.NewReader(good)); err != nil || strings.Count(a.body, "\n") != len(rows) {
		t.Errorf("afterwards: %v %d", err, a.status)
	}
	t.Run("a record over the limit", func(t *testing.T) {
		p := transformer(t, "serve", iris, "SAGEMAKER_MAX_REQUEST_SIZE=2000000")
		a, err := p.chunked(asRows, asRows, strings.NewReader("5,3,1,"+strings.Repeat(" ", 3_000_000)+"0\n"))
		if err != nil || a.status != 413 || !strings.Contains(a.body, "a record") {
			t.Errorf("%v %d %s", err, a.status, a.body)
		}
	})
}

func TestPlaceholders(t *testing.T) {
	p := transformer(t, "serve", iris, "CLARY_BAD_RECORD=placeholder")
	rows := irisRows(150_000, 5)
	bad := map[int]string{0: "x", 7: "1,2,3", 8: "", 70_000: "\"", 70_001: "1,2,\"3", 149_999: "1,2,3,4,5"}
	want := strings.Split(p.invoke(asRows, strings.Join(rows[:1000], "\n"), "Accept", asRows).body, "\n")
	mixed := append([]string{}, rows...)
	for i, text := range map[int]string{0: "x", 7: "1,2,3", 70_000: "5\" 3", 149_999: "1,2,3,4,5"} {
		mixed[i] = text
		bad[i] = text
	}
	check := func(t *testing.T, body string, n int, is func(string) bool) {
		t.Helper()
		lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
		if len(lines) != n {
			t.Fatalf("%d lines, want %d", len(lines), n)
		}
		for i, line := range lines {
			if wrong := is(line); wrong != (mixed[i] != rows[i]) {
				t.Fatalf("line %d: %s", i, line)
			}
			if i < 999 && mixed[i] == rows[i] && is("ERROR") && line != want[i] {
				t.Fatalf("line %d: %s, want %s", i, line, want[i])
			}
		}
	}
	isError := func(line string) bool { return line == "ERROR" }
	t.Run("a stream", func(t *testing.T) {
		a, err := p.chunked(asRows, asRows, strings.NewReader(strings.Join(mixed, "\n")))
		if err != nil || a.status != 200 {
			t.Fatalf("%v %d", err, a.status)
		}
		check(t, a.body, len(rows), isError)
		if line := p.logged("records were answered with a placeholder"); line["records"] != 4.0 {
			t.Errorf("%v", line)
		}
	})
	t.Run("a small body", func(t *testing.T) {
		a := p.invoke(asRows, strings.Join(mixed[:1000], "\n"), "Accept", asRows)
		if a.status != 200 || !strings.HasSuffix(a.body, "\n") {
			t.Fatalf("%d", a.status)
		}
		check(t, a.body, 1000, isError)
	})
	t.Run("JSON Lines say why", func(t *testing.T) {
		a := p.invoke(asRows, strings.Join(mixed[:1000], "\n"), "Accept", "application/jsonlines")
		check(t, a.body, 1000, func(line string) bool { return strings.HasPrefix(line, `{"error":"CSV, line 1`) })
	})
	t.Run("all are bad", func(t *testing.T) {
		if a := p.invoke(asRows, "x\ny\n", "Accept", asRows); a.status != 200 || a.body != "ERROR\nERROR\n" || !strings.HasPrefix(a.header.Get("Content-Type"), asRows) {
			t.Errorf("%d %q", a.status, a.body)
		}
	})
	t.Run("outside of batch transform", func(t *testing.T) {
		p := start(t, "serve", []string{"CLARY_BAD_RECORD=placeholder"}, iris)
		if a := p.invoke(asRows, "5.1,3.5,1.4,0.2\nx\n5.1,3.5,1.4,0.2\n", "Accept", asRows); a.status != 200 || strings.Count(a.body, "\n") != 2 || !strings.Contains(a.body, "\nERROR\n") {
			t.Errorf("%d %q", a.status, a.body)
		}
		if a := p.invoke(asRows, "x", "Accept", "application/json"); a.status != 400 {
			t.Errorf("JSON has no lines: %d %s", a.status, a.body)
		}
	})
}

// TestAHandlerThatIsNotRowWise gets the whole body, bounded.
func TestAHandlerThatIsNotRowWise(t *testing.T) {
	p := transformer(t, "unruly", iris, "SAGEMAKER_MAX_REQUEST_SIZE=2000000")
	rows := strings.Join(irisRows(100_000, 6), "\n")
	if a, err := p.chunked(asRows, asRows, strings.NewReader(rows)); err != nil || strings.Count(a.body, "\n") != 100_000 {
		t.Errorf("%v %d", err, a.status)
	}
	if a, err := p.chunked(asRows, asRows, strings.NewReader(rows+"\n"+rows)); err == nil && a.status != 413 {
		t.Errorf("%v %d", err, a.status)
	}
}

func TestExecutionParameters(t *testing.T) {
	type parameters struct {
		MaxConcurrentTransforms, MaxPayloadInMB int
		BatchStrategy                           string
	}
	ask := func(p *process) (q parameters, keys int) {
		a := p.get("/execution-parameters")
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		var all map[string]any
		if err := errors.Join(json.Unmarshal([]byte(a.body), &q), json.Unmarshal([]byte(a.body), &all)); err != nil {
			t.Fatal(err)
		}
		return q, len(all)
	}
	p := transformer(t, "serve", iris, "SAGEMAKER_MODEL_SERVER_WORKERS=3")
	q, keys := ask(p)
	if q.MaxConcurrentTransforms != 3 || q.BatchStrategy != "MULTI_RECORD" || q.MaxPayloadInMB < 6 || 3*q.MaxPayloadInMB > 100 || keys != 3 {
		t.Errorf("%+v", q)
	}
	if q, keys := ask(transformer(t, "serve", iris, "SAGEMAKER_MODEL_SERVER_WORKERS=200", "CLARY_OMIT_BATCH_STRATEGY=true")); q.MaxConcurrentTransforms*q.MaxPayloadInMB > 100 || q.MaxPayloadInMB < 1 || keys != 2 {
		t.Errorf("%+v", q)
	}
	if q, _ := ask(transformer(t, "unruly", iris, "SAGEMAKER_MAX_REQUEST_SIZE=3000000")); q.MaxPayloadInMB != 2 {
		t.Errorf("a limit of 3 MB: %+v", q)
	}
	loading := launch(t, "unruly", []string{"UNRULY_GATE=" + t.TempDir()}, iris)
	if a := loading.get("/execution-parameters"); a.status != 503 {
		t.Errorf("while the model loads: %d", a.status)
	}
}
