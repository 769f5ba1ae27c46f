package clary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claryhq/clary/pipeline"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestTheLineOfARequestIsWhatZapWouldWrite(t *testing.T) {
	var exchanges []*exchange
	for _, text := range []string{"plain", "", `"quoted" \ and <html>`, "two\nlines\x00", "größer \u2028", "\xff not UTF-8"} {
		x := &exchange{start: time.Now(), status: 500, in: 17, out: 0, named: true, queue: 1500 * time.Microsecond,
			timing: pipeline.Timing{Decode: 7 * time.Microsecond, Run: time.Minute, Encode: 120 * time.Microsecond}, err: errors.New(text)}
		x.req.ID, x.req.ContentType, x.req.TargetModel = text, text, text
		exchanges = append(exchanges, x)
	}
	exchanges = append(exchanges, &exchange{start: time.Now(), status: 200})
	for _, x := range exchanges {
		var ours, zaps bytes.Buffer
		log, stop := newLogger(&ours, zap.InfoLevel)
		lines := log.Core().(*core)
		lines.request(zap.InfoLevel, x)
		lines.request(zap.DebugLevel, x) // below the level
		stop()
		encoder := zap.NewProductionEncoderConfig()
		encoder.TimeKey, encoder.EncodeTime, encoder.EncodeDuration = "time", zapcore.RFC3339NanoTimeEncoder, durationMs
		zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoder), zapcore.AddSync(&zaps), zap.InfoLevel)).Info("request", zap.Inline(x))

		var got, want map[string]any
		if err := errors.Join(json.Unmarshal(ours.Bytes(), &got), json.Unmarshal(zaps.Bytes(), &want)); err != nil {
			t.Fatalf("%v in\n%s%s", err, &ours, &zaps)
		}
		for _, m := range []map[string]any{got, want} {
			if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(m["time"])); err != nil || m["ms"] == nil {
				t.Errorf("in %v: %v", m, err)
			}
			delete(m, "time")
			delete(m, "ms")
		}
		if !reflect.DeepEqual(got, want) || strings.Count(ours.String(), "\n") != 1 {
			t.Errorf("got  %swant %s", &ours, &zaps)
		}
	}
}

func TestLinesOfManyCallersAreWholeAndInTheirOrder(t *testing.T) {
	var text bytes.Buffer
	log, stop := newLogger(&text, zap.InfoLevel)
	const callers, each = 8, 2000
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				log.Info("line", zap.Int("caller", c), zap.Int("i", i))
			}
		})
	}
	wg.Wait()
	stop()
	var next [callers]int
	for line := range strings.Lines(text.String()) {
		var l struct{ Caller, I int }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if l.I != next[l.Caller] {
			t.Fatalf("caller %d: line %d, want %d", l.Caller, l.I, next[l.Caller])
		}
		next[l.Caller]++
	}
	for c, n := range next {
		if n != each {
			t.Errorf("caller %d: %d lines of %d", c, n, each)
		}
	}
}

func TestNobodyWaitsForALogThatIsNotRead(t *testing.T) {
	r, w := io.Pipe()
	log, stop := newLogger(w, zap.InfoLevel)
	const lines = 3 * mostUnwritten / 100
	long := strings.Repeat("x", 100)
	for range lines {
		log.Info(long) // it would hang here
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	stop()
	w.Close()
	text := <-read
	var lost struct{ Lines int }
	last := text[strings.LastIndexByte(strings.TrimSpace(text), '\n')+1:]
	if err := json.Unmarshal([]byte(last), &lost); err != nil || lost.Lines == 0 {
		t.Fatalf("the last line: %s (%v)", last, err)
	}
	if n := strings.Count(text, long); n+lost.Lines != lines {
		t.Errorf("%d lines and %d lost, of %d", n, lost.Lines, lines)
	}
}
