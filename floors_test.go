package clary_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/claryhq/clary"

// floors says what each package may import, of ours and of others'; the
// standard library is open to all. An import that is not here fails: imports
// go down only.
var floors = map[string][]string{
	"runtime":       {},
	"runtime/onnx":  {"runtime", "github.com/yalue/onnxruntime_go", "google.golang.org/protobuf/encoding/protowire", "golang.org/x/sys/unix"},
	"runtime/gpu":   {"runtime", "github.com/NVIDIA/go-nvml/pkg/nvml"},
	"runtime/batch": {"runtime"},
	"codec": {"runtime", "github.com/klauspost/compress/s2", "github.com/klauspost/compress/zstd", "golang.org/x/image/webp",
		"google.golang.org/protobuf/encoding/protowire"},
	"artifact": {"go.yaml.in/yaml/v3", "github.com/agnivade/levenshtein"},
	"artifact/store": {"artifact", "golang.org/x/sys/unix", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/aws/transport/http",
		"github.com/aws/aws-sdk-go-v2/config", "github.com/aws/aws-sdk-go-v2/service/s3", "github.com/aws/aws-sdk-go-v2/service/s3/types"},
	"artifact/store/storetest": {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/credentials", "github.com/aws/aws-sdk-go-v2/service/s3"},
	"handler/post":             {"runtime"},
	"handler":                  {"runtime", "codec", "artifact", "gorgonia.org/tensor", "go4.org/unsafe/assume-no-moving-gc"},
	"front":                    {},
	"mme":                      {},
	"pipeline":                 {"handler", "codec", "artifact", "runtime"},
	"transform":                {"artifact/store", "golang.org/x/sys/unix", "github.com/theory/jsonpath", "github.com/theory/jsonpath/spec"},
	"": {"runtime", "runtime/batch", "runtime/gpu", "runtime/onnx", "codec", "artifact", "artifact/store", "front", "handler", "handler/post", "mme", "pipeline", "transform", "golang.org/x/sys/unix",
		"github.com/go-chi/chi/v5", "github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/collectors",
		"github.com/prometheus/client_golang/prometheus/promhttp", "go.uber.org/zap", "go.uber.org/zap/zapcore"},
	"cmd/serve":            {"", "handler"},
	"examples/iris":        {"", "handler"},
	"examples/transformfn": {"", "handler", "runtime"},
	"bench": {"", "handler", "codec", "artifact", "mme", "pipeline", "runtime", "runtime/onnx", "bench/load", "bench/networks", "bench/process",
		"github.com/go-chi/chi/v5",
		"github.com/yalue/onnxruntime_go", "golang.org/x/sys/unix", "google.golang.org/protobuf/encoding/protowire"},
}

func TestFloors(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := ours(p.ImportPath)
		allowed, known := floors[name]
		if !known && strings.HasPrefix(name, "bench/") {
			allowed, known = floors["bench"], true
		}
		if !known {
			t.Errorf("package %s has no floor: put it into the house's table and here", p.ImportPath)
			continue
		}
		seen[name] = true
		for _, path := range p.Imports {
			if !strings.Contains(strings.Split(path, "/")[0], ".") { // the standard library, and "C"
				continue
			}
			if !slices.Contains(allowed, ours(path)) {
				t.Errorf("%s imports %s, which its floor does not allow", p.ImportPath, path)
			}
		}
	}
	for name := range floors {
		if !seen[name] && name != "bench" {
			t.Errorf("there is no package %q", name)
		}
	}
}

// ours strips the module's path: "" is the root package.
func ours(path string) string {
	if path == module {
		return ""
	}
	return strings.TrimPrefix(path, module+"/")
}
