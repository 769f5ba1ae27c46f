package clary_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// What is compressed badly fails by name, the others go on; several streams
// one after the other are one object.
func TestTransformOfOddCompressedObjects(t *testing.T) {
	in, rows := t.TempDir(), irisCSV(30_000)
	whole := zipped(t, rows)
	damaged := []byte(whole)
	damaged[len(damaged)/2] ^= 0xff
	checksum := []byte(whole)
	checksum[len(checksum)-8] ^= 0xff
	for name, text := range map[string]string{
		"good": whole, "members": zipped(t, rows[:1000]) + zipped(t, "") + zipped(t, rows[1000:]), "empty": "", "nothing": zipped(t, ""),
		"cut": whole[:len(whole)/2], "header": whole[:5], "tail": whole[:len(whole)-4], "damaged": string(damaged), "checksum": string(checksum),
		"plain": rows, "garbage": whole + "some garbage at the end", "zeros": whole + strings.Repeat("\x00", 512),
	} {
		writeFile(t, in+"/"+name, text)
	}
	fails := map[string]string{ // what is damaged in the middle may come to rows that the model refuses first
		"cut": "ends in the middle of the compressed data", "header": "ends in the middle of the compressed data", "tail": "ends in the middle of the compressed data",
		"damaged": "", "checksum": "the object is damaged", "plain": "the object is not compressed",
		"garbage": "something else follows", "zeros": "something else follows",
	}
	reference := t.TempDir()
	writeFile(t, reference+"/in/good", rows)
	transformed(t, nil, irisJob(reference+"/in", reference+"/out")...)
	want := readFile(t, reference+"/out/good.out")
	for _, payload := range []string{"6", "0"} {
		out := t.TempDir()
		code, said := transform(t, nil, irisJob(in, out, "--compression", "Gzip", "--max-payload-mb", payload)...)
		if code != 1 || !strings.Contains(said, "12 objects, 0 of them done before, 8 failed") {
			t.Errorf("payload %s: %d, %s", payload, code, said)
		}
		for name, why := range fails {
			found := false
			for line := range strings.Lines(said) {
				found = found || strings.HasPrefix(line, "failed: "+name+": ") && strings.Contains(line, why)
			}
			if _, err := os.Stat(out + "/" + name + ".out"); !found || err == nil {
				t.Errorf("payload %s: %s: want %q (an output: %v) in %s", payload, name, why, err == nil, said)
			}
		}
		for name, want := range map[string]string{"good": want, "members": want, "empty": "", "nothing": ""} {
			if got := readFile(t, out+"/"+name+".out"); got != want {
				t.Errorf("payload %s: %s: %d bytes, want %d", payload, name, len(got), len(want))
			}
		}
	}
}

// Killed in the middle of a compressed object, it goes on there.
func TestAKilledTransformOfCompressedObjectsGoesOn(t *testing.T) {
	p := transformer(t, "serve", iris, "CLARY_INTRA_OP_THREADS=1")
	in, undisturbed, out := t.TempDir(), t.TempDir(), t.TempDir()
	rows := irisCSV(2000)
	writeFile(t, in+"/a", zipped(t, rows[:7000])+zipped(t, rows[7000:]))
	job := func(out, endpoint string) []string {
		return irisJob(in, out, "--compression", "Gzip", "--strategy", "SingleRecord", "--max-concurrent", "2", "--endpoint", endpoint)
	}
	transformed(t, nil, job(undisturbed, p.base)...)
	var left, asked atomic.Int64
	tired, end := make(chan struct{}, 2000), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			return
		}
		if left.Add(-1) < 0 {
			tired <- struct{}{}
			<-end
			return
		}
		asked.Add(1)
		r2, err := http.NewRequest(r.Method, p.base+"/invocations", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		r2.Header = r.Header
		a, err := p.try(r2)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body) // the client may be dead
	}))
	defer gate.Close()
	defer close(end)
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} { // the first notes how far it has come
		left.Store(700)
		cmd := program(t, "serve", nil, append([]string{"transform"}, job(out, gate.URL)...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-tired
		<-tired // both requests wait: everything before them has been answered
		if err := cmd.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%v: it ends well", how)
		}
	}
	left.Store(1 << 40)
	transformed(t, nil, job(out, gate.URL)...)
	if got, want := readFile(t, out+"/a.out"), readFile(t, undisturbed+"/a.out"); got != want {
		t.Errorf("%d bytes, undisturbed %d", len(got), len(want))
	}
	if n := asked.Load(); n >= 700+700+2000 {
		t.Errorf("%d requests: it began anew", n)
	}
}
