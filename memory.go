package clary

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// An amount of memory or disk is a number of bytes, or a share of what there
// is. The zero value says nothing.
type amount struct {
	bytes int64
	share float64 // 0 to 1
}

var units = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"B", 1}, {"", 1},
}

// parseAmount reads 512MiB, 2G, 80% or bytes, as Kubernetes and people write
// them.
func parseAmount(v string) (amount, error) {
	wrong := errors.New("want bytes, with a unit if you like, such as 512MiB or 2G, or a share such as 80%")
	number := strings.TrimRight(v, "BKMGTibgkmt% ")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return amount{}, wrong
	}
	unit := strings.TrimSpace(v[len(number):])
	if unit == "%" {
		if n > 100 {
			return amount{}, wrong
		}
		return amount{share: n / 100}, nil
	}
	for _, u := range units {
		if strings.EqualFold(unit, u.name) && n*u.size < math.MaxInt64/2 {
			return amount{bytes: int64(n * u.size)}, nil
		}
	}
	return amount{}, wrong
}

// of returns the amount, where all is what there is.
func (a amount) of(all int64) int64 {
	if a.share > 0 {
		return int64(a.share * float64(all))
	}
	return a.bytes
}

// memoryLimit returns how much memory this process may take, and who says so:
// the smallest limit of its control group and of those above it, of either
// version, else the machine's memory. root is where proc and sys are.
func memoryLimit(root string) (limit int64, from string, err error) {
	if limit, err = machineMemory(root); err != nil {
		return 0, "", err
	}
	from = "the machine's memory"
	for _, file := range groupLimits(root) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // this group has no such file, or is not to be seen from here
		}
		// "max", or in version 1 nearly 2^63, is none.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n < limit {
			limit, from = n, strings.TrimPrefix(file, root)
		}
	}
	return limit, from, nil
}

// groupLimits lists the files that may hold a limit, from the process's own
// group upwards. In a container the path in /proc/self/cgroup may be the
// host's, of which only the container's own group is mounted, as the top.
func groupLimits(root string) (files []string) {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		top, name := "", ""
		switch {
		case fields[0] == "0" && fields[1] == "":
			top, name = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+fields[1]+",", ",memory,"):
			top, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			files = append(files, filepath.Join(root, top, group, name))
			if group == "/" {
				break
			}
		}
	}
	return files
}

func machineMemory(root string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0, err
	}
	kb, err := statusLine(string(text), "MemTotal")
	if err != nil {
		return 0, fmt.Errorf("/proc/meminfo: %w", err)
	}
	return kb << 10, nil
}

// statusLine returns the number after "key:" in a file of such lines.
func statusLine(text, key string) (int64, error) {
	_, rest, ok := strings.Cut("\n"+text, "\n"+key+":")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, fmt.Errorf("it has no %s", key)
	}
	return strconv.ParseInt(fields[0], 10, 64)
}

// leastReserve is what is kept free of models at the least: request bodies,
// replies, and what Runs take.
const leastReserve = 64 << 20

// memoryBudget is what models may take: what was asked for, else the limit
// less what the process takes already and a tenth, at least leastReserve.
func memoryBudget(asked amount, limit, resident int64) int64 {
	if asked != (amount{}) {
		return asked.of(limit)
	}
	return max(limit-resident-max(limit/10, leastReserve), 0)
}
