package main

import (
	"slices"
)

// interleave runs the contestants in turn, round by round; each round begins
// with another one, so that none always follows the same.
func interleave(rounds int, contestants ...func() error) error {
	for r := range rounds {
		for i := range contestants {
			if err := contestants[(r+i)%len(contestants)](); err != nil {
				return err
			}
		}
	}
	return nil
}

// few is the rounds of what is only reported.
func (b *bench) few() int { return min(b.rounds, 3) }

// median returns the middle of the values.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

// over returns the median of f over the rounds.
func over[T any](rounds []T, f func(T) float64) float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, f(r))
	}
	return median(values)
}

// ratios returns the median over the rounds of f of both.
func ratios[A, B any](as []A, bs []B, f func(A, B) float64) float64 {
	var values []float64
	for i := range as {
		values = append(values, f(as[i], bs[i]))
	}
	return median(values)
}
