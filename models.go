package clary

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/claryhq/clary/mme"
	"github.com/go-chi/chi/v5"
	"go.uber.org/zap"
)

// The routes of multi-model endpoints (contract §4.3). Bodies are in the
// dialect of AWS's Multi Model Server, which its tests compare.

func (m *many) routes(r chi.Router) {
	r.Get("/models", m.list)
	r.Post("/models", m.load)
	r.Get("/models/{name}", m.named1(m.get))
	r.Delete("/models/{name}", m.named1(m.unload))
	r.Post("/models/{name}/invoke", m.named1(func(w http.ResponseWriter, r *http.Request, name string) {
		m.server.serve(w, r, m.named(name))
	}))
}

// named1 hands a handler the name in its path.
func (m *many) named1(handle func(w http.ResponseWriter, r *http.Request, name string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, err := pathName(r, chi.URLParam(r, "name"))
		if err != nil {
			m.fail(w, r, fmt.Errorf("%w: the model's name: %w", errHeader, err))
			return
		}
		handle(w, r, name)
	}
}

// mostListed is the largest page of GET /models, and the one where no limit
// is given.
const mostListed = 100

// list answers GET /models: the models that are loaded, by name, in pages.
func (m *many) list(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Name string `json:"modelName"`
		URL  string `json:"modelUrl"`
	}
	reply := struct {
		Models []entry `json:"models"`
		Next   string  `json:"nextPageToken,omitempty"`
	}{Models: []entry{}}
	query := r.URL.Query()
	limit, _ := strconv.Atoi(query.Get("limit")) // what is no number is none
	if limit <= 0 || limit > mostListed {
		limit = mostListed
	}
	from, _ := strconv.Atoi(query.Get("next_page_token"))
	all := m.cache.List()
	from = min(max(from, 0), len(all))
	for _, i := range all[from:min(from+limit, len(all))] {
		reply.Models = append(reply.Models, entry{i.Name, i.URL})
	}
	if from+limit < len(all) {
		reply.Next = strconv.Itoa(from + limit)
	}
	writeJSON(w, reply)
}

// get answers GET /models/{name}.
func (m *many) get(w http.ResponseWriter, r *http.Request, name string) {
	i, err := m.cache.Get(name)
	if err != nil {
		m.fail(w, r, unknownModel(name))
		return
	}
	reply := map[string]any{"modelName": i.Name, "modelUrl": i.URL, "status": i.State, "leases": i.Leases}
	set := func(key string, value any, there bool) {
		if there {
			reply[key] = value
		}
	}
	set("reason", i.Reason, i.Reason != "")
	set("version", i.Version, i.Version != "")
	set("fetchedBytes", i.Done, i.Done > 0)
	set("totalBytes", i.Total, i.Total > 0)
	set("estimatedBytes", i.Estimate, i.Estimate != nil)
	set("memoryBytes", i.Bytes, i.Bytes != nil)
	set("loadedAt", i.Loaded.UTC(), !i.Loaded.IsZero())
	set("usedAt", i.Used.UTC(), !i.Used.IsZero())
	set("retryAt", i.Retry.UTC(), !i.Retry.IsZero())
	set("loadMs", float64(i.Took.Microseconds())/1e3, i.Took > 0)
	writeJSON(w, reply)
}

// A registration is the body of POST /models; other fields are ignored, as
// MMS's servers do.
type registration struct {
	Name string `json:"model_name"`
	URL  string `json:"url"`
}

// mostRegistration bounds the body of POST /models.
const mostRegistration = 64 << 10

// load answers POST /models. It takes MMS's query form too.
func (m *many) load(w http.ResponseWriter, r *http.Request) {
	reg, err := readRegistration(w, r)
	if err == nil {
		_, err = insideRoots(m.source.roots, reg.URL)
	}
	if err == nil {
		err = m.whileOpen(func() error { return m.cache.Load(r.Context(), reg.Name, reg.URL) })
	}
	if err != nil {
		m.fail(w, r, err)
		return
	}
	writeJSON(w, map[string]string{"status": "Workers scaled"})
}

func readRegistration(w http.ResponseWriter, r *http.Request) (reg registration, err error) {
	query := r.URL.Query()
	reg = registration{query.Get("model_name"), query.Get("url")}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostRegistration))
	if err != nil {
		return reg, err
	}
	if len(body) > 0 {
		var sent registration
		if err := json.Unmarshal(body, &sent); err != nil {
			return reg, fmt.Errorf(`%w: want JSON such as {"model_name": "a", "url": "/opt/ml/models/a/model"}: %w`, errBody, err)
		}
		reg.Name, reg.URL = cmp.Or(sent.Name, reg.Name), cmp.Or(sent.URL, reg.URL)
	}
	switch {
	case reg.Name == "" || reg.URL == "":
		err = fmt.Errorf("%w: model_name and url are both wanted", errBody)
	case len(reg.Name) > 1024 || !utf8.ValidString(reg.Name):
		err = fmt.Errorf("%w: model_name must be at most 1024 bytes of UTF-8", errBody)
	}
	return reg, err
}

// unloadTimeout is how long DELETE waits for requests that use the model; the
// platform gives it 360 s (contract §4.3).
const unloadTimeout = 300 * time.Second

// unload answers DELETE /models/{name}, when the memory is back.
func (m *many) unload(w http.ResponseWriter, r *http.Request, name string) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), unloadTimeout, errDeadline)
	defer cancel()
	err := m.whileOpen(func() error { return m.cache.Unload(ctx, name) })
	if err != nil {
		if errors.Is(err, mme.ErrUnknown) {
			err = unknownModel(name)
		}
		m.fail(w, r, err)
		return
	}
	writeJSON(w, map[string]string{"status": fmt.Sprintf("Model \"%s\" unregistered", name)})
}

// whileOpen runs f unless the server drains, which waits for it.
func (m *many) whileOpen(f func() error) error {
	if !m.server.gate.enter() {
		return errDraining
	}
	defer m.server.gate.leave()
	return f()
}

// fail answers with an error.
func (m *many) fail(w http.ResponseWriter, r *http.Request, err error) {
	if gone := clientGone(r.Context()); gone != nil {
		err = gone
	}
	id := newRequestID(new([32]byte))
	w.Header()[headerRequestID] = []string{id}
	f := failureOf(err, id)
	level := zap.InfoLevel
	if f.status >= 500 && f.status != http.StatusServiceUnavailable {
		level = zap.ErrorLevel
	}
	m.server.log.Log(level, "request", zap.String("request_id", id), zap.String("method", r.Method), zap.String("path", r.URL.Path),
		zap.Int("status", f.status), zap.Error(err))
	if f.status == statusGone {
		panic(http.ErrAbortHandler)
	}
	writeFailure(w, f)
}

// writeJSON answers 200 with v on one line.
func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("clary: a reply that JSON cannot carry: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	_, _ = w.Write(append(body, '\n')) // the client may have gone; there is nobody left to tell
}

// describe answers GET / of a server with many models.
func (m *many) describe(w http.ResponseWriter) {
	stats := m.cache.Stats()
	reply := map[string]any{"server": "clary " + Version, "registered": stats.Registered, "resident": stats.Ready,
		"memoryBytes": stats.Used[hostPool], "budgetBytes": stats.Budget[hostPool]}
	if len(stats.Budget) > 1 { // GPUs', too
		reply["memoryByPool"], reply["budgetByPool"] = stats.Used, stats.Budget
	}
	if store := m.server.cfg.ModelStore; store != "" {
		reply["store"] = store
	}
	writeJSON(w, reply)
}
