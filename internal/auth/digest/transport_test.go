package digest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

func TestNewTransport(t *testing.T) {
	t.Parallel()
	absolute := &url.URL{Scheme: "https", Host: "cloud.mongodb.com"}
	tests := []struct {
		name               string
		origin             *url.URL
		username, password string
		base               http.RoundTripper
		want               string // empty if it succeeds
	}{
		{"good", absolute, "u", "p", http.DefaultTransport, ""},
		{"characters above ASCII", absolute, "Jäsøn", "pässword", http.DefaultTransport, ""},
		{"no origin", nil, "u", "p", http.DefaultTransport, "origin"},
		{"origin without a scheme", &url.URL{Host: "h"}, "u", "p", http.DefaultTransport, "origin"},
		{"origin without a host", &url.URL{Scheme: "http", Path: "/"}, "u", "p", http.DefaultTransport, "origin"},
		{"origin of a port", &url.URL{Scheme: "http", Host: ":80"}, "u", "p", http.DefaultTransport, "origin"},
		{"empty user name", absolute, "", "secret", http.DefaultTransport, "user name"},
		{"empty password", absolute, "secret", "", http.DefaultTransport, "password"},
		{"control character in the user name", absolute, "secret\r\n", "p", http.DefaultTransport, "user name"},
		{"user name in Latin-1", absolute, "secret\xe4", "p", http.DefaultTransport, "user name"},
		{"control character in the password", absolute, "u", "secret\n", http.DefaultTransport, "password"},
		{"no base", absolute, "u", "p", nil, "base"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			transport, err := NewTransport(tt.origin, tt.username, tt.password, tt.base)
			if tt.want == "" {
				require.NoError(t, err)
				require.NotNil(t, transport)
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.Nil(t, transport)
			assert.True(t, strings.HasPrefix(err.Error(), "digest: "))
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestTransportHasNoCloseIdleConnections(t *testing.T) {
	t.Parallel()
	_, ok := any(&Transport{}).(interface{ CloseIdleConnections() })
	assert.False(t, ok, "it would close the connections of concurrent callers")
}

// Every form of the challenge, with requests that can be sent first and requests that have to be probed for.
func TestRoundTripAuthenticates(t *testing.T) {
	t.Parallel()
	servers := map[string]func(*server){
		"as the service":       func(s *server) { s.opaque = "" },
		"as its documentation": asDocumented,
		"RFC 2069":             func(s *server) { s.algorithm, s.qop = "", "" },
		"MD5":                  func(*server) {},
		"MD5-sess":             func(s *server) { s.algorithm = "MD5-sess" },
		"SHA-256":              func(s *server) { s.algorithm = "SHA-256" },
		"SHA-256-sess":         func(s *server) { s.algorithm = "sha-256-SESS" },
		"SHA-512-256":          func(s *server) { s.algorithm = "SHA-512-256" },
		"SHA-512-256-sess":     func(s *server) { s.algorithm = "SHA-512-256-sess" },
		"auth-int":             func(s *server) { s.qop = "auth-int" },
		"auth-int SHA-256":     func(s *server) { s.qop, s.algorithm = "auth-int", "SHA-256" },
		"auth-int SHA-512-256": func(s *server) { s.qop, s.algorithm = "auth-int", "SHA-512-256" },
		"userhash":             func(s *server) { s.userhash, s.username = true, "Jäsøn Doe" },
		"username*":            func(s *server) { s.username, s.password = "Jäsøn Doe", "Sécret" },
		"quotes in the name":   func(s *server) { s.username = `a"b\c` },
		"next nonces":          func(s *server) { s.oneTime, s.maxUses = true, 1 },
		"next nonces -sess":    func(s *server) { s.oneTime, s.qop = true, "auth" },
		"strongest of many":    offerMany,
		"malformed around it":  surround,
		"empty opaque":         offering(`Digest realm="", nonce="%s", algorithm=MD5, qop="auth", opaque=""`),
		"no realm":             offering(`Digest nonce="%s", algorithm=MD5, qop="auth", opaque=`),
		"realm without value":  offering(`Digest realm, nonce="%s", algorithm=MD5, qop="auth", opaque=""`),
		"realm and no value":   offering(`Digest realm=, nonce="%s", algorithm=MD5, qop="auth", opaque=""`),
		"nonce without quotes": offering(`Digest nonce=%s, algorithm=MD5, qop=auth, opaque=""`),
		"parameters twice":     offering(`Digest nonce="%[1]s", algorithm=MD5, qop="auth", opaque="", algorithm="MD5", nonce="%[1]s"`),
	}
	requests := []struct {
		method, body string
		probed       bool
	}{
		{"GET", "", false},
		{"", "", false},
		{"HEAD", "", false},
		{"OPTIONS", "", false},
		{"GET", "a query in a body", true},
		{"POST", `{"password": "hunter2"}`, true},
		{"POST", "", true},
		{"PUT", "", true},
		{"PATCH", "x", true},
		{"DELETE", "", true},
	}
	for name, configure := range servers {
		for _, tt := range requests {
			t.Run(fmt.Sprintf("%s/%s %s", name, tt.method, tt.body), func(t *testing.T) {
				t.Parallel()
				s := newServer()
				configure(s)
				base := &inProcess{handler: s}
				transport := newTransportFor(t, s.username, s.password, base)
				for range 3 {
					req := newRequest(t, "GET", "/api/a%20b?pretty=true&x=%22", tt.body)
					req.Method = tt.method
					status, body := call(t, transport, req)
					require.Equal(t, 200, status)
					require.True(t, strings.HasSuffix(body, tt.body))
				}
				got := s.recorded()
				require.Len(t, got, 4, "one request more than calls")
				assert.Nil(t, got[0].credentials)
				assert.True(t, got[0].negotiation)
				assert.Empty(t, got[0].body)
				if tt.probed {
					assert.Equal(t, "GET", got[0].method)
				}
				for _, r := range got[1:] {
					assert.Empty(t, r.rejection)
					assert.False(t, r.negotiation)
					assert.Equal(t, tt.body, r.body)
				}
				assert.Zero(t, base.openBodies(), "responses nobody reads are closed")
			})
		}
	}
}

// asDocumented prints the challenge with the error that is in the service's documentation.
func asDocumented(s *server) {
	s.qop, s.opaque = "", ""
	s.challenge = func(_ *server, nonce string, stale bool) []string {
		return []string{fmt.Sprintf(
			`Digest realm="MMS Public API", domain="", nonce="%s", algorithm=MD5, op="auth", stale=%t`, nonce, stale)}
	}
}

// offering makes a server send a challenge that is not as it should be, with no realm and an empty opaque.
func offering(format string) func(*server) {
	return func(s *server) {
		s.realm, s.opaque, s.wantsOpaque = "", "", true
		s.noncePrefix = "a+/b=="
		s.challenge = func(_ *server, nonce string, _ bool) []string { return []string{fmt.Sprintf(format, nonce)} }
	}
}

func offerMany(s *server) {
	s.algorithm = "SHA-512-256"
	s.challenge = func(s *server, nonce string, stale bool) []string {
		return []string{
			`Basic realm="MMS Public API"`,
			`Digest realm="weak", nonce="w", algorithm=MD5, qop="auth", ` + s.challengeLine(nonce, stale) + `, Negotiate YII=`,
			`Digest realm="weaker", nonce="w"`,
		}
	}
}

func surround(s *server) {
	s.challenge = func(s *server, nonce string, stale bool) []string {
		return []string{
			`Digest realm`,
			`Digest, Digest realm="r", ` + s.challengeLine(nonce, stale) + `, Digest realm="`,
		}
	}
}

func TestRoundTripLeavesTheRequestAlone(t *testing.T) {
	t.Parallel()
	base := &inProcess{handler: newServer()}
	transport := newTestTransport(t, base)
	for _, method := range []string{"GET", "POST", "GET", "POST"} {
		req := newRequest(t, method, "/", "body")
		req.Header.Set("Accept", "application/json")
		before, header := *req, req.Header.Clone()
		call(t, transport, req)
		assert.Equal(t, header, req.Header)
		req.Body, req.GetBody, before.Body, before.GetBody = nil, nil, nil, nil
		assert.Equal(t, before, *req)
	}
}

func TestRoundTripWithoutHeader(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, &inProcess{handler: newServer()})
	for _, method := range []string{"POST", "GET"} {
		req := newRequest(t, method, "/", "")
		req.Header = nil
		status, _ := call(t, transport, req)
		assert.Equal(t, 200, status)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		origin, url string
		same        bool
	}{
		{"https://cloud.mongodb.com", "https://cloud.mongodb.com/api", true},
		{"https://cloud.mongodb.com", "https://CLOUD.MongoDB.com:443/", true},
		{"HTTPS://Cloud.mongodb.com:443/prefix", "https://cloud.mongodb.com/", true},
		{"http://localhost", "http://localhost:80/", true},
		{"http://[::1]:8080", "http://[::1]:8080/", true},
		{"http://localhost:8080", "http://localhost:8081/", false},
		{"https://cloud.mongodb.com", "http://cloud.mongodb.com/", false},
		{"https://cloud.mongodb.com", "https://cloud.mongodb.com:8443/", false},
		{"https://cloud.mongodb.com", "https://cloud.mongodb.com.evil.example/", false},
		{"https://cloud.mongodb.com", "https://mongodb.com/", false},
		{"http://localhost:443", "https://localhost/", false},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			origin, err := url.Parse(tt.origin)
			require.NoError(t, err)
			s := newServer()
			transport, err := NewTransport(origin, testUsername, testPassword, &inProcess{handler: s})
			require.NoError(t, err)
			req, err := http.NewRequest("GET", tt.url, nil)
			require.NoError(t, err)
			resp, err := transport.RoundTrip(req)
			require.NoError(t, err)
			assert.NoError(t, resp.Body.Close())
			if tt.same {
				assert.Equal(t, 200, resp.StatusCode)
				return
			}
			assert.Equal(t, 401, resp.StatusCode)
			require.Len(t, s.recorded(), 1, "a foreign challenge is ignored")
			assert.Nil(t, s.recorded()[0].credentials)
		})
	}
}

func TestForeignRequestsPassUnchanged(t *testing.T) {
	t.Parallel()
	var got []*http.Request
	inner := &inProcess{handler: newServer()}
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		got = append(got, req)
		return inner.RoundTrip(req)
	})
	transport := newTestTransport(t, base)
	call(t, transport, newRequest(t, "GET", "/", "")) // there is a session that could be misused

	foreign, err := http.NewRequest("POST", "http://other.example/", strings.NewReader("body"))
	require.NoError(t, err)
	withCredentials := newRequest(t, "POST", "/", "body")
	withCredentials.Header.Set("Authorization", "Bearer token")
	for _, req := range []*http.Request{foreign, withCredentials} {
		got = nil
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		assert.NoError(t, resp.Body.Close())
		assert.Equal(t, 401, resp.StatusCode)
		require.Len(t, got, 1)
		assert.Same(t, req, got[0])
		assert.False(t, auth.IsNegotiation(got[0].Context()))
	}

	got = nil
	failing := newTestTransport(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		got = append(got, req)
		return nil, errors.New("no URL")
	}))
	_, err = failing.RoundTrip(&http.Request{})
	require.EqualError(t, err, "no URL", "the base is the one to reject it")
	assert.Len(t, got, 1)
}

