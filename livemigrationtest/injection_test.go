package livemigrationtest_test

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestFaultQueue(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(501).After(1), 2)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(502).After(-1), 1)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).After(1), 1)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(504), 0)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(504), -1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(504), 1)
	assert.Equal(t, 5, srv.PendingFaultCount())

	get := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "0123456789abcdef01234567")
	list := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	nowhere := request{method: http.MethodGet, path: "/nowhere"}
	for i, step := range []struct {
		request request
		want    int
	}{{get, 404}, {get, 501}, {nowhere, 502}, {list, 200}, {get, 501}, {get, 404}, {get, 503}, {get, 404}} {
		assert.Equal(t, step.want, send(t, srv, step.request).status, "step %d", i)
	}
	assert.Equal(t, 1, srv.PendingFaultCount(), "there is no handshake without authentication")
	srv.ClearFaults()
	assert.Zero(t, srv.PendingFaultCount())
}

// A change to a fault does not change the one that it was made from.
func TestFaultIsAValue(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	base := livemigrationtest.Status(500).WithHeader("X-A", "base")
	_ = base.WithHeader("X-A", "other")
	srv.Inject(livemigrationtest.AnyOperation, base, 1)
	assert.Equal(t, "base", send(t, srv, createRequest(srv)).header.Get("X-A"))
}

func TestOperationFaultsSpareHandshake(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(418), 1)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, 401, send(t, srv, r).status, "no credentials")
	assert.Equal(t, 401, send(t, srv, r.with("Authorization", "Digest a=b")).status, "wrong credentials")
	signed := authorize(t, srv, r)
	assert.Equal(t, 418, send(t, srv, signed).status)
}

func TestHandshakeFaults(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(503), 1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.ResetAfterRequest(), 1)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, 401, send(t, srv, r.with("Authorization", "Digest a=b")).status, "those are credentials")
	assert.Equal(t, 503, send(t, srv, r).status)
	_, _, err := sendBroken(t, srv, r)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, 401, send(t, srv, r).status)
}
