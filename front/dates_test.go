package front

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// Whoever asks for a second gets its text, whatever others ask for meanwhile.
func TestDates(t *testing.T) {
	var d dateText
	var group sync.WaitGroup
	begin := time.Date(2026, 12, 31, 23, 59, 58, 0, time.FixedZone("", 3600))
	for caller := range 4 {
		group.Go(func() {
			for i := range 1000 {
				at := begin.Add(time.Duration(i*(caller+1)) * 300 * time.Millisecond)
				if got, want := d.of(at), at.UTC().Format(http.TimeFormat); got != want {
					t.Errorf("%v: %q, want %q", at, got, want)
				}
			}
		})
	}
	group.Wait()
}
