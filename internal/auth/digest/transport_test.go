package digest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
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
					assert.Empty(t, r.refusal)
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
			require.Len(t, s.recorded(), 1, "a foreign challenge is not answered")
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
	require.EqualError(t, err, "no URL", "the base is the one to refuse it")
	assert.Len(t, got, 1)
}

// 1,000 calls from 40 goroutines that all start without a session cost one request more than calls, over real
// connections to a server that refuses a repeated nonce count.
func TestConcurrentCallersShareANonce(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newServer()
			httpServer := httptest.NewServer(s)
			defer httpServer.Close()
			origin, err := url.Parse(httpServer.URL)
			require.NoError(t, err)
			base := &http.Transport{MaxIdleConnsPerHost: 40}
			defer base.CloseIdleConnections()
			transport, err := NewTransport(origin, testUsername, testPassword, base)
			require.NoError(t, err)
			client := &http.Client{Transport: transport}

			inParallel(40, func() {
				for range 25 {
					req, err := http.NewRequest(method, httpServer.URL+"/?a=b", bytes.NewReader([]byte("body")[:bodyLen(method)]))
					if !assert.NoError(t, err) {
						return
					}
					resp, err := client.Do(req)
					if !assert.NoError(t, err) {
						return
					}
					_, err = io.Copy(io.Discard, resp.Body)
					assert.NoError(t, err)
					assert.NoError(t, resp.Body.Close())
					assert.Equal(t, 200, resp.StatusCode)
				}
			})

			counts := make(map[string]bool)
			for _, r := range s.recorded()[1:] {
				assert.Empty(t, r.refusal)
				counts[r.credentials["nonce"]+" "+r.credentials["nc"]] = true
			}
			assert.Len(t, s.recorded(), 1001)
			assert.Len(t, counts, 1000)
			assert.True(t, counts["nonce-1 000003e8"], "counts grow by one")
		})
	}
}

func inParallel(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

// Whatever a server allows per nonce, and however many callers use it up, each call succeeds with at most one repeat.
func TestExpiringNonces(t *testing.T) {
	t.Parallel()
	for _, maxUses := range []int{1, 2, 7, 100} {
		for _, oneTime := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d uses, next nonces %t", maxUses, oneTime), func(t *testing.T) {
				t.Parallel()
				s := newServer()
				s.maxUses, s.oneTime = maxUses, oneTime
				base := &inProcess{handler: s}
				transport := newTestTransport(t, base)
				inParallel(40, func() {
					for range 10 {
						resp, err := transport.RoundTrip(newRequest(t, "POST", "/", "body"))
						if assert.NoError(t, err) {
							assert.Equal(t, 200, resp.StatusCode)
							assert.NoError(t, resp.Body.Close())
						}
					}
				})
				assert.LessOrEqual(t, len(s.recorded()), 2*400+1)
				assert.Zero(t, base.openBodies())
				for _, r := range s.recorded() {
					assert.NotContains(t, r.refusal, "count")
					assert.NotContains(t, r.refusal, "wrong")
				}
			})
		}
	}
}

func TestExpiredNonceOfOneCaller(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.maxUses = 3
	transport := newTestTransport(t, &inProcess{handler: s})
	var nonces []string
	for range 7 {
		status, _ := call(t, transport, newRequest(t, "PUT", "/", "body"))
		require.Equal(t, 200, status)
	}
	for _, r := range s.recorded() {
		nonces = append(nonces, r.credentials["nonce"]+" "+strings.TrimLeft(r.credentials["nc"], "0"))
	}
	assert.Equal(t, []string{
		" ", "nonce-1 1", "nonce-1 2", "nonce-1 3",
		"nonce-1 4", "nonce-2 1", "nonce-2 2", "nonce-2 3",
		"nonce-2 4", "nonce-3 1",
	}, nonces, "the new nonce serves the calls that follow")
}

func TestNextNonces(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.oneTime = true
	transport := newTestTransport(t, &inProcess{handler: s})
	for range 3 {
		status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
		require.Equal(t, 200, status)
	}
	for i, r := range s.recorded()[1:] {
		assert.Equal(t, fmt.Sprintf("nonce-%d", i+1), r.credentials["nonce"])
		assert.Equal(t, "00000001", r.credentials["nc"])
	}
}

// A server may announce the nonce in use. Its count goes on.
func TestNextNonceThatIsTheSame(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Authentication-Info", `nextnonce="nonce-1"`)
		s.ServeHTTP(w, req)
	})})
	for range 3 {
		status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
		require.Equal(t, 200, status)
	}
	assert.Equal(t, "00000003", s.recorded()[3].credentials["nc"])
}

