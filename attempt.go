package livemigration

import (
	"context"
	"io"
	"net/http"
	"time"
)

// attemptTransport ends an attempt that takes too long. The Timeout of http.Client does the same at the price of two
// goroutines for each request, unless its Transport is net/http's own.
type attemptTransport struct {
	base    http.RoundTripper
	timeout time.Duration
}

func (t *attemptTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil || resp == nil || resp.Body == nil {
		cancel()
		return resp, err
	}
	resp.Body = &boundedBody{resp.Body, cancel}
	return resp, nil
}

// boundedBody is the answer of an attempt, whose time runs until it is closed.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
