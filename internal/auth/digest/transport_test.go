package digest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Requests to other origins, and with credentials, are not this package's.
func TestForeignRequestsPassUnchanged(t *testing.T) {
	t.Parallel()
	var got []*http.Request
	transport := newTransport(t, testOrigin, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		got = append(got, req)
		return &http.Response{StatusCode: 401, Header: header(`Digest realm="r", nonce="n"`), Body: http.NoBody}, nil
	}))
	for _, url := range []string{"http://atlas.example/", "https://atlas.example:8443/", "https://evil.example/", testOrigin} {
		req, err := http.NewRequest("POST", url, strings.NewReader("body"))
		require.NoError(t, err)
		if url == testOrigin {
			req.Header.Set("Authorization", "Bearer token")
		}
		got = nil
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 401, resp.StatusCode)
		assert.Equal(t, []*http.Request{req}, got, url)
	}
	assert.Empty(t, transport.Explain(header(`Digest realm="r", nonce="n"`)))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s := &script{t: t, steps: []step{{status: 401}, challenged("a"), {status: 401}, challenged("b"), {status: 201}}}
	transport := newTransport(t, testOrigin, s)
	basic := header(`Basic realm="r"`)
	call(t, transport, "GET", "")
	assert.Equal(t, "the server offers Basic authentication, but no Digest challenge", transport.Explain(basic))
	assert.Equal(t, "the server offers no Digest challenge", transport.Explain(nil))
	assert.Empty(t, transport.Explain(header(challenged("a").challenge)))
	call(t, transport, "POST", "body") // a missing role: Digest is not to blame
	assert.Empty(t, transport.Explain(nil))
	call(t, transport, "POST", "body")
	assert.Empty(t, transport.Explain(basic))
}

func TestStale(t *testing.T) {
	t.Parallel()
	assert.True(t, Stale(header(stale("a").challenge)))
	assert.True(t, Stale(header(`Basic realm="b"`, `Digest nonce=n, stale="TRUE"`)))
	assert.False(t, Stale(header(challenged("a").challenge)))
	assert.False(t, Stale(header(`Bearer stale=true`)))
	assert.False(t, Stale(nil))
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	s := &script{t: t, steps: []step{challenged("a"), {status: 200}}}
	transport := newTransport(t, testOrigin, s)
	call(t, transport, "GET", "")
	assert.Equal(t, []string{testUsername, testPassword}, transport.Secrets())
	transport.base = nil // the script knows what was sent
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{transport, struct{ t *Transport }{transport}, []any{transport}} {
			printed := fmt.Sprintf(verb, value)
			require.NotEmpty(t, printed)
			for _, secret := range []string{testUsername, testPassword, transport.shared.Load().secret} {
				assert.NotContains(t, printed, secret, verb)
				assert.NotContains(t, printed, fmt.Sprintf("%x", secret), verb)
			}
		}
	}
}
