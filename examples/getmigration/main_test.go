package main

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestRun(t *testing.T) {
	server := livemigrationtest.NewServer()
	defer server.Close()
	client, err := server.NewClient()
	require.NoError(t, err)
	created, err := client.Migrations.Create(t.Context(), server.ProjectID(), server.SampleRequest())
	require.NoError(t, err)
	id, secret := server.ServiceAccount()
	project, known := string(server.ProjectID()), string(created.ID)
	const unknown = "000000000000000000000000"
	for name, tt := range map[string]struct {
		secret string
		args   []string
		status int
		want   string
	}{
		"in memory":       {"", nil, 0, "WORKING, lag 1h0m1s"},
		"a migration":     {secret.Reveal(), []string{project, known}, 0, known},
		"none of that ID": {secret.Reveal(), []string{project, unknown}, 1, "there is no such project or migration"},
		"malformed ID":    {secret.Reveal(), []string{project, "x"}, 1, "wrong argument: "},
		"one argument":    {secret.Reveal(), []string{project}, 2, "usage: "},
		"a wrong secret":  {"wrong", []string{project, known}, 1, "the credentials are wrong"},
		"no secret":       {"", []string{project, known}, 1, "MONGODB_ATLAS_CLIENT_SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range map[string]string{
				"MONGODB_ATLAS_ACCESS_TOKEN": "", "MONGODB_ATLAS_PUBLIC_API_KEY": "", "MONGODB_ATLAS_PRIVATE_API_KEY": "",
				"MONGODB_ATLAS_CLIENT_ID": id, "MONGODB_ATLAS_CLIENT_SECRET": tt.secret, "MONGODB_ATLAS_BASE_URL": server.URL(),
			} {
				t.Setenv(name, value)
			}
			var streams [2]strings.Builder
			assert.Equal(t, tt.status, run(t.Context(), tt.args, &streams[0], &streams[1]))
			shown, other := streams[0].String(), streams[1].String()
			if tt.status != 0 {
				shown, other = other, shown
			}
			assert.Contains(t, shown, tt.want)
			assert.Empty(t, other)
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	status := livemigrationtest.Status
	for name, tt := range map[string]struct {
		fault livemigrationtest.Fault
		want  string
	}{
		"access list": {status(http.StatusForbidden).WithCode("IP_ADDRESS_NOT_ON_ACCESS_LIST"), "lacks this address: IP_ADDRESS_"},
		"bad request": {status(http.StatusBadRequest).WithDetail("No."), "Atlas rejected the request: "},
		"gone":        {status(http.StatusGone), "update the library"},
		"rate limit":  {status(http.StatusTooManyRequests).WithRetryAfter(7 * time.Second), "after 5 attempts: wait 7s"},
		"gateway":     {livemigrationtest.RawStatus(http.StatusBadGateway, "text/html", "<html>"), "Atlas has a problem"},
		"network":     {livemigrationtest.ResetAfterRequest(), "after 5 attempts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // on virtual time, waits before retries pass at once
				server := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
				defer server.Close()
				server.Inject(livemigrationtest.GetMigration, tt.fault, 5)
				client, err := server.NewClient()
				require.NoError(t, err)
				_, err = client.Migrations.Get(t.Context(), server.ProjectID(), "000000000000000000000000")
				require.Error(t, err)
				assert.Contains(t, explain(err), tt.want)
			})
		})
	}
}
