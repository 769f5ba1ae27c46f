package store

import "time"

// SetPatience changes how long an S3 store waits for the next bytes.
func SetPatience(s Store, d time.Duration) { s.(*S3).patience = d }
