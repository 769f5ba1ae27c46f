//go:build !linux

package clary

// releaseFiles does nothing here.
func releaseFiles() {}
