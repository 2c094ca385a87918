package livemigration

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErrorsMarshalToUsefulJSON(t *testing.T) {
	t.Parallel()
	api := &APIError{StatusCode: 503, Code: "X", Method: "POST", Path: "/p", Attempts: 2, RequestID: "r", RetryAfter: 1500 * time.Millisecond, Duration: 2 * time.Second}
	const inside = `"status":503,"code":"X","request_id":"r","retry_after_seconds":1.5`
	migration := &Migration{ID: validID, Status: MigrationExpired}
	_, config := NewClient(nil)
	for want, err := range map[string]error{
		`{"kind":"api","message":"","method":"POST","path":"/p","attempts":2,"duration_seconds":2,"retryable":true,` + inside + `}`: api,
		`{"kind":"invalid_request","message":"","fields":[{"field":"a","description":"b"}]}`:                                        &InvalidRequestError{[]FieldViolation{{"a", "b"}}},
		`{"kind":"outcome_unknown","message":"","method":"POST","path":"/p","id":"i","attempts":1,"duration_seconds":3,"may_have_created":true,` + inside + `}`: &OutcomeUnknownError{
			Method: "POST", Path: "/p", Err: api, ID: "i", Attempts: 1, Duration: 3 * time.Second},
		`{"kind":"outcome_unknown","message":"","method":"PUT","path":"/p"}`:                                      &OutcomeUnknownError{Method: "PUT", Path: "/p", Err: errors.New("x")},
		`{"kind":"pacing","message":"","method":"GET","path":"/p","wait_seconds":60,"retryable":true}`:            &PacingError{Method: "GET", Path: "/p", Wait: time.Minute},
		`{"kind":"call","message":"","method":"GET","path":"/p","attempts":1,"retryable":true}`:                   &CallError{Method: "GET", Path: "/p", Attempts: 1, Err: errors.New("x")},
		`{"kind":"wait","message":"","outage_seconds":900,"method":"","path":"","retryable":true,` + inside + `}`: &WaitError{Job: "migration 1", Outage: 15 * time.Minute, Err: api},
		`{"kind":"validation_failed","message":"","id":"` + validID + `"}`:                                        &ValidationFailedError{&Validation{ID: validID}},
		`{"kind":"migration_expired","message":"","id":"` + validID + `"}`:                                        &MigrationFailedError{migration},
		`{"kind":"migration_failed","message":""}`:                                                                &MigrationFailedError{},
		`{"kind":"invalid_config","message":""}`:                                                                  config,
	} {
		data, marshalErr := json.Marshal(err)
		require.NoError(t, marshalErr)
		var got, expected map[string]any
		require.NoError(t, json.Unmarshal(data, &got))
		require.NoError(t, json.Unmarshal([]byte(want), &expected))
		assert.Equal(t, err.Error(), got["message"])
		expected["message"] = got["message"]
		for _, name := range []string{"method", "path"} {
			if expected[name] == "" {
				delete(expected, name)
			}
		}
		assert.Equal(t, expected, got)
	}
}

func TestJobsInOneLine(t *testing.T) {
	t.Parallel()
	lag := int64(72)
	m := Migration{ID: validID, Status: MigrationWorking, ReadyForCutover: true, MigrationHosts: []string{"vm001", "mongodb://u:hunter2@vm002"}, LagTimeSeconds: &lag}
	v := Validation{ID: validID, Status: ValidationFailed, ErrorMessage: "cannot reach\nmongodb://u:hunter2@vm001"}
	const reached = "cannot reach mongodb://[REDACTED]@vm001"
	assert.Equal(t, "migration "+validID+" WORKING, ready for cutover, lag 1m12s, on vm001 and mongodb://[REDACTED]@vm002", m.String())
	assert.Equal(t, "migration "+validID+" without a status", Migration{ID: validID}.String())
	assert.Equal(t, "validation "+validID+" FAILED: "+reached, v.String())
	assert.Equal(t, "[migration_id="+validID+" state=WORKING ready_for_cutover=true lag=1m12s]", m.LogValue().String())
	assert.Equal(t, "[validation_id="+validID+" state=FAILED error="+reached+"]", v.LogValue().String())
}

func TestTheSourceOfADeployment(t *testing.T) {
	t.Parallel()
	p := AvailableProject{ProjectID: sourceID, MigrationHosts: []string{"vm001"}, Deployments: []Deployment{{Name: "a", TLSEnabled: true}, {Name: "b", Managed: true}}}
	source, hosts, err := p.Source("b")
	require.NoError(t, err)
	assert.Equal(t, Source{ProjectID: sourceID, ClusterName: "b", ManagedAuthentication: true}, source)
	assert.Equal(t, []string{"vm001"}, hosts)
	require.NoError(t, (&MigrationRequest{Source: source, Destination: Destination{ClusterName: "x"}, MigrationHosts: hosts}).Validate(APIv2))
	_, _, err = p.Source("c")
	require.ErrorIs(t, err, ErrInvalidRequest)
	require.EqualError(t, err, "livemigration: invalid request: cluster name is unknown: project "+string(sourceID)+` has no cluster "c"; it has a, b`)
	_, _, err = AvailableProject{Name: "Payments", ProjectID: sourceID}.Source("c")
	require.EqualError(t, err, `livemigration: invalid request: cluster name is unknown: project Payments has no cluster "c"; it has none`)
}

