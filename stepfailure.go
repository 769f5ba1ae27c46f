package clary

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/claryhq/clary/pipeline"
)

// stepFailure is how a client sees the failure of a pipeline's step: 424, as
// SageMaker answers whatever a container's status is (contract §5.2), with the
// step's name, its status and its message; but 503 where the same request may
// be sent again: the step is down or too slow, or says so itself.
func stepFailure(e *pipeline.StepError, requestID string) failure {
	unavailable := failure{status: http.StatusServiceUnavailable, kind: "ServiceUnavailableException", message: e.Error(), retry: true}
	for _, again := range []error{pipeline.ErrDown, pipeline.ErrLate, pipeline.ErrTimeout, pipeline.ErrBroken, pipeline.ErrNoRoute} {
		if errors.Is(e.Err, again) {
			return unavailable
		}
	}
	status, message := e.Status, e.Message
	if e.Status == 0 { // in this process
		inner := failureOf(e.Err, requestID)
		if inner.status == statusGone {
			return inner
		}
		status, message = inner.status, inner.message
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		return unavailable
	}
	return failure{status: http.StatusFailedDependency, kind: "ModelError",
		message: fmt.Sprintf("step %q answered %d: %s", e.Step, status, message)}
}
