//go:build !linux

package clary

// inBackground runs f; priorities of single threads are Linux's.
func inBackground(f func()) { f() }
