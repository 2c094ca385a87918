package digest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nodes are servers behind one address that do not know each other's nonces and do not call them stale.
type nodes struct {
	servers []*server
	next    func(n int) int // which of them gets request n
	n       atomic.Int64
}

func newNodes(count int, next func(n int) int) *nodes {
	c := &nodes{next: next}
	for i := range count {
		s := newServer()
		s.noncePrefix = fmt.Sprintf("node-%d-", i)
		s.challenge = func(s *server, nonce string, _ bool) []string { return []string{s.challengeLine(nonce, false)} }
		c.servers = append(c.servers, s)
	}
	return c
}

func (c *nodes) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	n := int(c.n.Add(1)) - 1
	if n < 2 {
		n = 0 // the first call is accepted: before, nothing tells a wrong nonce from wrong keys
	} else {
		n = c.next(n) % len(c.servers)
	}
	c.servers[n].ServeHTTP(w, req)
}

func TestNodesWithNoncesOfTheirOwn(t *testing.T) {
	t.Parallel()
	const calls = 300
	chance := rand.New(rand.NewPCG(1, 2))
	for name, tc := range map[string]struct {
		count int
		next  func(n int) int
		most  float64 // requests a call
	}{
		"taking turns":             {2, func(n int) int { return n }, 4},
		"three that take turns":    {3, func(n int) int { return n }, 8},
		"by chance":                {2, func(int) int { return chance.IntN(2) }, 2.3},
		"changing now and then":    {2, func(n int) int { return n / 50 }, 1.1},
		"changing at each call":    {2, func(n int) int { return n / 2 }, 2},
		"one node":                 {1, func(int) int { return 0 }, 1.01},
		"one that is seldom there": {2, func(n int) int { return n % 7 / 6 }, 2},
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				c := newNodes(tc.count, tc.next)
				base := &inProcess{handler: c}
				transport := newTestTransport(t, base)
				for i := range calls {
					status, body := call(t, transport, newRequest(t, method, "/", "body"[:bodyLen(method)]))
					require.Equal(t, 200, status, "call %d", i)
					require.Equal(t, method+" / "+"body"[:bodyLen(method)], body)
				}
				assert.LessOrEqual(t, float64(c.n.Load())/calls, tc.most)
				assert.Zero(t, base.openBodies())
				for _, s := range c.servers {
					for _, r := range s.recorded() {
						assert.NotContains(t, r.rejection, "count", "no count of a nonce is used twice")
					}
				}
			})
		}
	}
}

func TestNodesWithConcurrentCallers(t *testing.T) {
	t.Parallel()
	c := newNodes(2, func(n int) int { return n / 3 })
	transport := newTestTransport(t, &inProcess{handler: c})
	status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
	require.Equal(t, 200, status)
	inParallel(8, func() {
		for range 50 {
			resp, err := transport.RoundTrip(newRequest(t, "POST", "/", "body"))
			if assert.NoError(t, err) {
				assert.Equal(t, 200, resp.StatusCode)
				assert.NoError(t, resp.Body.Close())
			}
		}
	})
}

// Keys that have never been accepted cost two requests, also where each challenge has another nonce.
func TestWrongKeysCostTwoRequests(t *testing.T) {
	t.Parallel()
	c := newNodes(2, func(n int) int { return n })
	for _, s := range c.servers {
		s.password = "another"
	}
	transport := newTestTransport(t, &inProcess{handler: c})
	for i := range 5 {
		status, _ := call(t, transport, newRequest(t, "POST", "/", "body"))
		require.Equal(t, 401, status)
		require.EqualValues(t, 2*(i+1), c.n.Load())
	}
}

// Keys that stop being accepted cost one call more requests than that, since it cannot know. What a gateway says about a
// request with credentials does not make them accepted.
func TestRevokedKeys(t *testing.T) {
	t.Parallel()
	s := newServer()
	gateway := false
	var sent int
	transport := newTestTransport(t, &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		sent++
		if gateway {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		s.ServeHTTP(w, req)
	})})
	requests := func(want int) int {
		t.Helper()
		before := sent
		status, _ := call(t, transport, newRequest(t, "POST", "/", "body"))
		assert.Equal(t, want, status)
		return sent - before
	}
	assert.Equal(t, 2, requests(200))
	s.password = "another"
	assert.Equal(t, firstAttempts, requests(401))
	assert.Equal(t, 2, requests(401))
	gateway = true
	assert.Equal(t, 1, requests(502))
	gateway = false
	assert.Equal(t, 2, requests(401), "the gateway has not accepted the keys")
	s.password = testPassword
	assert.Equal(t, 1, requests(200))
	assert.False(t, transport.nodes.Load())
}

func TestMoreAttemptsOnceNodesAreSeen(t *testing.T) {
	t.Parallel()
	c := newNodes(2, func(n int) int { return n })
	transport := newTestTransport(t, &inProcess{handler: c})
	for range 3 {
		status, _ := call(t, transport, newRequest(t, "POST", "/", "body"))
		require.Equal(t, 200, status)
	}
	require.True(t, transport.nodes.Load())
	for _, s := range c.servers {
		s.password = "another"
	}
	before := c.n.Load()
	status, _ := call(t, transport, newRequest(t, "POST", "/", "body"))
	assert.Equal(t, 401, status)
	assert.EqualValues(t, nodeAttempts, c.n.Load()-before)
}

// A server that rejects credentials with the nonce that they were made for means the credentials.
func TestTheSameNonceAgainEndsACall(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: s})
	status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
	require.Equal(t, 200, status)
	s.password = "another"
	s.challenge = func(s *server, _ string, _ bool) []string { return []string{s.challengeLine("nonce-1", false)} }
	status, _ = call(t, transport, newRequest(t, "GET", "/", ""))
	assert.Equal(t, 401, status)
	assert.Len(t, s.recorded(), 4)
}

func TestRememberedSessionsAreBounded(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, &inProcess{handler: newServer()})
	first := transport.sessionFor(challenge{nonce: "0"}, nil)
	for i := range 3 * manySessions {
		assert.Same(t, first, transport.sessionFor(challenge{nonce: "0"}, first))
		transport.sessionFor(challenge{nonce: fmt.Sprint(i + 1)}, nil)
	}
	assert.Len(t, transport.recent, manySessions)
	assert.NotSame(t, first, transport.sessionFor(challenge{nonce: "0"}, nil))
}
