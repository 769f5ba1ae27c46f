//go:build race

package clary_test

// The programs under test are built with the race detector when the tests are.
const raceEnabled = true
