package digest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever a server allows per nonce, and however many callers use it up, each call succeeds with at most one request more.
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
					assert.NotContains(t, r.rejection, "count")
					assert.NotContains(t, r.rejection, "wrong")
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

// A server may announce the nonce in use. Its count continues.
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
	reject := false
	transport := newTestTransport(t, &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if reject {
			reject = false
			w.Header().Set("WWW-Authenticate", s.challengeLines("nonce-1", false)[0])
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, req)
	})})
	for range 3 {
		status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
		require.Equal(t, 200, status)
		reject = true
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

	adopted := transport.adopt(challenge{realm: "r", nonce: "n"})
	transport.arrive()
	<-inFlight
	s, inFlight = transport.depart()
	assert.Same(t, adopted, s)
	assert.Nil(t, inFlight)
}

// Another caller may have put a session in place between the rejection and the next attempt.
func TestKeepLeavesANewerSession(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, &inProcess{handler: newServer()})
	first := transport.adopt(challenge{realm: "r", nonce: "1"})
	newer := transport.sessionFor(challenge{realm: "r", nonce: "2"}, first)
	transport.keep(first, newer, respond(200, "", nil))
	require.Same(t, newer, transport.live())

	late := transport.sessionFor(challenge{realm: "r", nonce: "3"}, first)
	transport.keep(first, late, respond(200, "", nil))
	assert.Same(t, newer, transport.live())
	assert.Same(t, newer, transport.sessionFor(challenge{realm: "r", nonce: "2"}, first), "its count must continue")
	assert.Same(t, late, transport.sessionFor(challenge{realm: "r", nonce: "3"}, late), "its count must continue")

	transport.keep(newer, late, respond(401, "", http.Header{"Authentication-Info": {`nextnonce="4"`}}))
	assert.Same(t, newer, transport.live(), "a session that was rejected is not shared")
}

// 1,000 calls from 40 goroutines that all start without a session cost one request more than calls, over real
// connections to a server that rejects a nonce count that it has seen.
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
				assert.Empty(t, r.rejection)
				counts[r.credentials["nonce"]+" "+r.credentials["nc"]] = true
			}
			assert.Len(t, s.recorded(), 1001)
			assert.Len(t, counts, 1000)
			assert.True(t, counts["nonce-1 000003e8"], "counts grow by one")
		})
	}
}
