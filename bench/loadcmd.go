package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/claryhq/clary/bench/load"
)

// loadCommand sends load to a server and prints what it measured as JSON.
func loadCommand(args []string) error {
	var s load.Spec
	var address, spec string
	r := load.Request{Header: map[string]string{}}
	f := flag.NewFlagSet("bench load", flag.ContinueOnError)
	f.StringVar(&spec, "spec", "", "a file with a whole load.Spec as JSON, - for stdin; nothing else is needed then")
	f.StringVar(&address, "url", "http://127.0.0.1:8080/invocations", "where to send")
	f.StringVar(&r.Method, "method", "POST", "the method")
	f.StringVar(&r.Body, "body", "", "a file with the body")
	f.Func("H", "a header, `Name: value`; may be repeated", func(h string) error {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return errors.New("want Name: value")
		}
		r.Header[name] = strings.TrimSpace(value)
		return nil
	})
	f.IntVar(&s.Connections, "c", 64, "connections")
	f.Float64Var(&s.Seconds, "for", 2, "seconds that are measured")
	f.Float64Var(&s.Warm, "warm", 0.5, "seconds before that are not")
	f.Float64Var(&s.Rate, "rate", 0, "requests a second, at random moments; 0: each connection sends when it has its answer")
	f.Float64Var(&s.Tick, "tick", 0, "seconds from one look at what is due and has come to the next; 0: each at once")
	f.IntVar(&s.PID, "pid", 0, "the server's process, to measure what it uses")
	if err := f.Parse(args); err != nil {
		return err
	}
	if spec != "" {
		var err error
		if s, err = readSpec(spec); err != nil {
			return err
		}
	} else {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" {
			return fmt.Errorf("-url %s: want http://host:port/path", address)
		}
		if s.Addr = u.Host; u.Port() == "" {
			s.Addr += ":80"
		}
		r.Path = u.RequestURI()
		s.Requests = []load.Request{r}
	}
	result, err := load.Run(s)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(result)
}

func readSpec(path string) (s load.Spec, err error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return s, err
		}
		defer f.Close()
		in = f
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	return s, d.Decode(&s)
}
