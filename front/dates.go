package front

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dates are the values of the Date header.
var dates dateText

// dateText is the text of a second, made once for all replies of it.
type dateText struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64
	text   string
}

func (d *dateText) of(t time.Time) string {
	second := t.Unix()
	if last := d.last.Load(); last != nil && last.second == second {
		return last.text
	}
	made := &dated{second, t.UTC().Format(http.TimeFormat)}
	d.last.Store(made)
	return made.text
}
