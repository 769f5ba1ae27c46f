package artifact

import (
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the known name that a misspelt one most likely means: the
// one with the fewest letters to change, the first of equals, case ignored. It
// is "" when none is near, which is one change for names of up to three
// letters, two for up to eleven, three beyond.
func Nearest(name string, known []string) string {
	best, least := "", 4
	size := utf8.RuneCountInString(name)
	switch {
	case size <= 3:
		least = 2
	case size <= 11:
		least = 3
	}
	for _, k := range known {
		if n := utf8.RuneCountInString(k); max(size-n, n-size) >= least {
			continue // and no table of a megabyte for a name of one
		}
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}
