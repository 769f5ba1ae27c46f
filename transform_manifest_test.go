package clary_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/claryhq/clary/artifact/store/storetest"
)

// The pods of deploy/kubernetes/transform/job.yaml, as Kubernetes starts them,
// take all objects of a data set, each of them one.
func TestTheIndexedJobSharesADataSet(t *testing.T) {
	m := readManifest(t, "transform/job.yaml")
	for path, want := range map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "spec.completionMode": "Indexed", "spec.parallelism": m.at("spec.completions"), pod + "restartPolicy": "Never",
		ctr + "env.0.name": "JOB_COMPLETIONS", ctr + "env.0.value": fmt.Sprint(m.at("spec.completions")),
	} {
		if got := m.at(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	server := storetest.Start(t, "my-bucket")
	env := server.Env()
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	var want []string
	for i := range 10 {
		name := fmt.Sprintf("%02d.csv", i)
		row := setosaRow + "\n"
		if err := openStore(t, "s3://my-bucket/iris/in").Put(t.Context(), name, strings.NewReader(row), int64(len(row))); err != nil {
			t.Fatal(err)
		}
		want = append(want, name+".out")
	}
	var args []string
	for _, arg := range m.at(ctr + "args").([]any) {
		args = append(args, arg.(string))
	}
	objects := 0
	for i := range m.at("spec.completions").(int) {
		cmd := program(t, "serve", append(env, "TMPDIR="+t.TempDir(), "SM_MODEL_DIR="+iris, fmt.Sprintf("JOB_COMPLETION_INDEX=%d", i),
			"JOB_COMPLETIONS="+m.at(ctr+"env.0.value").(string)), args...)
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("pod %d: %v: %s", i, err, said)
		}
		n := 0
		_, _ = fmt.Sscanf(string(said), "%d objects", &n) // 0 is not enough
		objects += n
	}
	var got []string
	for o, err := range openStore(t, "s3://my-bucket/iris/out").List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Name)
	}
	if objects != len(want) || !slices.Equal(got, want) {
		t.Errorf("the pods took %d objects of %d; there is %v", objects, len(want), got)
	}
	// The index alone does not say how many there are.
	if code, said := transform(t, []string{"JOB_COMPLETION_INDEX=1"}, irisJob(t.TempDir(), t.TempDir())...); code != 2 || !strings.Contains(said, "JOB_COMPLETIONS") {
		t.Errorf("%d, %s", code, said)
	}
}
