package livemigrationtest_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestNonceCounts(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, first := newDigester(srv), challenge(t, srv)
	second := challenge(t, srv)
	use := func(challenge, count string) string {
		return verdictOf(t, send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge, count)))))
	}
	for _, step := range []struct{ challenge, count, want string }{
		{first, "00000001", "accepted"},
		{first, "00000001", "rejected"},
		{first, "00000003", "accepted"}, // overtook the second
		{first, "00000002", "accepted"},
		{first, "00000003", "rejected"},
		{first, "00000002", "rejected"},
		{first, "00000004", "accepted"},
		{first, "0000000A", "accepted"},
		{first, "0000000a", "rejected"},
		{second, "00000001", "accepted"}, // another nonce, other counts
	} {
		require.Equal(t, step.want, use(step.challenge, step.count), "count %s", step.count)
	}
}

func TestNonceLifetime(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithNonceLifetime(time.Minute))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, nonce := newDigester(srv), challenge(t, srv)
	use := func(count string) string {
		return verdictOf(t, send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, nonce, count)))))
	}
	srv.Advance(time.Minute - 1)
	assert.Equal(t, "accepted", use("00000001"))
	srv.Advance(1)
	assert.Equal(t, "stale", use("00000002"))
}

func TestExpireNonces(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	client, err := srv.NewClient()
	require.NoError(t, err)
	for range 2 {
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
	}
	srv.ResetRequests()
	srv.ExpireNonces()
	for range 2 {
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
	}
	assert.Equal(t, []int{401, 200, 200}, statuses(srv))
}

// A nonce count is good for one of the requests that use it at the same time.
func TestConcurrentNonceCounts(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	r = r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge(t, srv), "00000001")))
	var accepted atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			res, err := srv.Transport().RoundTrip(r.build(t, srv.URL()))
			if assert.NoError(t, err) && res.StatusCode == http.StatusOK {
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, accepted.Load())
}

// The server forgets the oldest nonces; to a client that looks like their end.
func TestNoncesAreBounded(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, first, second := newDigester(srv), challenge(t, srv), challenge(t, srv)
	for range 10_000 - 1 {
		challenge(t, srv)
	}
	use := func(challenge string) string {
		return verdictOf(t, send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge, "00000001")))))
	}
	assert.Equal(t, "accepted", use(second))
	assert.Equal(t, "stale", use(first))
}

// Each of several nodes takes its own nonces only, and says nothing of stale ones.
func TestNodes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithNodes(2))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d, nonce := newDigester(srv), challenge(t, srv) // the first request of the first node
	use := func(challenge, count string) result {
		return send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge, count))))
	}
	assert.Equal(t, http.StatusOK, use(nonce, "00000001").status, "the first node")
	rejected := use(nonce, "00000002")
	assert.Equal(t, "rejected", verdictOf(t, rejected), "the second node")
	other := rejected.header.Get("WWW-Authenticate")
	assert.Equal(t, http.StatusOK, use(other, "00000001").status, "the second node, with its own nonce")
	assert.Equal(t, "rejected", verdictOf(t, use(other, "00000002")), "the first node")
	assert.Equal(t, http.StatusOK, use(nonce, "00000002").status, "the first node, whose nonce still holds")
}

func TestNodesOfFault(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithNodes(3))
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(401), 1)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	d := newDigester(srv)
	res := send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, challenge(t, srv), "00000001"))))
	require.Equal(t, http.StatusUnauthorized, res.status)
	challenge(t, srv)
	send(t, srv, request{method: http.MethodGet, path: "/"}) // the second node has had its turn
	challenge(t, srv)
	challenge(t, srv)
	signed := r.with("Authorization", d.sign(d.claim(r.method, r.path, res.header.Get("WWW-Authenticate"), "00000001")))
	assert.Equal(t, http.StatusOK, send(t, srv, signed).status, "the nonce is of the node that sent it")
}

func TestOneNode(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, 1} {
		srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithNodes(n))
		client := newClient(t, srv)
		for range 4 {
			_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
			require.NoError(t, err)
		}
		assert.Equal(t, []int{401, 200, 200, 200, 200}, statuses(srv))
	}
}
