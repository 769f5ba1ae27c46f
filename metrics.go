package clary

import (
	"net/http"
	goruntime "runtime"
	"strconv"
	"time"

	"github.com/claryhq/clary/pipeline"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newRegistry returns what /metrics shows of the process itself.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// metricsHandler serves reg. A collector that fails leaves its metrics out:
// a scrape is never a 5xx (contract §12).
func metricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// registerBuild adds the versions, once the library has told its own.
func registerBuild(reg *prometheus.Registry, onnxruntime string) {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "clary_build_info", Help: "1; the labels say which versions.",
		ConstLabels: prometheus.Labels{"version": Version, "go": goruntime.Version(), "onnxruntime": onnxruntime}})
	g.Set(1)
	reg.MustRegister(g)
}

// latencyBuckets, in seconds: from a tiny tree model's microseconds to
// SageMaker's 60 s limit.
var latencyBuckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// modelMetrics are one model's. The sagemaker_ names mirror the metrics that
// AWS makes of an endpoint (contract §12); docs/metrics.md lists all.
type modelMetrics struct {
	invocations prometheus.Counter
	errors4xx   prometheus.Counter
	errors5xx   prometheus.Counter
	ok          prometheus.Counter // byStatus's 200
	byStatus    *prometheus.CounterVec
	latency     prometheus.Observer // decode, run and encode together
	overhead    prometheus.Observer // reading the body and waiting
	queue       prometheus.Observer // the stages
	decode      prometheus.Observer
	run         prometheus.Observer
	encode      prometheus.Observer
	bytesIn     prometheus.Counter
	bytesOut    prometheus.Counter
	setup       prometheus.Gauge
	loading     prometheus.Gauge
	loaded      prometheus.Gauge

	sessions   sessionStats
	unregister func() // takes all of them from the registry
}

// newModelMetrics registers the metrics of the model with that name. inFlight
// and queued, of those that wait for admission, are asked at every scrape.
func newModelMetrics(reg *prometheus.Registry, model string, inFlight, queued func() float64) *modelMetrics {
	r := &registrar{reg: reg, labels: prometheus.Labels{"model": model}}
	m := &modelMetrics{
		unregister:  r.unregister,
		invocations: r.counter("sagemaker_invocations_total", "Requests to the model, whatever their outcome."),
		latency:     r.histogram("sagemaker_model_latency_seconds", "Decoding, running and encoding, of requests that succeeded."),
		overhead:    r.histogram("sagemaker_overhead_latency_seconds", "Reading the body and waiting for a worker, of requests that succeeded."),
		bytesIn:     r.counter("clary_request_bytes_total", "Bytes of request bodies."),
		bytesOut:    r.counter("clary_response_bytes_total", "Bytes of reply bodies."),
		setup:       r.gauge("sagemaker_model_setup_seconds", "From the start of the server until /ping answered 200."),
		loading:     r.gauge("sagemaker_model_loading_seconds", "Loading and warming the model."),
		loaded:      r.gauge("sagemaker_loaded_model_count", "1 while the model is loaded."),
		byStatus:    r.counterVec("clary_responses_total", "Requests by status; 499 is a client that went away.", "status"),
	}
	m.ok = m.byStatus.WithLabelValues("200")
	errs := r.counterVec("sagemaker_invocation_errors_total", "Requests answered with an error, by class.", "class")
	m.errors4xx, m.errors5xx = errs.WithLabelValues("4xx"), errs.WithLabelValues("5xx")
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "clary_stage_seconds",
		Help: "Time in each stage, of requests that succeeded.", ConstLabels: r.labels, Buckets: latencyBuckets}, []string{"stage"})
	r.register(stages)
	m.queue, m.decode = stages.WithLabelValues("queue"), stages.WithLabelValues("decode")
	m.run, m.encode = stages.WithLabelValues("run"), stages.WithLabelValues("encode")
	r.gaugeFunc("sagemaker_in_flight", "Requests being answered, waiting ones included.", inFlight)
	stats := m.sessions.sum
	r.gaugeFunc("clary_queued", "Requests waiting for a worker.", func() float64 { return queued() + float64(stats().Waiting) })
	r.counterFunc("clary_runs_total", "Runs of the model.", func() float64 { return float64(stats().Runs) })
	r.counterFunc("clary_run_rows_total", "Rows in them: over clary_runs_total, the mean size of a batch.", func() float64 { return float64(stats().Rows) })
	r.counterFunc("clary_merged_total", "Requests that were run together with others.", func() float64 { return float64(stats().Merged) })
	r.counterFunc("clary_wide_runs_total", "Runs that had all cores.", func() float64 { return float64(stats().Wide) })
	r.counterFunc("clary_late_total", "Requests refused because their deadline could not be met.", func() float64 { return float64(stats().Late) })
	r.counterFunc("clary_batches_undone_total", "Batches that failed and were run again request by request.", func() float64 { return float64(stats().Alone) })
	return m
}

// observe counts one finished request; read and queue are what it spent on
// its body and waiting.
func (m *modelMetrics) observe(status int, read, queue time.Duration, t pipeline.Timing, in, out int) {
	m.invocations.Inc()
	m.bytesIn.Add(float64(in))
	m.bytesOut.Add(float64(out))
	switch {
	case status == http.StatusOK:
		m.ok.Inc()
		m.overhead.Observe((read + queue).Seconds())
		m.latency.Observe((t.Decode + t.Run + t.Encode).Seconds())
		m.queue.Observe(queue.Seconds())
		m.decode.Observe(t.Decode.Seconds())
		m.run.Observe(t.Run.Seconds())
		m.encode.Observe(t.Encode.Seconds())
		return
	case status >= 500:
		m.errors5xx.Inc()
	case status >= 400:
		m.errors4xx.Inc()
	}
	m.byStatus.WithLabelValues(strconv.Itoa(status)).Inc()
}

// A registrar makes and registers metrics with the same labels, and can take
// them back.
type registrar struct {
	reg    *prometheus.Registry
	labels prometheus.Labels
	made   []prometheus.Collector
}

func (r *registrar) register(c prometheus.Collector) {
	r.reg.MustRegister(c)
	r.made = append(r.made, c)
}

func (r *registrar) unregister() {
	for _, c := range r.made {
		r.reg.Unregister(c)
	}
}

func (r *registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: r.labels})
	r.register(c)
	return c
}

func (r *registrar) counterVec(name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: r.labels}, []string{label})
	r.register(c)
	return c
}

func (r *registrar) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: r.labels})
	r.register(g)
	return g
}

func (r *registrar) gaugeFunc(name, help string, f func() float64) {
	r.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: r.labels}, f))
}

func (r *registrar) counterFunc(name, help string, f func() float64) {
	r.register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: r.labels}, f))
}

func (r *registrar) histogram(name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: r.labels, Buckets: latencyBuckets})
	r.register(h)
	return h
}
