package clary

import (
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger writes one JSON object a line to f, whatever f is: SageMaker's
// local mode gives the container a terminal, and its log readers still want
// JSON (contract §1.6). Lines are buffered for up to a second; stop writes
// what is left.
func newLogger(f *os.File, level zapcore.Level) (log *zap.Logger, stop func()) {
	out := &zapcore.BufferedWriteSyncer{WS: f, Size: 64 << 10, FlushInterval: time.Second}
	encoder := zap.NewProductionEncoderConfig()
	encoder.TimeKey = "time"
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder.EncodeDuration = func(d time.Duration, out zapcore.PrimitiveArrayEncoder) {
		out.AppendFloat64(float64(d.Microseconds()) / 1e3) // the keys say _ms
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoder), out, level)
	return zap.New(core), func() { _ = out.Stop() } // stdout may be closed; there is nowhere else to say so
}
