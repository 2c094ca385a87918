package livemigration_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// bearer are credentials of a kind that this module does not have.
type bearer string

func (b bearer) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host != origin.Host {
			return nil, errors.New("another host")
		}
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+string(b))
		return base.RoundTrip(req)
	}), nil
}

// lost is what becomes of a call that took effect and whose response did not arrive: a read is repeated, a create request
// is not, and Atlas rejects a second cutover.
var lost = map[livemigrationtest.Operation]struct {
	requests, created int
	err               error
}{
	livemigrationtest.ListAvailableProjects: {2, 0, nil}, livemigrationtest.GetValidation: {2, 0, nil}, livemigrationtest.GetMigration: {2, 0, nil},
	livemigrationtest.CreateValidation: {2, 2, nil}, livemigrationtest.DeleteLinkToken: {2, -1, nil}, livemigrationtest.Cutover: {2, 0, livemigration.ErrOutcomeUnknown},
	livemigrationtest.CreateMigration: {1, 1, livemigration.ErrOutcomeUnknown}, livemigrationtest.CreateLinkToken: {1, 1, livemigration.ErrOutcomeUnknown},
}

func TestCallsWhoseResponseIsLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]livemigrationtest.Fault{
		"reset":              livemigrationtest.ResetAfterRequest(),
		"not JSON":           livemigrationtest.NonJSONBody(),
		"504 from a gateway": livemigrationtest.RawStatus(504, "", "").Processed(),
		"499 from a gateway": livemigrationtest.RawStatus(499, "text/html", "upstream took too long").Processed(),
	} {
		for _, operation := range operationCases {
			t.Run(name+"/"+string(operation.operation), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess()})
					before, want := a.jobs(), lost[operation.operation]
					a.Inject(operation.operation, fault, 1)
					_, err := operation.call(t.Context(), a)
					require.ErrorIs(t, err, want.err)
					assert.Equal(t, operation.method == http.MethodPost && want.err != nil, livemigration.MayHaveCreated(err))
					assert.Equal(t, want.requests, a.authenticated(), "authenticated requests")
					assert.Equal(t, want.created, a.jobs()-before, "jobs")
				})
			})
		}
	}
}

func TestAFailureThatStaysEndsAfterMaxAttempts(t *testing.T) {
	t.Parallel()
	for _, fault := range []livemigrationtest.Fault{livemigrationtest.Status(503), livemigrationtest.Status(429), livemigrationtest.ResetBeforeRequest()} {
		synctest.Test(t, func(t *testing.T) {
			a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess()}, livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 3}))
			a.Inject(livemigrationtest.GetMigration, fault, 9)
			var resp livemigration.Response
			_, err := a.client.Migrations.Get(t.Context(), a.ProjectID(), a.migration, livemigration.CaptureResponse(&resp))
			require.Error(t, err)
			assert.Equal(t, 3, a.authenticated())
			assert.Equal(t, 3, resp.Attempts)
			assert.ErrorContains(t, err, "(after 3 attempts)")
		})
	}
}

// wrapped are credentials whose transport the client does not know.
type wrapped struct{ livemigration.Credentials }

func (w wrapped) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	inside, err := w.Credentials.Transport(origin, base)
	return roundTripper(inside.RoundTrip), err
}

func TestCredentialsOfAnotherPackage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess()})
		client := newClient(t, wrapped{a.ServiceAccountCredentials()}, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(a.HTTPClient()))
		_, err := client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
		require.NoError(t, err)
		a.ResetRequests()
		a.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, err = client.Migrations.Create(t.Context(), a.ProjectID(), a.SampleRequest())
		require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		assert.Equal(t, 1, a.authenticated())
		a.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, err = client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
		require.NoError(t, err)
	})
}