// A server that challenges with the same nonce again must not see the same count again.
func TestChallengeWithTheSameNonce(t *testing.T) {
	t.Parallel()
	s := newServer()
	refuse := false
	transport := newTestTransport(t, &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if refuse {
			refuse = false
			w.Header().Set("WWW-Authenticate", s.challengeLines("nonce-1", false)[0])
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, req)
	})})
	for range 3 {
		status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
		require.Equal(t, 200, status)
		refuse = true
	}
	last := s.recorded()[3]
	assert.Equal(t, "nonce-1", last.credentials["nonce"])
	assert.Equal(t, "00000005", last.credentials["nc"])
}

func TestExhaustedCountStartsANewSession(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: s})
	call(t, transport, newRequest(t, "GET", "/", ""))
	transport.session.Load().uses.Store(maxUses)
	status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
	assert.Equal(t, 200, status)
	last := s.recorded()[3]
	assert.Equal(t, "nonce-2", last.credentials["nonce"])
	assert.Equal(t, "00000001", last.credentials["nc"])
	call(t, transport, newRequest(t, "GET", "/", ""))
	assert.Len(t, s.recorded(), 5, "the new session is shared")
}

// A negotiation may end between the moment a caller finds no session and the moment it would start one itself.
func TestDepartAfterANegotiationThatWasMissed(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, &inProcess{handler: newServer()})
	s, inFlight := transport.depart()
	require.Nil(t, s)
	require.Nil(t, inFlight)
	s, inFlight = transport.depart()
	require.Nil(t, s)
	require.NotNil(t, inFlight)

	adopted := transport.adopt(Challenge{Realm: "r", Nonce: "n"})
	transport.arrive()
	<-inFlight
	s, inFlight = transport.depart()
	assert.Same(t, adopted, s)
	assert.Nil(t, inFlight)
}

// Another caller may have put a session in place between the refusal and the repeat.
func TestKeepLeavesANewerSession(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, &inProcess{handler: newServer()})
	first := transport.adopt(Challenge{Realm: "r", Nonce: "1"})
	newer := transport.sessionFor(Challenge{Realm: "r", Nonce: "2"}, first)
	transport.keep(first, newer, respond(200, "", nil))
	require.Same(t, newer, transport.live())

	late := transport.sessionFor(Challenge{Realm: "r", Nonce: "3"}, first)
	transport.keep(first, late, respond(200, "", nil))
	assert.Same(t, newer, transport.live())
	assert.Same(t, newer, transport.sessionFor(Challenge{Realm: "r", Nonce: "2"}, first), "its count must go on")
	assert.Same(t, late, transport.sessionFor(Challenge{Realm: "r", Nonce: "3"}, late), "its count must go on")

	transport.keep(newer, late, respond(401, "", http.Header{"Authentication-Info": {`nextnonce="4"`}}))
	assert.Same(t, newer, transport.live(), "a session that was refused is not shared")
}

func TestCnoncesAreRandom(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, http.DefaultTransport)
	seen := make(map[string]bool)
	for range 100 {
		seen[transport.newCnonce()] = true
	}
	assert.Len(t, seen, 100)
}

// Printing a Transport, or following all its pointers as debuggers do, must not show a secret.
func TestTransportHidesItsSecrets(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: http.NotFoundHandler()})
	transport.newCnonce = func() string { return "the-cnonce" }
	transport.base = &inProcess{handler: s}
	call(t, transport, newRequest(t, "GET", "/", ""))
	transport.base = http.DefaultTransport // the server of the test knows the password

	live := transport.live()
	var dump bytes.Buffer
	for _, v := range []any{transport, live} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&dump, verb, v)
		}
	}
	dumpValue(&dump, reflect.ValueOf(transport).Elem().FieldByName("credentials"))
	dumpValue(&dump, reflect.ValueOf(transport).Elem().FieldByName("session"))
	dumpValue(&dump, reflect.ValueOf(transport).Elem().FieldByName("origin"))
	dumpValue(&dump, reflect.ValueOf(live))
	require.Contains(t, dump.String(), "atlas.example", "the dump works")
	secrets := []string{testUsername, testPassword, "nonce-1", "the-cnonce", live.keys().ha1, s.opaque}
	for _, secret := range secrets {
		assert.NotContains(t, dump.String(), secret)
	}
}

// dumpValue prints what can be reached from v through pointers, structs and interfaces.
func dumpValue(w io.Writer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			dumpValue(w, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fmt.Fprintf(w, "%s: ", v.Type().Field(i).Name)
			dumpValue(w, v.Field(i))
		}
	default:
		fmt.Fprintf(w, "%v ", v)
	}
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
