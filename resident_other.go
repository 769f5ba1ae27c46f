//go:build !linux

package clary

// residentBytes returns what the process has of memory; ok is false where
// nobody says.
func residentBytes() (n int64, ok bool) { return 0, false }

// mostResidentBytes returns the most memory that the process has had; ok is
// false where nobody says.
func mostResidentBytes() (n int64, ok bool) { return 0, false }
