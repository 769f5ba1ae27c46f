package pipeline

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// PortRange is an inclusive range of ports, as SAGEMAKER_SAFE_PORT_RANGE has
// it.
type PortRange struct{ Low, High int }

// ParsePortRange reads LOW-HIGH.
func ParsePortRange(text string) (PortRange, error) {
	low, high, ok := strings.Cut(strings.TrimSpace(text), "-")
	l, errLow := strconv.Atoi(strings.TrimSpace(low))
	h, errHigh := strconv.Atoi(strings.TrimSpace(high))
	if !ok || errLow != nil || errHigh != nil || l < 1 || h > 65535 || l > h {
		return PortRange{}, fmt.Errorf("want LOW-HIGH, two ports from 1 to 65535 such as 25000-25999")
	}
	return PortRange{l, h}, nil
}

func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.Low, r.High) }

func (r PortRange) size() int { return r.High - r.Low + 1 }

// share cuts r into n ranges of the same size, so that no command gets what
// is another's.
func (r PortRange) share(n int) ([]PortRange, error) {
	each := r.size() / n
	if each < 1 {
		return nil, fmt.Errorf("SAGEMAKER_SAFE_PORT_RANGE: %v has no port for each of %d commands", r, n)
	}
	shares := make([]PortRange, n)
	for i := range shares {
		shares[i] = PortRange{r.Low + i*each, r.Low + (i+1)*each - 1}
	}
	return shares, nil
}

// pick returns a port of r on which nobody listens, and the ports beside it
// that whoever gets it may use too. It begins anywhere, so that servers side
// by side rarely pick the same one.
func (r PortRange) pick() (port int, rest PortRange, err error) {
	start := rand.IntN(r.size())
	for i := range r.size() {
		port := r.Low + (start+i)%r.size()
		if !free(port) {
			continue
		}
		rest := PortRange{port + 1, r.High}
		if before := (PortRange{r.Low, port - 1}); before.size() > rest.size() {
			rest = before
		}
		if rest.size() < 1 {
			rest = PortRange{port, port}
		}
		return port, rest, nil
	}
	return 0, PortRange{}, fmt.Errorf("somebody listens on every port of %v (SAGEMAKER_SAFE_PORT_RANGE)", r)
}

// free reports whether every address of the machine has the port free.
func free(port int) bool {
	for _, host := range []string{"", "127.0.0.1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		_ = l.Close() // nothing was accepted
	}
	return true
}
