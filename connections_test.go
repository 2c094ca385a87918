package livemigration_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestAnIdleConnectionThatWasClosedIsReplaced(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, nil, quick)
	proxy := httptest.NewServer(a.Handler())
	client := newClient(t, a.Credentials(), quick, livemigration.WithBaseURL(proxy.URL))
	_, err := client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
	require.NoError(t, err)
	proxy.CloseClientConnections()
	_, err = client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
	require.NoError(t, err)
	proxy.Close()
	_, err = client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// net/http sends a GET again by itself when a connection that it reuses breaks, with the same Authorization header. A
// server that has seen the first one rejects the second one for its nonce count, and not for its keys.
func TestARequestThatNetHTTPSendsAgainIsNotTakenForOneWithWrongKeys(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, nil, quick)
	get := func() error {
		_, err := a.client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
		return err
	}
	require.NoError(t, get(), "from now on there is a nonce, and an idle connection")
	a.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 2)
	require.NoError(t, get())
	assert.Zero(t, a.PendingFaultCount())
	a.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 99)
	err := get()
	require.Error(t, err)
	assert.True(t, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET), err.Error())
	assert.NotErrorIs(t, err, livemigration.ErrUnauthorized)
	a.ClearFaults()
	require.NoError(t, get())
}

func TestACancelledCallReturnsAtOnce(t *testing.T) {
	t.Parallel()
	accepted := make(chan struct{}, 1)
	address, _ := listen(t, func(c net.Conn) {
		accepted <- struct{}{}
		_, _ = io.Copy(io.Discard, c) // until the client closes it
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-accepted
		cancel()
	}()
	start := time.Now()
	_, err := newClient(t, bearer("t0k3n"), livemigration.WithBaseURL("http://"+address)).Migrations.Get(ctx, projectID, jobID)
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, time.Since(start), 10*time.Second, "long before the attempt's time is over")

	synctest.Test(t, func(t *testing.T) { // while a response does not end
		a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess()})
		a.Inject(livemigrationtest.GetMigration, livemigrationtest.SlowBody(time.Hour), 1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := a.client.Migrations.Get(ctx, a.ProjectID(), a.migration)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 20*time.Millisecond, time.Since(start))
	})
}

func TestNoGoroutineIsLeft(t *testing.T) {
	srv := livemigrationtest.NewServer()
	client, err := srv.NewClient(quick)
	require.NoError(t, err)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.SlowBody(time.Hour), 1)
	_, err = client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = client.AvailableProjects.List(ctx, srv.OrgID())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for range client.Migrations.Watch(t.Context(), srv.ProjectID(), srv.Migrations()[0].ID) {
		break
	}
	client.CloseIdleConnections()
	srv.Close()
	assert.Eventually(t, func() bool { return ownGoroutines() == "" }, 5*time.Second, time.Millisecond, "%s", ownGoroutines())
}

// ownGoroutines are the stacks of goroutines that a client or its connections started.
func ownGoroutines() string {
	buf := make([]byte, 1<<20)
	var found []string
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "net/http.(*persistConn)") || strings.Contains(stack, "created by github.com/livemigration") && !strings.Contains(stack, "_test.go") {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

func TestARejectedDialThenAResponse(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, nil)
	var dials atomic.Int32
	dialer := &net.Dialer{}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if n := dials.Add(1); n == 1 || n == 3 { // once for the handshake, once for the request itself
			address = "127.0.0.1:1"
		}
		return dialer.DialContext(ctx, network, address)
	}}
	client := newClient(t, a.Credentials(), quick, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(&http.Client{Transport: transport}))
	m, err := client.Migrations.Create(t.Context(), a.ProjectID(), a.SampleRequest())
	require.NoError(t, err)
	assert.Equal(t, a.Migrations()[1].ID, m.ID)
	assert.Len(t, a.Migrations(), 2)
	assert.Equal(t, 1, a.authenticated())
}

func TestManyCallersShareANonce(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, nil, quick, livemigration.WithoutPacing())
	const callers, calls = 40, 25
	all := func(expire bool) (requests int) {
		a.ResetRequests()
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for i := range calls {
					if expire && caller == 0 && i == calls/2 {
						a.ExpireNonces()
					}
					if _, err := a.client.Migrations.Get(t.Context(), a.ProjectID(), a.migration); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return len(a.Recorded())
	}
	assert.Equal(t, callers*calls+1, all(false), "one request for each call, and one for the nonce")
	requests := all(true)
	assert.Greater(t, requests, callers*calls, "the expiry was noticed")
	assert.LessOrEqual(t, requests, callers*calls+callers, "and cost each caller one request at most")
}
