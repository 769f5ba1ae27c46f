package clary

import (
	"sync"

	"github.com/claryhq/clary/mme"
	"github.com/prometheus/client_golang/prometheus"
)

// cacheMetrics shows a cache's Stats at each scrape, and each model's memory
// where that was asked for.
type cacheMetrics struct {
	cache   *mme.Cache[*live]
	byModel bool
}

var (
	loadsDesc      = prometheus.NewDesc("clary_models_loads_total", "Models opened, by result.", []string{"result"}, nil)
	unloadsDesc    = prometheus.NewDesc("clary_models_unloads_total", "Models unregistered.", nil, nil)
	lookupsDesc    = prometheus.NewDesc("clary_models_lookups_total", "Requests for a model that was ready (hit), or had to be opened or waited for (miss).", []string{"result"}, nil)
	evictionsDesc  = prometheus.NewDesc("clary_models_evictions_total", "Models that gave way: for memory, idle for too long, or changed in the store.", []string{"reason"}, nil)
	noMemoryDesc   = prometheus.NewDesc("clary_models_no_memory_total", "Openings that did not fit: answered with 507.", nil, nil)
	loadTimeDesc   = prometheus.NewDesc("clary_models_load_seconds_total", "Time spent fetching, waiting for memory and opening, of the models that were opened.", nil, nil)
	waitTimeDesc   = prometheus.NewDesc("clary_models_wait_seconds_total", "Time that requests waited for their model.", nil, nil)
	registeredDesc = prometheus.NewDesc("clary_models_registered", "Models that are known by name.", nil, nil)
	readyDesc      = prometheus.NewDesc("clary_models_resident", "Models in memory.", nil, nil)
	usedDesc       = prometheus.NewDesc("clary_models_bytes", "Memory that models take, as measured.", []string{"pool"}, nil)
	budgetDesc     = prometheus.NewDesc("clary_models_budget_bytes", "Memory that models may take.", []string{"pool"}, nil)
	modelDesc      = prometheus.NewDesc("clary_model_bytes", "Memory that a model takes, as measured.", []string{"model", "pool"}, nil)
)

// Describe says nothing: what there is depends on the models.
func (c *cacheMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads the cache once.
func (c *cacheMetrics) Collect(out chan<- prometheus.Metric) {
	s := c.cache.Stats()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter(loadsDesc, float64(s.Loads), "ok")
	counter(loadsDesc, float64(s.Failures), "failed")
	counter(unloadsDesc, float64(s.Unloads))
	counter(lookupsDesc, float64(s.Hits), "hit")
	counter(lookupsDesc, float64(s.Misses), "miss")
	counter(evictionsDesc, float64(s.EvictedForMemory), "memory")
	counter(evictionsDesc, float64(s.EvictedIdle), "idle")
	counter(evictionsDesc, float64(s.EvictedChanged), "changed")
	counter(noMemoryDesc, float64(s.NoMemory))
	counter(loadTimeDesc, s.LoadTime.Seconds())
	counter(waitTimeDesc, s.WaitTime.Seconds())
	gauge(registeredDesc, float64(s.Registered))
	gauge(readyDesc, float64(s.Ready))
	for pool, n := range s.Used {
		gauge(usedDesc, float64(n), pool)
	}
	for pool, n := range s.Budget {
		gauge(budgetDesc, float64(n), pool)
	}
	if !c.byModel {
		return
	}
	for _, i := range c.cache.List() {
		for pool, n := range i.Bytes {
			gauge(modelDesc, float64(n), i.Name, pool)
		}
	}
}

// namedMetrics are those of models by name. A model may be opened anew before
// the old one is closed; both have the same.
type namedMetrics struct {
	mu  sync.Mutex // guards all
	all map[string]*sharedMetrics
}

type sharedMetrics struct {
	*modelMetrics
	users int
}

// of returns the name's metrics, made where there are none, and what to call
// when they are not needed any more.
func (n *namedMetrics) of(name string, create func() *modelMetrics) (*modelMetrics, func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m, ok := n.all[name]
	if !ok {
		m = &sharedMetrics{modelMetrics: create()}
		if n.all == nil {
			n.all = map[string]*sharedMetrics{}
		}
		n.all[name] = m
	}
	m.users++
	return m.modelMetrics, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if m.users--; m.users == 0 {
			m.unregister()
			delete(n.all, name)
		}
	}
}
