package livemigrationtest_test

import (
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestClose(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		send(t, srv, createRequest(srv))
		client, req := srv.HTTPClient(), createRequest(srv).build(t, srv.URL())
		srv.Close()
		srv.Close()
		_, err := client.Do(req)
		require.Error(t, err)
		assert.Len(t, srv.Recorded(), 1)
		assert.Len(t, srv.Migrations(), 1)
	})
}

func TestCloseBeforeListening(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	srv.Close()
	_, err := newClient(t, srv, livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 1})).
		AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.URL(), "http://"), time.Second)
	if err == nil {
		_ = conn.Close()
	}
	require.Error(t, err)
}

func TestCloseEndsStalledUpload(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithoutAuthentication())
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL(), "http://"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	_, err = conn.Write([]byte("POST /stalled HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(srv.Recorded()) == 1 }, 10*time.Second, time.Millisecond)
	srv.Close() // would wait for the rest of the body
}

// Not parallel, so that no other test starts goroutines meanwhile.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, opt := range []livemigrationtest.Option{nil, livemigrationtest.WithTLS(), livemigrationtest.WithInProcess()} {
		srv := livemigrationtest.NewServer(opt, livemigrationtest.WithoutAuthentication())
		srv.Inject(livemigrationtest.CreateValidation, livemigrationtest.SlowBody(time.Hour), 1)
		client, slow := srv.HTTPClient(), endpoint(srv, livemigrationtest.CreateValidation, v2Prefix, "").build(t, srv.URL())
		done := make(chan error)
		go func() {
			_, err := client.Do(slow)
			done <- err
		}()
		for _, fault := range []livemigrationtest.Fault{
			{}, livemigrationtest.ResetBeforeRequest(), livemigrationtest.ResetAfterRequest(), livemigrationtest.TruncatedBody(),
		} {
			srv.Inject(livemigrationtest.CreateMigration, fault, 1)
			_, _, _ = sendBroken(t, srv, createRequest(srv))
		}
		require.Eventually(t, func() bool { return len(srv.Validations()) == 1 }, 10*time.Second, time.Millisecond)
		srv.Close()
		require.Error(t, <-done)
	}
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond,
		"but for the one that asks")
}
