package clary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/claryhq/clary/artifact/store"
	"github.com/claryhq/clary/codec"
	"github.com/claryhq/clary/handler"
	"github.com/claryhq/clary/mme"
	"github.com/claryhq/clary/pipeline"
	"github.com/claryhq/clary/runtime"
	"github.com/claryhq/clary/runtime/batch"
)

// Why the server itself does not answer a request.
var (
	errBusy     = errors.New("all workers are busy and the queue is full")
	errDeadline = errors.New("the request took longer than its timeout")
	errStarting = errors.New("the model is still loading")
	errDraining = errors.New("the server is shutting down")
	errCut      = errors.New("the server shut down before the request was finished")
	errGone     = errors.New("the client went away")
	errSlow     = errors.New("the body arrived too slowly")
	errBody     = errors.New("the body could not be read")
	errHeader   = errors.New("bad header")
	errPanic    = errors.New("panic in the handler")
	errLate     = errors.New("the model was not loaded within its time")
)

// statusGone is what the log says of a request whose client has gone; no
// client ever sees it.
const statusGone = 499

// A failure is an error as a client sees it.
type failure struct {
	status  int
	kind    string // the type field; MMS's names where it has one (contract §3.5)
	message string
	retry   bool // with Retry-After
}

// failureOf is the one table from an error to a status (docs/statuses.md). An
// error that it does not know is internal: 500, and no detail for the client.
func failureOf(err error, requestID string) failure {
	var own *handler.StatusError
	var large *http.MaxBytesError
	var step *pipeline.StepError
	switch {
	case errors.As(err, &step):
		return stepFailure(step, requestID)
	case errors.As(err, &own) && own.Status >= 400 && own.Status <= 599:
		return failure{own.Status, kindOf(own.Status), own.Message, own.Status == http.StatusServiceUnavailable}
	case errors.As(err, &large):
		return failure{http.StatusRequestEntityTooLarge, "PayloadTooLargeException",
			fmt.Sprintf("the body is larger than the limit of %d bytes; SAGEMAKER_MAX_REQUEST_SIZE raises it", large.Limit), false}
	case errors.Is(err, errRecord):
		return failure{http.StatusRequestEntityTooLarge, "PayloadTooLargeException", err.Error(), false}
	case errors.Is(err, errGone):
		return failure{statusGone, "ClientClosedRequest", err.Error(), false}
	case errors.Is(err, codec.ErrMediaType):
		return failure{http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException", err.Error(), false}
	case errors.Is(err, codec.ErrNotAcceptable):
		return failure{http.StatusNotAcceptable, "NotAcceptableException", err.Error(), false}
	case errors.Is(err, mme.ErrUnknown):
		return failure{http.StatusNotFound, "ModelNotFoundException", err.Error(), false}
	case errors.Is(err, errMissing):
		return failure{http.StatusNotFound, "ModelNotFoundException", err.Error(), false}
	case errors.Is(err, mme.ErrLoaded):
		return failure{http.StatusConflict, "ConflictStatusException", err.Error(), false}
	case errors.Is(err, mme.ErrMemory):
		return failure{http.StatusInsufficientStorage, "InsufficientMemoryException", noMemory(err), false}
	case errors.Is(err, store.ErrRefused):
		return failure{http.StatusFailedDependency, "FailedDependencyException", err.Error(), true}
	case errors.Is(err, mme.ErrPassing), errors.Is(err, mme.ErrClosed):
		return failure{http.StatusServiceUnavailable, "ServiceUnavailableException", err.Error(), true}
	case errors.Is(err, errOutside), errors.Is(err, store.ErrName), errors.Is(err, runtime.ErrModel):
		return failure{http.StatusBadRequest, "BadRequestException", err.Error(), false}
	case errors.Is(err, errSlow):
		return failure{http.StatusRequestTimeout, "RequestTimeoutException", err.Error(), false}
	case errors.Is(err, runtime.ErrInput), errors.Is(err, codec.ErrEmpty), errors.Is(err, errBody), errors.Is(err, errHeader):
		return failure{http.StatusBadRequest, "BadRequestException", err.Error(), false}
	case errors.Is(err, runtime.ErrMemory):
		return failure{http.StatusInsufficientStorage, "InsufficientMemoryException",
			"not enough memory to run the model on this request", false}
	case errors.Is(err, runtime.ErrDevice):
		return failure{http.StatusServiceUnavailable, "ServiceUnavailableException", "the GPU is lost; the server must be started again", true}
	case errors.Is(err, errBusy), errors.Is(err, errDeadline), errors.Is(err, errStarting),
		errors.Is(err, errDraining), errors.Is(err, errCut), errors.Is(err, batch.ErrLate), errors.Is(err, context.DeadlineExceeded):
		return failure{http.StatusServiceUnavailable, "ServiceUnavailableException", err.Error(), true}
	}
	return failure{http.StatusInternalServerError, "InternalServerException",
		"internal error; the server's log has the details under request id " + requestID, false}
}

func kindOf(status int) string {
	name := strings.ReplaceAll(http.StatusText(status), " ", "")
	if name == "" {
		name = "Error"
	}
	return name + "Exception"
}

// maxMessage keeps an error's body under the 2 KB that SageMaker hands on to
// the client (contract §3.5), the message being in it twice.
const maxMessage = 880

// writeFailure writes f: one line of JSON that has the fields of MMS's errors
// and of Triton's. It returns the body's length. Nothing is written for a
// client that has gone.
func writeFailure(w http.ResponseWriter, f failure) int {
	if f.status == statusGone {
		return 0
	}
	message := clip(f.message)
	body, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Type    string `json:"type"`
		Message string `json:"message"`
		Error   string `json:"error"`
	}{f.status, f.kind, message, message})
	if err != nil {
		panic("clary: an error body that JSON cannot carry: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.retry {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(f.status)
	n, _ := w.Write(append(body, '\n')) // the client may have gone; there is nobody left to tell
	return n
}

// clip cuts a message so that its JSON form stays within maxMessage bytes.
func clip(message string) string {
	size := 0
	for i, r := range message {
		switch {
		case r < 0x20 || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError:
			size += 6
		case r == '"' || r == '\\':
			size += 2
		default:
			size += utf8.RuneLen(r)
		}
		if size > maxMessage {
			return message[:i] + "..."
		}
	}
	return message
}

// noMemory says what to do where the pool that is full has a setting.
func noMemory(err error) string {
	if strings.Contains(err.Error(), " of "+hostPool) {
		return err.Error() + "; CLARY_MODEL_MEMORY sets how much there is"
	}
	return err.Error()
}
