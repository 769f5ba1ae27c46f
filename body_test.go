package clary

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
)

func TestABodyIsReadWholeHoweverItComes(t *testing.T) {
	var bodies bodies
	for _, size := range []int{0, 1, 511, 512, 513, 100_000, step, step + 1, 3*step + 7} {
		want := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "with its end": iotest.DataErrReader,
		} {
			for _, announced := range []bool{true, false} {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got, err := bodies.read(w, r, int64(size))
					if err != nil || !bytes.Equal(*got, want) {
						t.Errorf("%d bytes %s, announced %v: got %d, %v", size, name, announced, len(*got), err)
						return
					}
					if announced && size > 0 && size <= step && cap(*got) > max(2*size, 1024)+keep {
						t.Errorf("%d bytes in a buffer of %d", size, cap(*got))
					}
					bodies.give(got)
				}))
				req, err := http.NewRequest("POST", server.URL, wrap(bytes.NewReader(want)))
				if err != nil {
					t.Fatal(err)
				}
				if announced {
					req.ContentLength = int64(size)
				} else {
					req.ContentLength = -1
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				server.Close()
			}
		}
	}
}

func TestGrowTakesNoMoreThanItsStepOnASendersWord(t *testing.T) {
	if got := cap(grow(nil, 1<<40)); got > 4096 {
		t.Errorf("an announced terabyte allocates %d bytes at once", got)
	}
	if got := cap(grow(nil, 700_000)); got != 700_001 {
		t.Errorf("an announced small body allocates %d bytes", got)
	}
	full := make([]byte, step)
	if got := cap(grow(full, 2*step)); got != 2*step+1 {
		t.Errorf("with half of an announced body here, the room is %d", got)
	}
}
