package load

import (
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/claryhq/clary/bench/process"
)

// Run sends the load and waits until it is over. It keeps a thread and one of
// the places of Go's scheduler to itself, also while it waits: it is for a
// process that does nothing else.
func Run(s Spec) (Result, error) {
	if err := s.check(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing is allocated but latencies
	// The kernel may otherwise let a timed wait last 50 us longer.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return Result{}, err
	}
	g, err := newGenerator(s)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	if err := g.run(); err != nil {
		return Result{}, err
	}
	return g.result(), nil
}

// A generator drives all connections from one thread.
type generator struct {
	spec     Spec
	messages []message
	weights  []float64 // cumulated, the last is 1
	random   *rand.Rand
	sockaddr unix.Sockaddr
	family   int
	epoll    int
	conns    []conn
	idle     []int // connections without a request, the longest so first; open loop
	late     []due // requests without a connection; open loop
	buf      []byte

	origin     time.Time
	begin, end int64 // of what is due in the time that is measured, in nanoseconds from origin
	from, to   int64 // when the measurement really began and ended
	next       due   // of the open loop
	pids       []int

	tally      tally
	pending    int // due in time and not yet answered
	measuring  bool
	serverFrom time.Duration
	ownFrom    time.Duration
	server     Use
	own        Use
	sampled    int64 // when memory was last looked at
}

// A due is a request and when it has to be sent.
type due struct {
	at   int64
	kind int
}

func newGenerator(s Spec) (*generator, error) {
	g := &generator{spec: s, random: rand.New(rand.NewPCG(1, 2)), epoll: -1, buf: make([]byte, 256<<10)}
	if s.PID != 0 {
		g.pids = process.Tree(s.PID)
	}
	sum := 0.0
	for i := range s.Requests {
		m, err := s.Requests[i].prepare(s.Addr)
		if err != nil {
			g.close()
			return nil, err
		}
		w := s.Requests[i].Weight
		if w == 0 {
			w = 1
		}
		sum += w
		g.messages, g.weights = append(g.messages, m), append(g.weights, sum)
	}
	for i := range g.weights {
		g.weights[i] /= sum
	}
	addr, err := net.ResolveTCPAddr("tcp", s.Addr)
	if err != nil {
		g.close()
		return nil, err
	}
	if ip := addr.IP.To4(); ip != nil {
		g.family, g.sockaddr = unix.AF_INET, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}
	} else {
		g.family, g.sockaddr = unix.AF_INET6, &unix.SockaddrInet6{Port: addr.Port, Addr: [16]byte(addr.IP.To16())}
	}
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		g.close()
		return nil, err
	}
	g.conns = make([]conn, s.Connections)
	for i := range g.conns {
		g.conns[i].fd = -1
	}
	for i := range g.conns {
		if err := g.connect(i); err != nil {
			g.close()
			return nil, err
		}
	}
	return g, nil
}

func (g *generator) now() int64 { return int64(time.Since(g.origin)) }

// run is the loop.
func (g *generator) run() error {
	g.origin = time.Now()
	g.begin = int64(g.spec.Warm * 1e9)
	g.end = g.begin + int64(g.spec.Seconds*1e9)
	if g.spec.Rate > 0 {
		for i := range g.conns {
			g.idle = append(g.idle, i)
		}
		g.draw()
	} else {
		for i := range g.conns {
			if err := g.start(i, due{at: g.now(), kind: g.kind()}); err != nil {
				return err
			}
		}
	}
	events := make([]unix.EpollEvent, 256)
	for {
		g.pause(g.now())
		now := g.now()
		if err := g.tick(now); err != nil {
			return err
		}
		if now >= g.end && (g.pending == 0 || now >= g.end+int64(grace)) {
			return nil
		}
		if g.spec.Rate > 0 {
			if err := g.dispatch(now); err != nil {
				return err
			}
		}
		patience := g.patience(now)
		if g.spec.Tick > 0 {
			patience = 0
		}
		n, err := wait(g.epoll, events, patience)
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			if err := g.handle(int(e.Fd)); err != nil {
				return err
			}
		}
	}
}

