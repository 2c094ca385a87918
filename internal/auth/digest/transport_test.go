package digest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// roundTrip sends a request over a real connection and returns its status and body.
func roundTrip(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if !assert.NoError(t, err) {
		return 0, ""
	}
	resp, err := client.Do(req)
	if !assert.NoError(t, err) {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	return resp.StatusCode, string(text)
}

func newClient(t *testing.T, origin string) (*http.Client, *Transport) {
	t.Helper()
	base := &http.Transport{MaxIdleConnsPerHost: 50}
	t.Cleanup(base.CloseIdleConnections)
	transport := newTransport(t, origin, base)
	return &http.Client{Transport: transport}, transport
}

// Each form of a challenge, against a server that verifies the credentials.
func TestForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, format                  string
		realm, algorithm, qop, opaque string
	}{
		{"as recorded", `Digest realm="MMS Public API", domain="", nonce="%s", algorithm=MD5, qop="auth", stale=false`,
			"MMS Public API", "MD5", "auth", ""},
		{"as documented", `Digest realm="MMS Public API", domain="", nonce="%s", algorithm=MD5, op="auth", stale=false`,
			"MMS Public API", "MD5", "", ""},
		{"RFC 2069", `Digest realm="r", nonce="%s", opaque="o"`, "r", "", "", "o"},
		{"SHA-256", `Digest realm="r", nonce="%s", algorithm=SHA-256, qop="auth,auth-int"`, "r", "SHA-256", "auth", ""},
		{"SHA-512-256", `Digest realm="r", nonce="%s", algorithm=sha-512-256, qop=auth`, "r", "sha-512-256", "auth", ""},
		{"no algorithm", `Digest realm="r", nonce="%s", qop="auth", opaque="\"\\"`, "r", "", "auth", `"\`},
		{"no realm", `Digest nonce="%s", algorithm=MD5, qop="auth", opaque=""`, "", "MD5", "auth", ""},
		{"no quotes", `Digest realm=r, nonce=%s, algorithm=MD5, qop=auth, opaque=o==`, "r", "MD5", "auth", "o=="},
		{"several in a line", `Basic realm="b", Digest realm="w", nonce="w", Digest realm="r, s", nonce="%s", algorithm=SHA-256, qop="auth"`,
			"r, s", "SHA-256", "auth", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode("n")
			n.format, n.realm, n.algorithm, n.qop, n.opaque = tt.format, tt.realm, tt.algorithm, tt.qop, tt.opaque
			url := serve(t, n)
			client, transport := newClient(t, url)
			for _, method := range []string{"GET", "POST", "GET", "PUT", "DELETE", "GET"} {
				status, _ := roundTrip(t, client, method, url+"/a%20b?x=%22&y=,", map[bool]string{true: "body"}[method == "POST"])
				assert.Equal(t, 200, status, method)
			}
			assert.Empty(t, n.rejected)
			assert.Equal(t, 10, n.requests, "one more than reads, and two for each change")
			assert.True(t, transport.Accepted())
		})
	}
}

// Over real connections, 50 concurrent reads need one challenge, and no count is used twice. Changes do not disturb them.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	for _, maxUses := range []int{0, 7} {
		t.Run(fmt.Sprint("nonces for ", maxUses), func(t *testing.T) {
			t.Parallel()
			n := newNode("n")
			n.maxUses = maxUses
			url := serve(t, n)
			client, _ := newClient(t, url)
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					for range 10 {
						status, _ := roundTrip(t, client, "GET", url, "")
						assert.Equal(t, 200, status)
					}
					if i%10 == 0 {
						status, _ := roundTrip(t, client, "POST", url, "body")
						assert.Equal(t, 200, status)
					}
				})
			}
			wg.Wait()
			assert.Empty(t, n.rejected)
			if maxUses == 0 {
				assert.Equal(t, 500+1+2*5, n.requests)
				assert.Len(t, n.nonces["n1=="], 500)
			}
		})
	}
}

// Two nodes that know only their own nonces take turns by connection. A client that uses its connections again gets
// through, and so does one with a new connection for each request where a cookie leads to the node.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	for _, cookies := range []bool{false, true} {
		for _, jar := range []bool{false, true} {
			t.Run(fmt.Sprintf("cookies %t, jar %t", cookies, jar), func(t *testing.T) {
				t.Parallel()
				a, b := newNode("a"), newNode("b")
				url := serve(t, a, b)
				client, transport := newClient(t, url)
				if cookies {
					a.cookie, b.cookie = "node=a", "node=b"
					transport.base.(*http.Transport).DisableKeepAlives = true
				}
				if jar {
					var err error
					client.Jar, err = cookiejar.New(nil)
					require.NoError(t, err)
				}
				for range 5 {
					for _, method := range []string{"GET", "POST", "GET", "DELETE"} {
						status, _ := roundTrip(t, client, method, url, map[bool]string{true: "body"}[method == "POST"])
						assert.Equal(t, 200, status, method)
					}
					if !cookies {
						transport.base.(*http.Transport).CloseIdleConnections() // and so on to the other node
					}
				}
				assert.NotContains(t, slices.Concat(a.rejected, b.rejected), "a body without credentials")
				if cookies {
					assert.Empty(t, slices.Concat(a.rejected, b.rejected))
				}
			})
		}
	}
}

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
	assert.False(t, transport.Accepted())
	call(t, transport, "POST", "body")
	assert.Empty(t, transport.Explain(basic))
	assert.True(t, transport.Accepted())
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

// endless is the body of a challenge that never ends.
type endless struct{ ctx context.Context }

func (b endless) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (endless) Close() error { return nil }

func TestChallengeWhoseBodyNeverEnds(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		synctest.Test(t, func(t *testing.T) {
			transport := newTransport(t, testOrigin, roundTripFunc(func(req *http.Request) (*http.Response, error) {
				body := endless{req.Context()}
				return &http.Response{StatusCode: 401, Header: header(challenged("a").challenge), Body: body}, req.Context().Err()
			}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, method, testOrigin, nil)
			require.NoError(t, err)
			_, err = transport.RoundTrip(req)
			assert.ErrorIs(t, err, context.DeadlineExceeded, method)
		})
	}
}
