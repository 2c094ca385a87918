// Package auth contains what the transports that authenticate requests share: the origin that their credentials are
// limited to, the mark on requests that only obtain credentials, a text that does not print, and small helpers for
// requests and responses.
package auth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Origin is what credentials are limited to: scheme, host and port.
type Origin struct{ scheme, host, port string }

// OriginOf returns the origin of a URL. Default ports may be left out, and the case of scheme and host does not matter.
func OriginOf(u *url.URL) Origin {
	o := Origin{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port()}
	switch {
	case o.port != "":
	case o.scheme == "http":
		o.port = "80"
	case o.scheme == "https":
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

// WithNegotiation marks the context of a request that only obtains credentials for another one.
func WithNegotiation(ctx context.Context) context.Context {
	return context.WithValue(ctx, negotiationKey{}, true)
}

// IsNegotiation reports whether a request with this context only obtains credentials: it has none itself and no body.
func IsNegotiation(ctx context.Context) bool { return ctx.Value(negotiationKey{}) != nil }

// CloneHeader copies a header. The copy is never nil.
func CloneHeader(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	return h.Clone()
}

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

// Hidden is a secret text that fmt does not print. The text is behind a pointer because fmt ignores the Format method of
// values in unexported fields, and prints the address there.
type Hidden struct{ text *string }

// Hide returns the text as one that does not print.
func Hide(text string) Hidden { return Hidden{&text} }

// Reveal returns the text, which is empty for the zero value.
func (h Hidden) Reveal() string {
	if h.text == nil {
		return ""
	}
	return *h.text
}

// Format writes [REDACTED] for every verb.
func (Hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[REDACTED]") }
