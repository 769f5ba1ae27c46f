//go:build !linux

package clary

// calmMonitor does nothing: priorities of single threads are Linux's.
func calmMonitor() {}
