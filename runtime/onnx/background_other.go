//go:build !linux

package onnx

// Background runs f; priorities of single threads are Linux's.
func Background(_ bool, f func()) { f() }
