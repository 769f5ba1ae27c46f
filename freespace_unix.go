//go:build unix

package clary

import (
	"cmp"
	"os"

	"golang.org/x/sys/unix"
)

// freeSpace returns how many bytes may still be written below dir, or below
// the folder of temporary files where it is empty or not there yet.
func freeSpace(dir string) int64 {
	var st unix.Statfs_t
	for _, at := range []string{cmp.Or(dir, os.TempDir()), os.TempDir()} {
		if unix.Statfs(at, &st) == nil {
			return int64(st.Bavail) * int64(st.Bsize)
		}
	}
	return 16 << 30 // nobody says; a full disk is an error of its own
}
