package clary_test

import (
	"regexp"
	"strings"
	"testing"
)

// Ids are made of the object's name and the record's number: a second run
// gives the same, and none is there twice.
func TestTransformGeneratesInferenceIDs(t *testing.T) {
	in := t.TempDir()
	rows := strings.Join(irisRows(50, 7), "\n") + "\n"
	writeFile(t, in+"/a.csv", rows)
	writeFile(t, in+"/b.csv", rows)
	column := regexp.MustCompile(`^([^,]+,.*),([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}),(\d{4}-\d\d-\d\dT[0-9:.]+Z)$`)
	run := func() (ids []string) {
		out, plain := t.TempDir(), t.TempDir()
		job := func(to string, more ...string) []string {
			return irisJob(in, to, append([]string{"--assemble-with", "Line"}, more...)...)
		}
		transformed(t, nil, job(out, "--generate-inference-id")...)
		transformed(t, nil, job(plain)...)
		for _, name := range []string{"a.csv.out", "b.csv.out"} {
			want := strings.Split(readFile(t, plain+"/"+name), "\n")
			for i, line := range strings.Split(strings.TrimSuffix(readFile(t, out+"/"+name), "\n"), "\n") {
				m := column.FindStringSubmatch(line)
				if m == nil || m[1] != want[i] {
					t.Fatalf("%s line %d: %q, want %q with an id and a time", name, i, line, want[i])
				}
				ids = append(ids, m[2])
			}
		}
		return ids
	}
	first, second := run(), run()
	seen := map[string]bool{}
	for i, id := range first {
		if seen[id] || second[i] != id {
			t.Errorf("record %d: %s, then %s", i, id, second[i])
		}
		seen[id] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d ids", len(seen))
	}
}
