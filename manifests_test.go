package clary_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claryhq/clary"
	"go.yaml.in/yaml/v3"
)

// The manifests of deploy/kubernetes are held against the server that they
// deploy.
const (
	pod = "spec.template.spec."
	ctr = pod + "containers.0."
)

// A manifest is a parsed YAML file.
type manifest struct {
	t    *testing.T
	name string
	root any
}

func readManifest(t *testing.T, name string) manifest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("deploy/kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	m := manifest{t: t, name: name}
	if err := yaml.Unmarshal(text, &m.root); err != nil {
		t.Fatal(err)
	}
	return m
}

// at returns what lies at a path of keys and indices.
func (m manifest) at(path string) any {
	m.t.Helper()
	v := m.root
	for key := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				m.t.Fatalf("%s has no %s", m.name, path)
			}
			v = in[i]
		default:
			m.t.Fatalf("%s has no %s", m.name, path)
		}
	}
	if v == nil {
		m.t.Fatalf("%s has no %s", m.name, path)
	}
	return v
}

func TestThePodIsLockedDownAndBounded(t *testing.T) {
	d := readManifest(t, "deployment.yaml")
	for path, want := range map[string]any{
		pod + "enableServiceLinks":                       false,
		pod + "automountServiceAccountToken":             false,
		pod + "terminationGracePeriodSeconds":            30,
		pod + "securityContext.runAsNonRoot":             true,
		ctr + "securityContext.readOnlyRootFilesystem":   true,
		ctr + "securityContext.allowPrivilegeEscalation": false,
		ctr + "args":                                      []any{"serve"},
		ctr + "volumeMounts.0.mountPath":                  "/opt/ml/model",
		ctr + "volumeMounts.0.readOnly":                   true,
		ctr + "volumeMounts.1.mountPath":                  "/tmp",
		ctr + "readinessProbe.httpGet.path":               "/ping",
		ctr + "startupProbe.httpGet.path":                 "/ping",
		pod + "initContainers.0.volumeMounts.0.mountPath": "/opt/ml/model",
	} {
		if got := d.at(path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if user := d.at(pod + "securityContext.runAsUser").(int); user == 0 {
		t.Error("the pod runs as root")
	}
	for _, path := range []string{"resources.requests.cpu", "resources.requests.memory", "resources.limits.memory"} {
		d.at(ctr + path)
	}
	volumes := map[any]bool{}
	for _, v := range d.at(pod + "volumes").([]any) {
		volumes[v.(map[string]any)["name"]] = true
	}
	for _, path := range []string{ctr + "volumeMounts.0.name", ctr + "volumeMounts.1.name", pod + "initContainers.0.volumeMounts.0.name"} {
		if name := d.at(path); !volumes[name] {
			t.Errorf("%s is %v, which is no volume", path, name)
		}
	}
}

func TestTheServiceFindsThePods(t *testing.T) {
	d, s := readManifest(t, "deployment.yaml"), readManifest(t, "service.yaml")
	labels := d.at("spec.template.metadata.labels")
	for name, selector := range map[string]any{"service": s.at("spec.selector"), "deployment": d.at("spec.selector.matchLabels")} {
		if !reflect.DeepEqual(selector, labels) {
			t.Errorf("the %s selects %v, the pods are %v", name, selector, labels)
		}
	}
	port := d.at(ctr + "ports.0.name")
	for name, target := range map[string]any{"service": s.at("spec.ports.0.targetPort"), "startup probe": d.at(ctr + "startupProbe.httpGet.port"), "readiness probe": d.at(ctr + "readinessProbe.httpGet.port")} {
		if target != port {
			t.Errorf("the %s goes to port %v, the pods have %v", name, target, port)
		}
	}
	listed := readManifest(t, "kustomization.yaml").at("resources").([]any)
	if found, err := filepath.Glob("deploy/kubernetes/*.yaml"); err != nil || len(found) != len(listed)+1 {
		t.Errorf("kustomization.yaml lists %v of %v (%v)", listed, found, err)
	}
}

// The manifest's environment is one that the server takes, and what it says of
// ports, paths and times is what the server does.
func TestTheServerIsWhatTheManifestSays(t *testing.T) {
	d := readManifest(t, "deployment.yaml")
	var env []string
	for _, e := range d.at(ctr + "env").([]any) {
		e := e.(map[string]any)
		env = append(env, fmt.Sprintf("%v=%v", e["name"], e["value"]))
	}
	cfg, err := clary.ParseConfig(nil, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.at(ctr + "ports.0.containerPort"); got != cfg.Port {
		t.Errorf("the container's port is %v, the server's %d", got, cfg.Port)
	}
	if got := d.at(ctr + "volumeMounts.0.mountPath"); got != cfg.Model {
		t.Errorf("the model is mounted at %v, the server looks at %s", got, cfg.Model)
	}
	stop := time.Duration(d.at(ctr+"lifecycle.preStop.sleep.seconds").(int))*time.Second + cfg.DrainTimeout
	if grace := time.Duration(d.at(pod+"terminationGracePeriodSeconds").(int)) * time.Second; stop >= grace {
		t.Errorf("stopping may take %v, and Kubernetes kills after %v", stop, grace)
	}
	start := time.Duration(d.at(ctr+"startupProbe.periodSeconds").(int)*d.at(ctr+"startupProbe.failureThreshold").(int)) * time.Second
	if start < cfg.StartupTimeout {
		t.Errorf("Kubernetes waits %v for the start, the server takes up to %v", start, cfg.StartupTimeout)
	}

	annotations := d.at("spec.template.metadata.annotations").(map[string]any)
	if got := annotations["prometheus.io/port"]; got != strconv.Itoa(cfg.Port) {
		t.Errorf("metrics are scraped at port %v, the server's is %d", got, cfg.Port)
	}
	p := launch(t, "serve", env, "serve", "testdata/models/iris")
	p.eventually(http.StatusOK, d.at(ctr+"startupProbe.httpGet.path").(string))
	for _, path := range []any{d.at(ctr + "readinessProbe.httpGet.path"), annotations["prometheus.io/path"]} {
		if a := p.get(path.(string)); a.status != http.StatusOK {
			t.Errorf("%v answers %d", path, a.status)
		}
	}
}
