package clary_test

import (
	"fmt"
	"sync"
	"testing"
)

// Clients that send different rows in different formats, good and bad, all at
// once, each get the answer to their own request.
func TestManyClientsAtOnceEachGetTheirOwnAnswer(t *testing.T) {
	for _, dir := range []string{iris, "testdata/models/mixed", "testdata/models/digits"} {
		e := readExpected(t, dir)
		p := start(t, "serve", nil, dir)
		var group sync.WaitGroup
		for worker := range 16 {
			group.Go(func() {
				for i := range 40 {
					c := e.Cases[(worker+i)%len(e.Cases)]
					f := forms[(worker*7+i)%len(forms)]
					body, ok := f.body(c.Inputs)
					if !ok {
						continue
					}
					if i%5 == 4 { // cut short, so it fits nothing
						if a, err := p.try(p.request("POST", "/invocations", body[:len(body)/2], "Content-Type", f.contentType)); err != nil || a.status != 400 && a.status != 200 {
							t.Errorf("half a %s: %d %s, %v", f.name, a.status, a.body, err)
						}
						continue
					}
					a, err := p.try(p.request("POST", "/invocations", body, "Content-Type", f.contentType))
					if err == nil && a.status != 200 {
						err = fmt.Errorf("status %d: %s", a.status, a.body)
					}
					if err == nil {
						err = checkReply(f.name, e, c.Outputs, a)
					}
					if err != nil {
						t.Errorf("%s, %s as %s: %v", dir, c.Name, f.name, err)
					}
				}
			})
		}
		group.Wait()
	}
}
