package clary_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claryhq/clary"
	"github.com/claryhq/clary/handler"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// A server inside a program of one's own, from ParseConfig to the last
// goroutine.
func TestAServerInAProgramOfOnesOwnEndsWithoutATrace(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for range 2 {
		cfg, err := clary.ParseConfig([]string{iris, "--port", "0", "--host", "127.0.0.1"}, []string{"ORT_DYLIB_PATH=" + library(t)}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		server, err := clary.New(cfg, handler.Default{}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- server.Run(ctx) }()
		own := &http.Client{Transport: &http.Transport{}}
		url := "http://" + server.Addr().String()
		for status := 0; status != 200; time.Sleep(5 * time.Millisecond) {
			resp, err := own.Get(url + "/ping")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			status = resp.StatusCode
		}
		resp, err := own.Post(url+"/invocations", "text/csv", strings.NewReader(aRow))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), rowReply) {
			t.Errorf("%s, %v", body, err)
		}
		resp.Body.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		own.CloseIdleConnections()
	}
	goleak.VerifyNone(t, before)
}

func TestAServerWithoutAModelReturnsWhyAndEndsWithoutATrace(t *testing.T) {
	before := goleak.IgnoreCurrent()
	cfg, err := clary.ParseConfig([]string{t.TempDir(), "--port", "0", "--host", "127.0.0.1"}, []string{"ORT_DYLIB_PATH=" + library(t)}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	server, err := clary.New(cfg, handler.Default{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Run(t.Context()); err == nil || !strings.Contains(err.Error(), ".onnx") {
		t.Errorf("Run: %v", err)
	}
	goleak.VerifyNone(t, before)
}

func TestSettingsComeFromFlagsThenTheEnvironmentThenDefaults(t *testing.T) {
	parse := func(env []string, args ...string) clary.Config {
		t.Helper()
		cfg, err := clary.ParseConfig(args, env, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	if got := parse(nil); got.Port != 8080 || got.Model != "/opt/ml/model" || got.MaxBody != 25<<20 || got.Queue != 100 || got.DrainTimeout != 25*time.Second {
		t.Errorf("defaults: %+v", got)
	}
	if got := parse([]string{"SAGEMAKER_BIND_TO_PORT=9000", "SAGEMAKER_BASE_DIR=/x"}); got.Port != 9000 || got.Model != "/x/model" {
		t.Errorf("from the environment: %+v", got)
	}
	if got := parse([]string{"SAGEMAKER_BIND_TO_PORT=9000", "SM_MODEL_DIR=/y"}, "--port", "9001", "z.onnx"); got.Port != 9001 || got.Model != "z.onnx" {
		t.Errorf("flags and an argument: %+v", got)
	}
	if got := parse([]string{"SAGEMAKER_BIND_TO_PORT="}); got.Port != 8080 {
		t.Errorf("an empty variable: %+v", got)
	}
	for _, c := range []struct {
		env  []string
		want int64
	}{
		{[]string{"SAGEMAKER_BATCH=true"}, 100 << 20},
		{[]string{"SAGEMAKER_BATCH=1", "SAGEMAKER_MAX_PAYLOAD_IN_MB=6"}, 6 << 20},
		{[]string{"SAGEMAKER_MAX_PAYLOAD_IN_MB=6", "SAGEMAKER_MAX_REQUEST_SIZE=77"}, 77},
		{[]string{"SAGEMAKER_MAX_PAYLOAD_IN_MB=0"}, 25 << 20},
	} {
		if got := parse(c.env).MaxBody; got != c.want {
			t.Errorf("%v: a body limit of %d, want %d", c.env, got, c.want)
		}
	}
	for _, c := range []struct{ env, want string }{
		{"SAGEMAKER_MODEL_SERVER_TIMEOUT=2.5", "2.5s"},
		{"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=3", "3s"},
	} {
		if got := parse([]string{"SAGEMAKER_MODEL_SERVER_TIMEOUT=60", c.env}).Timeout.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.env, got, c.want)
		}
	}
	for _, level := range []string{"10", "debug", "DEBUG"} {
		if got := parse([]string{"SAGEMAKER_CONTAINER_LOG_LEVEL=" + level}).LogLevel; got != zap.DebugLevel {
			t.Errorf("level %s is %v", level, got)
		}
	}
}
