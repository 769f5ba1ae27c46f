package clary

import (
	"strconv"

	"github.com/claryhq/clary/runtime/gpu"
	"github.com/prometheus/client_golang/prometheus"
)

var gpuLabels = []string{"gpu", "uuid"}

var (
	gpuUsed   = prometheus.NewDesc("clary_gpu_memory_used_bytes", "Memory of the GPU in use, of all processes together.", gpuLabels, nil)
	gpuTotal  = prometheus.NewDesc("clary_gpu_memory_total_bytes", "Memory of the GPU.", gpuLabels, nil)
	gpuActive = prometheus.NewDesc("clary_gpu_utilization_ratio", "Share of the last moments in which something ran on the GPU.", gpuLabels, nil)
)

// gpuMetrics asks the driver at every scrape.
type gpuMetrics struct{ system *gpu.System }

func (g *gpuMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gpuUsed, gpuTotal, gpuActive} {
		ch <- d
	}
}

// Collect leaves out what the driver does not tell: of a MIG instance, how
// busy it is.
func (g *gpuMetrics) Collect(ch chan<- prometheus.Metric) {
	for i := range g.system.Devices {
		d := &g.system.Devices[i]
		labels := []string{strconv.Itoa(d.Index), d.UUID}
		if m, err := d.Memory(); err == nil {
			ch <- prometheus.MustNewConstMetric(gpuUsed, prometheus.GaugeValue, float64(m.Used), labels...)
			ch <- prometheus.MustNewConstMetric(gpuTotal, prometheus.GaugeValue, float64(m.Total), labels...)
		}
		if share, err := d.Utilization(); err == nil {
			ch <- prometheus.MustNewConstMetric(gpuActive, prometheus.GaugeValue, share, labels...)
		}
	}
}
