// Package load sends HTTP/1.1 requests to a server and measures the answers,
// with as little processor time as it can: the server under test shares the
// machine. Requests are bytes made beforehand, one thread drives all
// connections through epoll, and of an answer only the status and the length
// are read.
package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// A Spec is one burst of load.
type Spec struct {
	Addr        string  // host:port
	Connections int     // kept open
	Seconds     float64 // what is measured
	Warm        float64 // seconds of the same load before
	// Rate is requests a second, sent at random moments whether or not earlier
	// ones were answered, and a latency counts from the moment that was drawn,
	// also where no connection was free. 0 is a closed loop: each connection
	// sends its next request when it has the answer to the last.
	Rate float64
	// Tick, in seconds, is how often the generator looks at what is due and what
	// has come; latencies are up to two of them longer. It takes less of the
	// machine than to look at each at once, which 0 does.
	Tick float64
	// Requests are drawn by their weights.
	Requests []Request
	PID      int // the server's process; 0: its use of the machine is not measured
}

// A Request is what to send.
type Request struct {
	Method string // "" is POST
	Path   string
	Header map[string]string
	Body   string  // a file; "" is no body
	Weight float64 // 0 is 1
}

// A Result is what a burst measured.
type Result struct {
	Seconds   float64
	Requests  int     // answered within the time, whatever the status
	PerSecond float64 // answered with 2xx
	// Latency is of 2xx answers; in an open loop, of all that were due within
	// the time.
	Latency    Latency
	ByStatus   map[string]Latency // "0" is a connection that broke
	ByRequest  []Latency          // 2xx, as Spec.Requests
	Unfinished int                // due within the time and not answered long after it
	Server     Use                // of the server, with its child processes
	Generator  Use                // of this process
}

// Latency says how long answers took, in seconds.
type Latency struct {
	Count                     int
	P50, P99, P999, Max, Mean float64
}

// Use is what a process used of the machine meanwhile.
type Use struct {
	CPU      float64 // seconds
	Resident int64   // bytes, at most
}

// grace is how long an open loop waits for answers that were due in time.
const grace = 5 * time.Second

func (s *Spec) check() error {
	switch {
	case s.Addr == "":
		return errors.New("load: no address")
	case s.Connections < 1:
		return errors.New("load: want one connection at least")
	case s.Seconds <= 0:
		return errors.New("load: want some time")
	case len(s.Requests) == 0:
		return errors.New("load: nothing to send")
	case s.Rate < 0, s.Tick < 0:
		return errors.New("load: the rate or the tick is negative")
	}
	return nil
}

// Bodies of this size and more are sent from their file: a client on another
// machine costs the server's memory and caches nothing, and this is the least
// that one beside it can cost.
const large = 64 << 10

// A message is a request as it is sent: its bytes and, where the body is
// large, the file that holds the rest.
type message struct {
	bytes []byte
	body  *os.File // nil: all is in bytes
	size  int      // of body
}

func (m *message) close() {
	if m.body != nil {
		_ = m.body.Close() // it was only read
	}
}

// prepare makes the message of a request.
func (r *Request) prepare(host string) (m message, err error) {
	var body []byte
	if r.Body != "" {
		info, err := os.Stat(r.Body)
		if err != nil {
			return m, err
		}
		if m.size = int(info.Size()); m.size >= large {
			m.body, err = os.Open(r.Body)
		} else {
			body, err = os.ReadFile(r.Body)
			m.size = len(body)
		}
		if err != nil {
			return m, err
		}
	}
	method := r.Method
	if method == "" {
		method = "POST"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.Path, host)
	for k, v := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	if method != "GET" {
		b.WriteString("Content-Length: " + strconv.Itoa(m.size) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	m.bytes = b.Bytes()
	return m, nil
}
