package clary

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// connected returns both ends of a connection, the server's as conns has it.
func connected(t *testing.T) (*conns, net.Conn, net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newConns(inner)
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); l.Close() })
	return l, client, server
}

// reading reads a byte and says when that has ended.
func reading(c net.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	return ended
}

func TestAFarDeadlineEndsAReadAtTheNextRound(t *testing.T) {
	l, _, c := connected(t)
	now := time.Now()
	if err := c.SetReadDeadline(now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	ended := reading(c)
	l.expire(now.Add(59 * time.Second))
	select {
	case err := <-ended:
		t.Fatalf("it ended early: %v", err)
	default:
	}
	l.expire(now.Add(61 * time.Second))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if err := <-reading(c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("and then: %v", err)
	}
}

func TestADeadlineThatWasMovedOrTakenBackEndsNothing(t *testing.T) {
	for name, set := range map[string]func(net.Conn, time.Time) error{
		"read":  net.Conn.SetReadDeadline,
		"whole": net.Conn.SetDeadline,
	} {
		for _, to := range []time.Duration{time.Hour, 0} {
			l, client, c := connected(t)
			now := time.Now()
			later := time.Time{}
			if to > 0 {
				later = now.Add(to)
			}
			if err := errors.Join(c.SetReadDeadline(now.Add(time.Minute)), set(c, later)); err != nil {
				t.Fatal(err)
			}
			ended := reading(c)
			l.expire(now.Add(2 * time.Minute))
			if _, err := client.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("%s, moved to %v: %v", name, to, err)
			}
		}
	}
}

func TestANearDeadlineHasItsOwnTimer(t *testing.T) {
	_, client, c := connected(t)
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil { // as net/http stops a read
		t.Fatal(err)
	}
	if err := <-reading(c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("in the past: %v", err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-reading(c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("in a millisecond: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := <-reading(c); err != nil {
		t.Errorf("after it was taken back: %v", err)
	}
}

func TestAClosedConnectionIsForgotten(t *testing.T) {
	l, client, c := connected(t)
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(l.open); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its other end: %v", err)
	}
}
