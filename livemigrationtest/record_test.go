package livemigrationtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		r := createRequest(srv).with("X-Extra", "1")
		r.path += "?pretty=true"
		send(t, srv, r)
		send(t, srv, request{method: http.MethodGet, path: "/nowhere"})
		all := srv.Recorded()
		require.Len(t, all, 2)
		first := all[0]
		assert.Equal(t, livemigrationtest.CreateMigration, first.Operation)
		assert.Equal(t, http.MethodPost, first.Method)
		assert.Equal(t, v2Prefix+"/groups/"+string(srv.ProjectID())+"/liveMigrations", first.Path)
		assert.Equal(t, url.Values{"pretty": {"true"}}, first.Query)
		assert.Equal(t, "1", first.Header.Get("X-Extra"))
		assert.Equal(t, r.body, first.Body.Reveal())
		assert.True(t, first.Authenticated)
		assert.Equal(t, 201, first.StatusCode)
		assert.NotEmpty(t, first.Host)
		assert.False(t, first.Time.IsZero())
		assert.Equal(t, livemigrationtest.Operation(""), all[1].Operation)
		assert.Equal(t, 404, all[1].StatusCode)

		all[0].Header.Set("X-Extra", "2")
		all[0].Query.Set("pretty", "false")
		assert.Equal(t, "1", srv.Recorded()[0].Header.Get("X-Extra"), "a copy")
		srv.ResetRequests()
		assert.Empty(t, srv.Recorded())
	})
}

func TestRequestsOfHandshake(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	_, err := newClient(t, srv).Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	all := srv.Recorded()
	require.Len(t, all, 2)
	assert.Equal(t, livemigrationtest.Handshake, all[0].Operation)
	assert.False(t, all[0].Authenticated)
	assert.Equal(t, 401, all[0].StatusCode)
	assert.Equal(t, livemigrationtest.CreateMigration, all[1].Operation)
	assert.True(t, all[1].Authenticated)
	assert.Equal(t, "[REDACTED]", all[1].Header.Get("Authorization"))
}

func TestNothingSecretPrints(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	req := srv.SampleRequest()
	_, err := newClient(t, srv).Migrations.Create(t.Context(), srv.ProjectID(), req)
	require.NoError(t, err)
	r := createRequest(srv).with("Cookie", "session=hush").with("Proxy-Authorization", "Basic hush").with("Authorization", "hush")
	send(t, srv, r)

	account := ownAccount(srv)
	revoked := account.token(t, srv)
	send(t, srv, account.ask(revokePath, "token="+revoked))
	live := account.token(t, srv)
	send(t, srv, bearer(createRequest(srv), live))

	public, private := srv.APIKey()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	all := srv.Recorded()
	for _, value := range []any{all, all[1], &all[1], map[string]any{"r": all[2]}, srv, []any{srv}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
			_, _ = fmt.Fprintf(&out, verb+"\n", value)
		}
		logger.Info("value", "it", value)
		data, err := json.Marshal(value)
		require.NoError(t, err)
		out.Write(data)
	}
	out.WriteString(all[1].GoString() + srv.String())
	printed := out.String()
	assert.Contains(t, printed, "Migrations.Create: POST /api/atlas/v2/groups/")
	for _, secret := range []string{
		private.Reveal(), req.Source.Password.Reveal(), "p4ss", "hush", "nonce=", public,
		account.id, account.secret, revoked, live, basic(account.id, account.secret),
	} {
		assert.NotContains(t, printed, secret)
		assert.NotContains(t, printed, fmt.Sprintf("%x", secret))
	}
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 10_000
	srv := newOpenServer(t)
	transport := srv.Transport()
	for i := range 2*most + 1 {
		req := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "x", Path: fmt.Sprint("/", i)}}
		_, err := transport.RoundTrip(req)
		require.NoError(t, err)
		switch i {
		case most - 1:
			assert.Zero(t, srv.DroppedRequests())
		case 2*most - 1, 2 * most:
			assert.Equal(t, i+1-most, srv.DroppedRequests())
			assert.Equal(t, i+1, srv.RequestCount(""), "of all that have arrived")
			all := srv.Recorded()
			require.Len(t, all, most)
			assert.Equal(t, fmt.Sprint("/", i), all[most-1].Path)
			assert.Equal(t, fmt.Sprint("/", i-most+1), all[0].Path)
		}
	}
}

func TestRequestFilters(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	client := newClient(t, srv)
	for range 3 {
		_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
	}
	_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	account := ownAccount(srv)
	account.token(t, srv)
	r := createRequest(srv).with("Authorization", "Digest a=b")
	send(t, srv, r)
	send(t, srv, request{method: http.MethodGet, path: "/nowhere"})

	failed := func(r livemigrationtest.Request) bool { return r.StatusCode >= 400 }
	of := livemigrationtest.OfOperation
	tests := map[string]struct {
		filters []livemigrationtest.RequestFilter
		want    int
	}{
		"all":             {nil, 8},
		"none":            {[]livemigrationtest.RequestFilter{of()}, 0},
		"one operation":   {[]livemigrationtest.RequestFilter{of(livemigrationtest.ListAvailableProjects)}, 3},
		"two operations":  {[]livemigrationtest.RequestFilter{of(livemigrationtest.Handshake, livemigrationtest.CreateMigration)}, 4},
		"any operation":   {[]livemigrationtest.RequestFilter{of(livemigrationtest.AnyOperation)}, 4},
		"access tokens":   {[]livemigrationtest.RequestFilter{of(livemigrationtest.IssueToken)}, 1},
		"failed":          {[]livemigrationtest.RequestFilter{failed}, 3},
		"failed creation": {[]livemigrationtest.RequestFilter{failed, of(livemigrationtest.CreateMigration)}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { assert.Len(t, srv.Recorded(tt.filters...), tt.want) })
	}
	for _, op := range []livemigrationtest.Operation{
		livemigrationtest.ListAvailableProjects, livemigrationtest.CreateMigration, livemigrationtest.AnyOperation,
		livemigrationtest.Handshake, livemigrationtest.IssueToken, livemigrationtest.Cutover,
	} {
		assert.Equal(t, len(srv.Recorded(of(op))), srv.RequestCount(op), op)
	}
	srv.ResetRequests()
	assert.Zero(t, srv.RequestCount(livemigrationtest.ListAvailableProjects))
	assert.Zero(t, srv.RequestCount(livemigrationtest.AnyOperation))
}
