package clary

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger writes one JSON object a line to w, whatever w is: SageMaker's
// local mode gives the container a terminal, and its log readers still want
// JSON (contract §1.6). Lines are written by a goroutine within a second; stop
// writes what is left.
func newLogger(w io.Writer, level zapcore.Level) (log *zap.Logger, stop func()) {
	out := newOutput(w)
	encoder := zap.NewProductionEncoderConfig()
	encoder.TimeKey = "time"
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder.EncodeDuration = durationMs
	return zap.New(&core{zapcore.NewCore(zapcore.NewJSONEncoder(encoder), out, level), out}), out.stop
}

// durationMs writes what keys that end in _ms say.
func durationMs(d time.Duration, out zapcore.PrimitiveArrayEncoder) {
	out.AppendFloat64(float64(d.Microseconds()) / 1e3)
}

// A core is zap's, that can write the line of a request by itself: zap takes as
// long for one as all else that a small request needs besides its Run.
type core struct {
	zapcore.Core
	out *output
}

// request writes the line of a request that has ended now.
func (c *core) request(level zapcore.Level, x *exchange) {
	if !c.Enabled(level) {
		return
	}
	c.out.append(func(l *line) {
		l.begin(level, x.start.Add(x.took), "request")
		x.describe(l)
		l.b = append(l.b, '}', '\n')
	})
}

// A line is JSON that is being written.
type line struct {
	b []byte

	second     int64 // of which there is
	date, zone []byte
}

func (l *line) begin(level zapcore.Level, at time.Time, message string) {
	if s := at.Unix(); s != l.second {
		l.second = s
		l.date, l.zone = at.AppendFormat(l.date[:0], time.DateOnly+"T"+time.TimeOnly+"."), at.AppendFormat(l.zone[:0], "Z07:00")
	}
	l.b = append(append(append(l.b, `{"level":"`...), level.String()...), `","time":"`...)
	l.b = append(l.b, l.date...)
	for n, unit := at.Nanosecond(), 100_000_000; unit > 0; n, unit = n%unit, unit/10 {
		l.b = append(l.b, byte('0'+n/unit))
	}
	l.b = append(append(append(append(l.b, l.zone...), `","msg":"`...), message...), '"')
}

func (l *line) key(name string) {
	l.b = append(append(append(l.b, ',', '"'), name...), '"', ':')
}

// AddString adds a field, as the other two do.
func (l *line) AddString(key, value string) {
	l.key(key)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, _ := json.Marshal(value) // a string always has a text
			l.b = append(l.b, text...)
			return
		}
	}
	l.b = append(append(append(l.b, '"'), value...), '"')
}

// AddInt adds a number.
func (l *line) AddInt(key string, value int) {
	l.key(key)
	l.b = strconv.AppendInt(l.b, int64(value), 10)
}

// AddDuration adds milliseconds.
func (l *line) AddDuration(key string, d time.Duration) {
	l.key(key)
	us := max(d.Microseconds(), 0)
	l.b = strconv.AppendInt(l.b, us/1e3, 10)
	if us %= 1e3; us > 0 {
		l.b = append(l.b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
	}
}