// patience is how long the loop may sleep.
func (g *generator) patience(now int64) time.Duration {
	most := int64(10 * time.Millisecond)
	for _, at := range []int64{g.begin, g.end} {
		if at > now {
			most = min(most, at-now)
		}
	}
	if g.spec.Rate > 0 && now < g.end {
		most = min(most, max(g.next.at-now, 0))
	}
	return time.Duration(most)
}

// pause is what a Spec with a Tick sleeps until the next.
func (g *generator) pause(now int64) {
	if tick := int64(g.spec.Tick * 1e9); tick > 0 {
		t := unix.NsecToTimespec(tick - now%tick)
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
	}
}

// wait is epoll_pwait2: epoll_wait counts in milliseconds. Go is not told of
// it: this thread is all there is, and to take it for idle and back again would
// wake Go's monitor at every answer. A signal ends it without an event: Go may
// want to stop this goroutine, which it cannot in here.
func wait(epoll int, events []unix.EpollEvent, d time.Duration) (int, error) {
	t := unix.NsecToTimespec(int64(d))
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&t)), 0, 0)
	switch e {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, e
}

// tick begins and ends the measurement, and looks at the memory meanwhile.
func (g *generator) tick(now int64) (err error) {
	if !g.measuring && now >= g.begin && now < g.end {
		g.measuring, g.from = true, now
		if g.ownFrom, err = process.CPU([]int{os.Getpid()}); err == nil && g.pids != nil {
			g.serverFrom, err = process.CPU(g.pids)
		}
	}
	if g.measuring && now >= g.end {
		g.measuring, g.to = false, now
		var own, server time.Duration
		if own, err = process.CPU([]int{os.Getpid()}); err == nil && g.pids != nil {
			server, err = process.CPU(g.pids)
		}
		g.own.CPU, g.server.CPU = (own - g.ownFrom).Seconds(), (server - g.serverFrom).Seconds()
	}
	if err == nil && g.measuring && g.pids != nil && now > g.sampled+int64(20*time.Millisecond) {
		var n int64
		g.sampled = now
		n, err = process.Resident(g.pids)
		g.server.Resident = max(g.server.Resident, n)
	}
	return err
}

// kind draws one of the requests.
func (g *generator) kind() int {
	if len(g.weights) == 1 {
		return 0
	}
	i, _ := slices.BinarySearch(g.weights, g.random.Float64())
	return min(i, len(g.weights)-1) // rounding may leave the last weight under 1
}

// draw draws when the open loop's next request is due: a Poisson process, as
// many clients that know nothing of each other make.
func (g *generator) draw() {
	g.next = due{at: g.next.at + int64(g.random.ExpFloat64()/g.spec.Rate*1e9), kind: g.kind()}
}

// dispatch sends what is due.
func (g *generator) dispatch(now int64) error {
	for g.next.at <= now && g.next.at < g.end {
		if g.counts(g.next) {
			g.pending++
		}
		g.late = append(g.late, g.next)
		g.draw()
	}
	for len(g.late) > 0 && len(g.idle) > 0 {
		// In turn: a server closes a connection that is never used.
		i := g.idle[0]
		g.idle = g.idle[1:]
		d := g.late[0]
		g.late = g.late[1:]
		if err := g.start(i, d); err != nil {
			return err
		}
	}
	return nil
}

// counts says whether an open loop's request belongs to what is measured.
func (g *generator) counts(d due) bool { return d.at >= g.begin && d.at < g.end }

// count counts an answer: in an open loop its latency where it was due in
// time, else where it came in time.
func (g *generator) count(d due, now int64, status int) {
	if g.measuring {
		g.tally.answer(status)
	}
	timed := g.measuring
	if g.spec.Rate > 0 {
		if timed = g.counts(d); timed {
			g.pending--
		}
	}
	if timed {
		g.tally.latency(d.kind, status, now-d.at)
	}
}

func (g *generator) result() Result {
	r := g.tally.result(float64(g.to-g.from)/1e9, len(g.spec.Requests))
	r.Unfinished, r.Server, r.Generator = g.pending, g.server, g.own
	return r
}
