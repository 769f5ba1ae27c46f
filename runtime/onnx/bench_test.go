package onnx

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/claryhq/clary/runtime"
)

// row is one row of the iris data set.
func row() []runtime.Tensor {
	return []runtime.Tensor{{Shape: []int{1, 4}, Data: []float32{5.1, 3.5, 1.4, 0.2}}}
}

// reportCPU adds what the process spent on an operation, which other
// processes on the machine disturb less than what the clock says.
func reportCPU(b *testing.B) func() {
	start := cpu(b)
	return func() { b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op") }
}

func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkRunOneRow(b *testing.B) {
	s := open1(b, models+"/iris/model.onnx", Options{})
	bench := func(name string, ctx context.Context, reuse bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			in, out := row(), []runtime.Tensor(nil)
			for b.Loop() {
				got, err := s.Run(ctx, in, out)
				if err != nil {
					b.Fatal(err)
				}
				if reuse {
					out = got
				}
			}
		})
	}
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	bench("new outputs", context.Background(), false)
	bench("outputs reused", context.Background(), true)
	bench("cancellable", cancellable, true)
	b.Run("in parallel", func(b *testing.B) {
		b.ReportAllocs()
		defer reportCPU(b)()
		b.RunParallel(func(pb *testing.PB) {
			in, out := row(), []runtime.Tensor(nil)
			for pb.Next() {
				got, err := s.Run(context.Background(), in, out)
				if err != nil {
					b.Error(err)
					return
				}
				out = got
			}
		})
	})
}

// BenchmarkForest compares our operator with ONNX Runtime's, in turn.
func BenchmarkForest(b *testing.B) {
	path := models + "/iris/model.onnx"
	ours, theirs := open1(b, path, Options{}), open1(b, path, Options{unedited: true})
	for _, rows := range []int{1, 64, 1024} {
		in := []runtime.Tensor{tensor(make([]float32, rows*4), rows, 4)}
		for i := range in[0].Data.([]float32) {
			in[0].Data.([]float32)[i] = float32(i*2654435761%800) / 100
		}
		for name, s := range map[string]*Session{"ours": ours, "theirs": theirs} {
			b.Run(fmt.Sprintf("%d rows/%s", rows, name), func(b *testing.B) {
				defer reportCPU(b)()
				var out []runtime.Tensor
				for b.Loop() {
					var err error
					if out, err = s.Run(b.Context(), in, out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
