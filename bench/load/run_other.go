//go:build !linux

package load

import "errors"

// Run needs Linux.
func Run(Spec) (Result, error) {
	return Result{}, errors.New("load: it works on Linux, by epoll")
}
