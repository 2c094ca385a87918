package auth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOrigin(t *testing.T) {
	t.Parallel()
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		require.NoError(t, err)
		return u
	}
	origin := OriginOf(parse("https://Atlas.example"))
	for target, want := range map[string]bool{
		"https://atlas.example/a": true, "HTTPS://atlas.example:443/a": true,
		"http://atlas.example/a": false, "https://atlas.example:444/": false, "https://b.example/": false, "": false,
	} {
		assert.Equal(t, want, origin.Concerns(&http.Request{URL: parse(target)}), target)
	}
	assert.Equal(t, OriginOf(parse("http://a:80")), OriginOf(parse("http://a")))
	assert.False(t, origin.Concerns(&http.Request{}))
	assert.False(t, origin.Concerns(&http.Request{URL: parse("https://atlas.example"), Header: http.Header{"Authorization": {"x"}}}))
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

func TestCloneHeader(t *testing.T) {
	t.Parallel()
	h := http.Header{"A": {"1"}}
	clone := CloneHeader(h)
	clone["A"][0] = "2"
	assert.Equal(t, "1", h.Get("A"))
	assert.NotNil(t, CloneHeader(nil))
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

func TestHidden(t *testing.T) {
	t.Parallel()
	hidden := Hide("hunter2")
	assert.Equal(t, "hunter2", hidden.Reveal())
	assert.Empty(t, Hidden{}.Reveal())
	type unexported struct{ password Hidden }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "[REDACTED]", fmt.Sprintf(verb, hidden), verb)
		for _, value := range []any{&hidden, unexported{hidden}, &unexported{hidden}, []Hidden{hidden}, map[string]Hidden{"k": hidden}} {
			printed := fmt.Sprintf(verb, value)
			assert.NotContains(t, printed, "hunter2", verb)
			assert.NotContains(t, printed, fmt.Sprintf("%x", "hunter2"), verb)
		}
	}
}
