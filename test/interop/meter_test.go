package interop

import (
	"context"
	"net/http"
	"sync/atomic"
)

// meter is a transport that counts the requests on their way to the network: all of them, and those of one call.
type meter struct {
	base  http.RoundTripper
	total atomic.Int64
}

type costKey struct{}

// withCost returns a context for one call, and the number of requests that it has cost.
func withCost(ctx context.Context) (context.Context, *atomic.Int64) {
	cost := new(atomic.Int64)
	return context.WithValue(ctx, costKey{}, cost), cost
}

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	m.total.Add(1)
	if cost, ok := req.Context().Value(costKey{}).(*atomic.Int64); ok {
		cost.Add(1)
	}
	return m.base.RoundTrip(req)
}
