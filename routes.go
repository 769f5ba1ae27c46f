package clary

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/claryhq/clary/runtime"
	"github.com/go-chi/chi/v5"
)

// routes are the paths of contract.md's table that this version answers.
func (s *Server) routes() http.Handler {
	r := chi.NewRouter()
	r.NotFound(s.notFound)
	r.MethodNotAllowed(s.methodNotAllowed(r))
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		r.Method(method, "/ping", http.HandlerFunc(s.ping))
	}
	r.Post("/invocations", s.invocations)
	if s.many == nil && s.conductor == nil {
		r.Get("/execution-parameters", s.executionParameters)
	}
	if s.many != nil {
		s.many.routes(r)
	}
	if s.conductor != nil {
		s.conductor.routes(r)
	}
	metrics := metricsHandler(s.registry)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Method(method, "/metrics", metrics)
		r.Method(method, "/", http.HandlerFunc(s.describe))
	}
	return routed(r)
}

// routed gives chi a place for a request's route in its connection's context:
// chi would make a copy of each request for it. A connection serves one
// request after another.
func routed(routes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route, ok := r.Context().Value(chi.RouteCtxKey).(*chi.Context); ok {
			route.Reset()
		}
		routes.ServeHTTP(w, r)
	})
}

// withRoute is an http.Server's ConnContext for routed.
func withRoute(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, chi.RouteCtxKey, chi.NewRouteContext())
}

// ping is 200 when the next invocation would be served, 503 while the model
// loads, while the server drains, and once a GPU is lost. With many models none need be there yet
// (contract §4.1). It waits for nothing (contract §2).
func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.drains.Load():
		writeFailure(w, failureOf(errDraining, ""))
	case s.lost.Load():
		writeFailure(w, failureOf(runtime.ErrDevice, ""))
	case s.conductor != nil:
		s.conductor.ping(w)
	case s.many == nil && s.model.Load() == nil:
		writeFailure(w, failureOf(errStarting, ""))
	default:
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	}
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	paths := "/ping, /invocations, /metrics and /"
	if s.conductor != nil {
		paths = "/ping, /invocations, /pipeline, /metrics and /"
	}
	if s.many != nil {
		paths = "/ping, /invocations, /models, /models/{name}, /models/{name}/invoke, /metrics and /"
	}
	writeFailure(w, failure{status: http.StatusNotFound, kind: "ResourceNotFoundException",
		message: fmt.Sprintf("no such path: %s; there are %s", r.URL.Path, paths)})
}

// methodNotAllowed answers 405 with the methods that the path does take.
func (s *Server) methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
			if routes.Match(chi.NewRouteContext(), method, cmp.Or(r.URL.RawPath, r.URL.Path)) {
				allowed = append(allowed, method)
			}
		}
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		writeFailure(w, failure{status: http.StatusMethodNotAllowed, kind: "MethodNotAllowedException",
			message: fmt.Sprintf("%s takes %s, not %s", r.URL.Path, list, r.Method)})
	}
}