// All goroutines of a synctest bubble have to end before the test does, so one that the transport started and left
// behind would fail this test.
func TestNoGoroutineIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.maxUses = 3
		transport := newTestTransport(t, &inProcess{handler: s})
		for _, method := range []string{"GET", "POST", "GET", "PUT", "GET", "DELETE"} {
			call(t, transport, newRequest(t, method, "/", "body"[:bodyLen(method)]))
		}
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, warm := range []bool{false, true} {
		b.Run(map[bool]string{false: "base alone", true: "digest"}[warm], func(b *testing.B) {
			header := challengeHeader(`Digest realm="MMS Public API", domain="", nonce="n", algorithm=MD5, qop="auth", stale=false`)
			ok := respond(200, "", nil)
			ok.Body = http.NoBody
			var base http.RoundTripper = roundTripFunc(func(req *http.Request) (*http.Response, error) {
				if warm && req.Header["Authorization"] == nil {
					return respond(401, "", header), nil
				}
				return ok, nil
			})
			if warm {
				base = newTestTransport(b, base)
			}
			req := newRequest(b, "GET", "/api/atlas/v2/groups/5f1b2c3d/liveMigrations/5f1b2c3d", "")
			req.Header.Set("Accept", "application/vnd.atlas.2023-01-01+json")
			req.Header.Set("User-Agent", "livemigration")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := base.RoundTrip(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
