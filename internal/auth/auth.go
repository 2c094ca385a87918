// Package auth contains what the transports that authenticate requests share.
package auth

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// Concerns reports whether a request goes to an origin, written as the client writes it, and has no credentials yet.
func Concerns(origin *url.URL, req *http.Request) bool {
	_, has := req.Header["Authorization"]
	return req.URL != nil && req.URL.Scheme == origin.Scheme && req.URL.Host == origin.Host && req.Header != nil && !has
}

type negotiationKey struct{}

// WithNegotiation marks the context of a request that only obtains credentials for another one.
func WithNegotiation(ctx context.Context) context.Context {
	return context.WithValue(ctx, negotiationKey{}, true)
}

// IsNegotiation reports whether a request with this context only obtains credentials for another one.
func IsNegotiation(ctx context.Context) bool { return ctx.Value(negotiationKey{}) != nil }

// Discard reads the beginning of a response that will not be used, and closes it, so that its connection can be used
// again. A body that does not end is read until the context of its request ends.
func Discard(resp *http.Response) {
	if resp.Body == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // errors of a body that is not used do not matter
	_ = resp.Body.Close()
}

// Unsent marks an error of a request that no connection was handed with its credentials. A transport that makes its own
// error around it without wrapping it takes the mark away, and the request counts as one that may have been sent.
type Unsent struct{ Err error }

func (e *Unsent) Error() string { return e.Err.Error() }
func (e *Unsent) Unwrap() error { return e.Err }

// IsUnsent reports whether err carries the mark. Of joined errors each must carry it: the others may be about a request
// that was sent another way.
func IsUnsent(err error) bool {
	switch e := err.(type) {
	case *Unsent:
		return true
	case interface{ Unwrap() error }:
		return IsUnsent(e.Unwrap())
	case interface{ Unwrap() []error }:
		joined := e.Unwrap()
		return len(joined) > 0 && !slices.ContainsFunc(joined, func(one error) bool { return !IsUnsent(one) })
	default:
		return false
	}
}
