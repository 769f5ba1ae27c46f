package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// answers sends the same images to two servers, one of which runs each alone,
// while many are sent at once: the answers must be the same bytes.
func answers(b *bench) error {
	const model = "testdata/models/digits"
	const images, callers = 64, 32
	on, err := b.clary(model, []string{"CLARY_INTRA_OP_THREADS=1"})
	if err != nil {
		return err
	}
	defer on.stop()
	off, err := b.clary(model, []string{"CLARY_INTRA_OP_THREADS=1", "CLARY_BATCHING=off"})
	if err != nil {
		return err
	}
	defer off.stop()
	pixels := numbers(images * 64)
	bodies := make([][]byte, images)
	for i := range bodies {
		bodies[i] = npy([]int{1, 1, 8, 8}, pixels[i*64:(i+1)*64])
	}
	const rounds = 20
	var spans []span
	var batched [][]byte
	if err := on.watched(&spans, func() (err error) {
		batched, err = on.ask(bodies, rounds, callers)
		return err
	})(); err != nil {
		return err
	}
	alone, err := off.ask(bodies, rounds, callers)
	if err != nil {
		return err
	}
	different := 0
	for i := range alone {
		if !bytes.Equal(alone[i], batched[i]) {
			different++
		}
	}
	b.report(row{What: "digits, batching on and off: answers that differ", Value: fmt.Sprint(different),
		Against: fmt.Sprintf("%d answers, %.1f rows in a batch", len(alone), over(spans, span.batch)), Ratio: float64(different), Limit: 1e-9})
	return nil
}

// ask sends the bodies so many times over and returns the answers in order.
func (s *server) ask(bodies [][]byte, rounds, callers int) ([][]byte, error) {
	answers := make([][]byte, rounds*len(bodies))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < len(answers); i += callers {
				var err error
				if answers[i], err = s.invoke(client, bodies[i%len(bodies)]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return answers, nil
	}
}

func (s *server) invoke(client *http.Client, body []byte) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/invocations", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-npy")
	req.Header.Set("Accept", "application/x-npy")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", s.name, resp.StatusCode, answer)
	}
	return answer, err
}
