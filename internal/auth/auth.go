// Package auth is what transports that authenticate requests have in common: the origin that their credentials are
// limited to, the mark on requests that only serve to obtain credentials, and the handling of requests and responses
// that are used more than once.
//
// It knows neither credentials nor ways to authenticate. The rooms below it do.
package auth

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Origin is what credentials are limited to: scheme, host and port.
type Origin struct{ scheme, host, port string }

// OriginOf returns the origin of a URL. Default ports need not be written, and the case of scheme and host does not
// matter.
func OriginOf(u *url.URL) Origin {
	o := Origin{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port()}
	if o.port != "" {
		return o
	}
	switch o.scheme {
	case "http":
		o.port = "80"
	case "https":
		o.port = "443"
	}
	return o
}

// Concerns reports whether a request goes to the origin and has no credentials yet.
func (o Origin) Concerns(req *http.Request) bool {
	if req.URL == nil || OriginOf(req.URL) != o {
		return false
	}
	_, has := req.Header["Authorization"]
	return !has
}

type negotiationKey struct{}

// WithNegotiation marks the context of a request that is sent only to obtain credentials for another one.
func WithNegotiation(ctx context.Context) context.Context {
	return context.WithValue(ctx, negotiationKey{}, true)
}

// IsNegotiation reports whether a request with this context is one that a transport sends to its base only to obtain
// credentials, so that nothing of the caller's request is carried out with it.
func IsNegotiation(ctx context.Context) bool {
	return ctx.Value(negotiationKey{}) != nil
}

// CloneHeader copies a header. The copy is never nil.
func CloneHeader(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	return h.Clone()
}

// HasBody reports whether a request has a body.
func HasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// Rewound returns the body for another attempt of a request, and reports whether there can be one. If not, the caller
// should get the response that called for the attempt: it says that the request was not carried out.
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

// MaxDrain is how much of a response that nobody will read is read so that its connection can be used again.
const MaxDrain = 64 << 10

// Discard gives back the connection of a response that nobody will read.
func Discard(resp *http.Response) {
	if resp.Body == nil {
		return
	}
	// Nobody needs the body, so its errors do not matter.
	_, _ = io.CopyN(io.Discard, resp.Body, MaxDrain)
	_ = resp.Body.Close()
}
