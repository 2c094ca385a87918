// Package auth contains what the transports that authenticate requests share: which requests their
// credentials are for, the mark on requests that only obtain credentials, a text that does not print, and small helpers for
// requests and responses.
package auth

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// Concerns reports whether a request goes to an origin, written as the client writes it, and has no credentials yet.
func Concerns(origin *url.URL, req *http.Request) bool {
	if req.URL == nil || req.URL.Scheme != origin.Scheme || req.URL.Host != origin.Host {
		return false
	}
	_, has := req.Header["Authorization"]
	return !has && req.Header != nil
}

type negotiationKey struct{}

// WithNegotiation marks the context of a request that only obtains credentials for another one.
func WithNegotiation(ctx context.Context) context.Context {
	return context.WithValue(ctx, negotiationKey{}, true)
}

// IsNegotiation reports whether a request with this context only obtains credentials: it has none itself and no body.
func IsNegotiation(ctx context.Context) bool { return ctx.Value(negotiationKey{}) != nil }

// HasBody reports whether a request has a body.
func HasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// Rewound returns the body for another attempt of a request, and reports whether there can be one.
func Rewound(req *http.Request) (io.ReadCloser, bool) {
	if !HasBody(req) {
		return req.Body, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

// maxDrain is how much of a response that will not be used is read so that its connection can be used again.
const maxDrain = 64 << 10

// Discard reads at most 64 KiB of a response that will not be used, and closes it, so that its connection can be used
// again. A body that does not end is read until the context of its request ends.
func Discard(resp *http.Response) {
	if resp.Body == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain) // errors of a body that is not used do not matter
	_ = resp.Body.Close()
}
