package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Why a step does not answer, for errors.Is. To all of them the same request
// may be sent again later.
var (
	ErrDown    = errors.New("it is not ready")
	ErrLate    = errors.New("it was not started")
	ErrTimeout = errors.New("it took longer than its timeout")
	ErrBroken  = errors.New("it broke off")
	ErrNoRoute = errors.New("it cannot be reached")
)

// A StepError is the failure of one step.
type StepError struct {
	Step    string
	Status  int    // what the step answered; 0 when it did not, or is in this process
	Message string // what its answer said
	Err     error  // why, where Status is 0
}

func (e *StepError) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("step %q: %v", e.Step, e.Err)
	}
	return fmt.Sprintf("step %q answered %d: %s", e.Step, e.Status, e.Message)
}

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// maxTold is how much of an error's body is read.
const maxTold = 4 << 10

// refusal is the error of a reply that is no success; it closes the body.
func refusal(step string, resp *http.Response) *StepError {
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxTold)) // what came is what there is to tell
	return &StepError{Step: step, Status: resp.StatusCode, Message: told(resp, text)}
}

// told finds the sentence in an error's body: the field that one of the
// known servers puts it in (contract §3.5), or the text itself; but no page
// of HTML.
func told(resp *http.Response, text []byte) string {
	var fields map[string]any
	if json.Unmarshal(text, &fields) == nil {
		for _, key := range []string{"message", "error", "error-message", "detail"} {
			if s, ok := fields[key].(string); ok && s != "" {
				return s
			}
		}
	}
	s := strings.TrimSpace(strings.ToValidUTF8(string(text), "?"))
	if s == "" || strings.Contains(resp.Header.Get("Content-Type"), "html") {
		return http.StatusText(resp.StatusCode)
	}
	return strings.Join(strings.Fields(s), " ")
}
