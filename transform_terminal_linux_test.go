package clary_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is the far end of a pseudo-terminal: what is shown on it.
type terminal struct {
	mu   sync.Mutex
	text strings.Builder
	done chan struct{} // closed when nobody has it open any more
}

// openTerminal returns a terminal of so many columns, and the end that a
// program writes to.
func openTerminal(t *testing.T, columns uint16) (*terminal, *os.File) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if err := unix.IoctlSetPointerInt(int(far.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(far.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	near, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(near.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{done: make(chan struct{})}
	go func() {
		defer close(term.done)
		buf := make([]byte, 4<<10)
		for {
			n, err := far.Read(buf)
			term.mu.Lock()
			term.text.Write(buf[:n])
			term.mu.Unlock()
			if err != nil { // EIO, when the near end is closed
				return
			}
		}
	}()
	return term, near
}

func (t *terminal) shown() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// screen is what stays on the terminal: \r begins the line again, and
// ESC [ K empties the rest of it. Nothing else is expected.
func screen(text string) []string {
	var lines []string
	var line []rune
	at := 0
	for text = strings.ReplaceAll(text, "\r\n", "\n"); text != ""; {
		switch {
		case strings.HasPrefix(text, "\x1b[K"):
			line, text = line[:at], text[3:]
			continue
		case text[0] == '\r':
			at = 0
		case text[0] == '\n':
			lines, line, at = append(lines, string(line)), nil, 0
		default:
			line = append(line[:at], append([]rune{rune(text[0])}, line[min(at+1, len(line)):]...)...)
			at++
		}
		text = text[1:]
	}
	return append(lines, string(line))
}

// gated answers as many requests as the test lets through.
func gated(t *testing.T) (*httptest.Server, chan struct{}) {
	gate := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		select {
		case <-gate:
			_, _ = w.Write(body) // the test looks at what comes of it
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server, gate
}

var bar = regexp.MustCompile(`^\[=+ *\] +\d+%  \d/2 objects  \d+ rows  \d+ rows/s  ETA (\?|[0-9hms.]+)$`)

func TestTransformShowsABarOnATerminal(t *testing.T) {
	for name, stop := range map[string]bool{"to the end": false, "stopped": true} {
		t.Run(name, func(t *testing.T) {
			server, gate := gated(t)
			in, out := t.TempDir(), t.TempDir()
			writeFile(t, in+"/a", strings.Repeat(setosaRow+"\n", 4))
			writeFile(t, in+"/b", strings.Repeat(setosaRow+"\n", 4))
			term, near := openTerminal(t, 90)
			cmd := program(t, "serve", nil, append([]string{"transform"}, irisJob(in, out, "--strategy", "SingleRecord", "--max-concurrent", "1", "--endpoint", server.URL)...)...)
			cmd.Stdout, cmd.Stderr = near, near
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, as a rule
			if err := near.Close(); err != nil {
				t.Fatal(err)
			}
			for range 6 {
				gate <- struct{}{}
			}
			p := &process{t: t}
			p.until("the bar shows what has come", func() bool {
				last := term.shown()
				return strings.Contains(last[strings.LastIndexByte(last, '\r')+1:], "1/2 objects  6 rows")
			})
			lines := screen(term.shown())
			if now := lines[len(lines)-1]; !bar.MatchString(now) || !strings.Contains(now, " 75% ") || len(lines) != 1 || len(now) > 89 {
				t.Errorf("on the terminal: %q", lines)
			}
			if stop {
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
			} else {
				gate <- struct{}{}
				gate <- struct{}{}
			}
			err := cmd.Wait()
			select {
			case <-term.done:
			case <-time.After(time.Minute):
				t.Fatal("the terminal stays open")
			}
			lines = screen(term.shown())
			if (err != nil) != stop || len(lines) < 3 || lines[len(lines)-1] != "" || !bar.MatchString(lines[0]) || !strings.HasPrefix(lines[1], "2 objects, 0 of them done before, 0 failed; ") {
				t.Fatalf("%v; on the terminal: %q", err, lines)
			}
			if stop && (len(lines) != 4 || !strings.Contains(lines[2], "goes on from here")) {
				t.Errorf("on the terminal: %q", lines)
			}
			if !stop && (len(lines) != 3 || !strings.Contains(lines[0], "100%  2/2 objects  8 rows")) {
				t.Errorf("on the terminal: %q", lines)
			}
		})
	}
}

// What is no terminal gets no bar: not a pipe, and not a device either.
func TestTransformShowsNoBarElsewhere(t *testing.T) {
	in := t.TempDir()
	writeFile(t, in+"/a", setosaRow+"\n")
	writeFile(t, in+"/b", "x\n")
	cmd := program(t, "serve", nil, append([]string{"transform"}, irisJob(in, t.TempDir())...)...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err == nil || strings.ContainsAny(said.String(), "\r\x1b") || !strings.HasPrefix(said.String(), "transform: b: record 1: status 400") {
		t.Errorf("%v: %q", err, said.String())
	}
}
