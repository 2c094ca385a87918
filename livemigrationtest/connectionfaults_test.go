package livemigrationtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestResetBeforeRequest(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), 1)
		_, _, err := sendBroken(t, srv, createRequest(srv))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Empty(t, srv.Migrations(), "not carried out")
		assert.Equal(t, []int{0}, statuses(srv))
		assert.Empty(t, srv.Recorded()[0].Body.Reveal())
	})
}

func TestResetAfterRequest(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, _, err := sendBroken(t, srv, createRequest(srv))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Len(t, srv.Migrations(), 1, "carried out")
		assert.Equal(t, []int{0}, statuses(srv))
		assert.NotEmpty(t, srv.Recorded()[0].Body.Reveal())
	})
}

func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.TruncatedBody(), 4)
		res, body, err := sendBroken(t, srv, createRequest(srv))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, http.StatusCreated, res.StatusCode)
		assert.NotEmpty(t, body)
		assert.Greater(t, res.ContentLength, int64(len(body)))
		require.Len(t, srv.Migrations(), 1, "carried out")

		srv.Advance(2 * time.Hour)
		res, body, err = sendBroken(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(srv.Migrations()[0].ID)))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, http.StatusAccepted, res.StatusCode)
		assert.Empty(t, body)
		assert.Equal(t, isWorking, looks(srv.Migrations()[0]), "carried out")

		srv.Advance(srv.Timings().Finishing)
		_, _, err = sendBroken(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		_, _, err = sendBroken(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
		require.ErrorIs(t, err, syscall.ECONNRESET, "a 204 cannot have a body")
		assert.Zero(t, srv.LinkTokenCount(), "carried out")
	})
}

func TestOversizedBody(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		for _, n := range []int64{0, 5, 14, 15, 1 << 20} {
			srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.OversizedBody(n), 1)
			res, body, err := sendBroken(t, srv, createRequest(srv))
			require.NoError(t, err)
			assert.Equal(t, http.StatusCreated, res.StatusCode)
			assert.Len(t, body, int(n))
			assert.Equal(t, n, res.ContentLength)
			assert.Equal(t, n >= 14, json.Valid([]byte(body)), "%d bytes", n)
		}
		assert.Len(t, srv.Migrations(), 5, "carried out")

		srv.Advance(1000 * time.Hour)
		send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
		srv.Inject(livemigrationtest.DeleteLinkToken, livemigrationtest.OversizedBody(100), 1)
		res, body, err := sendBroken(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Len(t, body, 100)
	})
}

// A client hangs up when it has had enough; nothing waits for it to read the rest.
func TestOversizedBodyAbandoned(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.OversizedBody(1<<40), 1)
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()))
		require.NoError(t, err)
		_, err = io.ReadFull(res.Body, make([]byte, 1<<16))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusConflict, send(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(srv.Migrations()[0].ID))).status)
	})
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t)
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		begin := time.Now()
		assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status)
		assert.Equal(t, time.Hour, time.Since(begin))
		assert.Equal(t, isNew, looks(srv.Migrations()[0]), "the job clock has no part in it")
	})
}

func TestStalledBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t)
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Hour), 1)
		begin := time.Now()
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()))
		require.NoError(t, err)
		assert.Zero(t, time.Since(begin), "the head comes at once")
		half := make([]byte, res.ContentLength/2)
		_, err = io.ReadFull(res.Body, half)
		require.NoError(t, err)
		assert.Zero(t, time.Since(begin), "and half of the body")
		rest, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, time.Hour, time.Since(begin))
		assert.True(t, json.Valid(append(half, rest...)))
		require.NoError(t, res.Body.Close())
	})
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Hour), 1)
		ctx, cancel := context.WithCancel(t.Context())
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()).WithContext(ctx))
		require.NoError(t, err)
		half := make([]byte, res.ContentLength/2)
		_, err = io.ReadFull(res.Body, half)
		require.NoError(t, err)
		cancel()
		_, err = io.ReadAll(res.Body)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, res.Body.Close())
		assert.Len(t, srv.Migrations(), 1)

		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Nanosecond), 1)
		assert.True(t, json.Valid([]byte(send(t, srv, createRequest(srv)).body)))
	})
}

func TestSlowBodyCancelled(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		done := make(chan error)
		go func() {
			_, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()).WithContext(ctx))
			done <- err
		}()
		require.Eventually(t, func() bool { return len(srv.Migrations()) == 1 }, 10*time.Second, time.Millisecond)
		cancel(cause)
		require.ErrorIs(t, <-done, cause)
		assert.Equal(t, []int{0}, statuses(srv))
	})
}

func TestSlowBodyEndsOnClose(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		client, req := srv.HTTPClient(), createRequest(srv).build(t, srv.URL())
		done := make(chan error)
		go func() {
			_, err := client.Do(req)
			done <- err
		}()
		require.Eventually(t, func() bool { return len(srv.Migrations()) == 1 }, 10*time.Second, time.Millisecond)
		srv.Close()
		require.Error(t, <-done)
		assert.Equal(t, []int{0}, statuses(srv))
	})
}

// Over a real connection a body that is still on its way is cut off, too.
func TestResetWithLargeBody(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithoutAuthentication())
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), 1)
	r := createRequest(srv)
	r.body = strings.Repeat(" ", 64<<20)
	_, _, err := sendBroken(t, srv, r)
	require.Error(t, err) // of the write or of the read, whichever is first
	assert.Equal(t, []int{0}, statuses(srv))
}
