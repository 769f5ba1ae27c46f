//go:build !race

package clary_test

const raceEnabled = false
