package clary

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// releaseCode unmaps the code that has run so far, most of it for the last
// time: the start touches nearly all of the binary's and much of ONNX
// Runtime's. What is called again comes back from the page cache, 64 KB at a
// time. It fails silently: nothing depends on it.
func releaseCode() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var start, end uintptr
		var mode string
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &start, &end, &mode); n < 3 {
			continue
		}
		// Code of a file is never written to, so nothing is lost.
		if mode == "r-xp" && strings.Contains(lines.Text(), " /") {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED)
		}
	}
}
