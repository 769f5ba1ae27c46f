package clary

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const meminfo = "MemTotal:        8000000 kB\nMemFree:         1000 kB\n"

func TestTheSmallestLimitCounts(t *testing.T) {
	const machine = 8000000 << 10
	for name, c := range map[string]struct {
		files map[string]string
		limit int64
		from  string
	}{
		"no group": {map[string]string{}, machine, "the machine's memory"},
		"version 2, in a container": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"},
			512 << 20, "/sys/fs/cgroup/memory.max"},
		"version 2, none": {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, machine, "the machine's memory"},
		"version 2, a parent's": {map[string]string{"proc/self/cgroup": "0::/kubepods/pod1/box\n", "sys/fs/cgroup/kubepods/pod1/box/memory.max": "max\n",
			"sys/fs/cgroup/kubepods/pod1/memory.max": "1073741824\n", "sys/fs/cgroup/kubepods/memory.max": "4294967296\n"},
			1 << 30, "/sys/fs/cgroup/kubepods/pod1/memory.max"},
		"version 1, own": {map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "268435456\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
			256 << 20, "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes"},
		"version 1, the host's path": {map[string]string{"proc/self/cgroup": "4:memory:/docker/abc\n0::/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		"more than the machine has": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999999\n"}, machine, "the machine's memory"},
		"nonsense":                  {map[string]string{"proc/self/cgroup": "x\n0::/\n", "sys/fs/cgroup/memory.max": "much\n"}, machine, "the machine's memory"},
	} {
		t.Run(name, func(t *testing.T) {
			c.files["proc/meminfo"] = meminfo
			limit, from, err := memoryLimit(tree(t, c.files))
			if err != nil || limit != c.limit || from != c.from {
				t.Errorf("%d from %s, %v; want %d from %s", limit, from, err, c.limit, c.from)
			}
		})
	}
	if _, _, err := memoryLimit(tree(t, nil)); err == nil {
		t.Error("a machine without memory has a limit")
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]amount{
		"1": {bytes: 1}, "512MiB": {bytes: 512 << 20}, "512 MiB": {bytes: 512 << 20}, "2G": {bytes: 2e9}, "1.5Gi": {bytes: 3 << 29},
		"3mb": {bytes: 3e6}, "80%": {share: 0.8}, "100%": {share: 1}, "10B": {bytes: 10},
	} {
		if got, err := parseAmount(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "lots", "1Q", "101%", "0%", "MiB", "1e400", "9e18T", "NaN", "1 2"} {
		if got, err := parseAmount(text); err == nil || !strings.Contains(err.Error(), "512MiB") {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

func TestTheBudget(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		asked           amount
		limit, resident int64
		want            int64
	}{
		{amount{}, 512 * mib, 50 * mib, (512 - 50 - 64) * mib},
		{amount{}, 4000 * mib, 100 * mib, (4000 - 100 - 400) * mib},
		{amount{}, 64 * mib, 50 * mib, 0},
		{amount{bytes: 9}, 512 * mib, 50 * mib, 9},
		{amount{share: 0.5}, 512 * mib, 50 * mib, 256 * mib},
	} {
		if got := memoryBudget(c.asked, c.limit, c.resident); got != c.want {
			t.Errorf("%+v of %d with %d resident: %d, want %d", c.asked, c.limit, c.resident, got, c.want)
		}
	}
}

func TestASecondSessionNeedsSpareMemory(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		asked           amount
		limit, resident int64
		fits            bool
	}{
		{amount{}, 512 * mib, 150 * mib, true},
		{amount{}, 512 * mib, 250 * mib, false},
		{amount{bytes: 351 * mib}, 4096 * mib, 150 * mib, true},
		{amount{bytes: 349 * mib}, 4096 * mib, 150 * mib, false},
		{amount{bytes: 4096 * mib}, 512 * mib, 250 * mib, false},
	} {
		if err := spareMemory(100*mib, 250*mib, c.asked, c.limit, c.resident); (err == nil) != c.fits {
			t.Errorf("%+v of %d with %d resident: %v", c.asked, c.limit, c.resident, err)
		}
	}
}

func TestTheLearnerRisesAtOnceAndFallsSlowly(t *testing.T) {
	const mib = 1 << 20
	var l learner
	if got := l.apply(100 * mib); got != 100*mib {
		t.Errorf("before it learned anything: %d", got)
	}
	l.learn(mib, 50*mib) // too small to tell
	l.learn(100*mib, 90*mib)
	if got := l.apply(100 * mib); got != 100*mib {
		t.Errorf("after less than expected, at first: %d", got)
	}
	l.learn(100*mib, 150*mib)
	if got := l.apply(200 * mib); got != 300*mib {
		t.Errorf("after half as much again: %d", got)
	}
	l.learn(100*mib, 70*mib)
	if got := l.apply(100 * mib); got <= 135*mib || got >= 150*mib {
		t.Errorf("after one that took less: %d", got)
	}
	for range 100 {
		l.learn(100*mib, 10*mib)
	}
	if got := l.apply(100 * mib); got < 79*mib || got > 85*mib {
		t.Errorf("after many: %d", got)
	}
}