func TestARetryAfterAboveTheLimitIsExplained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limited := reply(429, `{"error":429,"errorCode":"RATE_LIMITED"}`, "Retry-After", "3600")
		const message = "429 RATE_LIMITED; Atlas asked to wait 1h, longer than this client's limit of 5m (RetryPolicy.MaxRetryAfter)"
		s := script(limited)
		_, err := s.client(t).Migrations.Get(t.Context(), destinationID, validID)
		assert.EqualError(t, err, "livemigration: Migrations.Get: GET "+getPath+": "+message)
		assert.Len(t, s.requests, 1)
		var api *APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, time.Hour, api.RetryAfter)
		_, err = waits["ready"](script(limited).client(t), t.Context())
		assert.Regexp(t, `^livemigration: waiting for migration `+validID+`: no success for 1[56]m(\d+s)?; last error: `+regexp.QuoteMeta(message)+`$`, err.Error())
		var wait *WaitError
		require.ErrorAs(t, err, &wait)
		assert.Equal(t, "migration "+validID, wait.Job)
		require.ErrorIs(t, err, ErrRateLimited)
	})
	for d, want := range map[time.Duration]string{0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Minute: "1h30m", time.Hour: "1h", 20 * time.Hour: "20h", time.Hour + time.Second: "1h0m1s"} {
		assert.Equal(t, want, short(d))
	}
}

func TestSourceSide(t *testing.T) {
	t.Parallel()
	make := func(t *testing.T, steps ...func(*http.Request) (*http.Response, error)) (*SourceClient, *scripted) {
		s := script(steps...)
		client, err := NewSourceClient(noCredentials, WithHTTPClient(&http.Client{Transport: s}))
		require.NoError(t, err)
		return client, s
	}
	synctest.Test(t, func(t *testing.T) {
		client, s := make(t, reply(503, ""), reply(201, `{"status":"SYNCED"}`))
		_, err := client.MigrationLink.Create(t.Context(), validID, "t0k3n")
		require.ErrorIs(t, err, ErrOutcomeUnknown, "it may be connected")
		assert.True(t, MayHaveCreated(err))
		assert.ErrorContains(t, err, "outcome unknown: organization "+validID+" may have been connected; call MigrationLink.Status before you connect it again: 503 Service Unavailable")
		link, err := client.MigrationLink.Create(t.Context(), validID, "t0k3n")
		require.NoError(t, err)
		assert.Equal(t, MigrationLinkSynced, link.Status)
		assert.Equal(t, "https://cloud.mongodb.com/api/public/v1.0/orgs/"+validID+"/liveExport/migrationLink", s.requests[0].URL.String())
		assert.Equal(t, `{"linkToken":"t0k3n"}`, s.bodies[0])
		assert.Equal(t, "application/json", s.requests[0].Header.Get("Accept"))

		client, s = make(t, reply(503, ""), reply(200, `{"status":"NOT_SYNCED"}`))
		link, err = client.MigrationLink.Status(t.Context(), validID)
		require.NoError(t, err)
		assert.Equal(t, MigrationLinkNotSynced, link.Status)
		assert.Len(t, s.requests, 2)

		client, _ = make(t, reply(500, ""), reply(404, `{"error":404,"errorCode":"X"}`))
		require.NoError(t, client.MigrationLink.Delete(t.Context(), validID), "the attempt before deleted it")
		client, _ = make(t, reply(400, `{"error":400,"errorCode":"X","detail":"bad token t0k3n"}`))
		_, err = client.MigrationLink.Create(t.Context(), validID, "t0k3n")
		require.ErrorIs(t, err, ErrBadRequest)
		assert.NotContains(t, err.Error(), "t0k3n")
		_, err = client.MigrationLink.Create(t.Context(), validID, " ")
		assert.ErrorContains(t, err, "linkToken is required")
		require.NoError(t, client.RevokeToken(t.Context()))
	})
	_, err := NewSourceClient(noCredentials, WithAPIVersion(APIv1))
	require.ErrorIs(t, err, ErrInvalidConfig)
	assert.ErrorContains(t, err, "livemigration: NewSourceClient: WithAPIVersion is not supported by NewSourceClient")
}
