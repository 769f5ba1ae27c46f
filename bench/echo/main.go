// Echo answers every request with its body: what net/http and chi cost by
// themselves. It is the floor that bench compares servers with.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/go-chi/chi/v5"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: echo ADDRESS")
		os.Exit(2)
	}
	r := chi.NewRouter()
	r.Get("/ping", func(http.ResponseWriter, *http.Request) {})
	r.Post("/invocations", echo)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], r))
	os.Exit(1)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func echo(w http.ResponseWriter, r *http.Request) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if n := r.ContentLength; int64(cap(*buf)) < n {
		*buf = make([]byte, n)
	}
	body := (*buf)[:max(r.ContentLength, 0)]
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{r.Header.Get("Content-Type")}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // the client may have gone
}
