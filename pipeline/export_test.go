package pipeline

import (
	"context"
	"net"
	"net/http"
)

// Dial makes the steps' connections another way.
func (c *Chain) Dial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	for _, client := range []*http.Client{c.client, c.fresh} {
		client.Transport.(*http.Transport).DialContext = dial
	}
}
