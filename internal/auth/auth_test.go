package auth

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConcerns(t *testing.T) {
	t.Parallel()
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		require.NoError(t, err)
		return u
	}
	origin := parse("https://atlas.example")
	for target, want := range map[string]bool{
		"https://atlas.example/a": true, "HTTPS://atlas.example/a": true,
		"http://atlas.example/a": false, "https://atlas.example:444/": false, "https://b.example/": false, "": false,
	} {
		assert.Equal(t, want, Concerns(origin, &http.Request{URL: parse(target), Header: http.Header{}}), target)
	}
	assert.False(t, Concerns(origin, &http.Request{Header: http.Header{}}))
	assert.False(t, Concerns(origin, &http.Request{URL: origin}), "net/http rejects a request without headers")
	assert.False(t, Concerns(origin, &http.Request{URL: origin, Header: http.Header{"Authorization": {"x"}}}))
}

func TestIsNegotiation(t *testing.T) {
	t.Parallel()
	assert.False(t, IsNegotiation(t.Context()))
	assert.True(t, IsNegotiation(WithNegotiation(t.Context())))
}

func TestRewound(t *testing.T) {
	t.Parallel()
	body := func() io.ReadCloser { return io.NopCloser(strings.NewReader("body")) }
	for name, tc := range map[string]struct {
		req  http.Request
		want bool
	}{
		"no body":           {http.Request{}, true},
		"an empty body":     {http.Request{Body: http.NoBody}, true},
		"readable again":    {http.Request{Body: body(), GetBody: func() (io.ReadCloser, error) { return body(), nil }}, true},
		"not again":         {http.Request{Body: body()}, false},
		"it fails to again": {http.Request{Body: body(), GetBody: func() (io.ReadCloser, error) { return nil, errors.New("no") }}, false},
	} {
		_, ok := Rewound(&tc.req)
		assert.Equal(t, tc.want, ok, name)
	}
}

// endless is a body that never ends.
type endless struct{ read, closed int }

func (b *endless) Read(p []byte) (int, error) {
	b.read += len(p)
	return len(p), nil
}

func (b *endless) Close() error {
	b.closed++
	return nil
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	Discard(&http.Response{})
	body := new(endless)
	Discard(&http.Response{Body: body})
	assert.Equal(t, maxDrain, body.read, "only the beginning of an endless body is read")
	assert.Equal(t, 1, body.closed)
}
