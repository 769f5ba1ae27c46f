//go:build !linux

package clary

// releaseCode does nothing here.
func releaseCode() {}
