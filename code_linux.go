package clary

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// releaseFiles unmaps what was read so far of the files that the process is
// made of, most of it for the last time: the start touches nearly all of the
// binary's code and constants and much of ONNX Runtime's. What is used again
// comes back from the page cache, 64 KB at a time. It fails silently: nothing
// depends on it.
func releaseFiles() {
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var start, end uintptr // of the last mapping of a file that cannot be written to
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		var from, to uintptr
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n == 3 {
			if start, end = 0, 0; (mode == "r-xp" || mode == "r--p") && strings.Contains(line, " /") {
				start, end = from, to
			}
			continue
		}
		// Pages that were never written to: nothing is lost. What the loader has
		// written, before it was made read-only, is anonymous.
		if rest, ok := strings.CutPrefix(line, "Anonymous:"); ok && end > 0 && strings.TrimSpace(rest) == "0 kB" {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED)
		}
	}
}
