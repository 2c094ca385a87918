package livemigration_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

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

// outcome is what becomes of a call whose first attempt fails.
type outcome struct {
	attempts int   // authenticated requests
	err      error // nil for success
	unknown  bool  // the error is an OutcomeUnknownError
	created  int   // jobs more than before
}

// classes are the rows of the retry table; a creation that is retried is a row of its own for what it leaves behind,
// and so are the two whose retry Atlas rejects.
var classes = map[livemigrationtest.Operation]string{
	livemigrationtest.GetMigration: "read", livemigrationtest.GetValidation: "read", livemigrationtest.ListAvailableProjects: "read",
	livemigrationtest.CreateValidation: "validate", livemigrationtest.DeleteLinkToken: "delete", livemigrationtest.Cutover: "cutover",
	livemigrationtest.CreateMigration: "create", livemigrationtest.CreateLinkToken: "create",
}

func TestRetryTable(t *testing.T) {
	t.Parallel()
	var (
		srv      = livemigration.ErrServer
		conflict = livemigration.ErrConflict
		none     = map[string]outcome{}
	)
	retried := map[string]outcome{
		"read": {2, nil, false, 0}, "validate": {2, nil, false, 1}, "delete": {2, nil, false, -1}, "cutover": {2, nil, false, 0}, "create": {2, nil, false, 1},
	}
	with := func(base map[string]outcome, class string, o outcome) map[string]outcome {
		changed := map[string]outcome{class: o}
		for k, v := range base {
			if _, ok := changed[k]; !ok {
				changed[k] = v
			}
		}
		return changed
	}
	unknown := with(retried, "create", outcome{1, srv, true, 0})
	slow := with(retried, "create", outcome{1, nil, true, 0})
	// lost: carried out, and the response did not arrive.
	lost := map[string]outcome{
		"read": {2, nil, false, 0}, "validate": {2, nil, false, 2}, "delete": {2, nil, false, -1}, "cutover": {2, conflict, true, 0}, "create": {1, nil, true, 1},
	}
	for _, tc := range []struct {
		name  string
		op    livemigrationtest.Operation // the operation itself when empty
		fault livemigrationtest.Fault
		want  map[string]outcome
	}{
		{"no fault", "", livemigrationtest.Fault{}, none},
		{"unsent: reset while credentials are negotiated", livemigrationtest.Handshake, livemigrationtest.ResetBeforeRequest(), none},
		{"unsent: gateway error while credentials are negotiated", livemigrationtest.Handshake, livemigrationtest.RawStatus(502, "text/html", "<h1>oops</h1>"), none},
		{"429", "", livemigrationtest.Status(429).WithRetryAfter(2 * time.Second), retried},
		{"429 without Retry-After", "", livemigrationtest.Status(429), retried},
		{"503 with Retry-After", "", livemigrationtest.Status(503).WithRetryAfter(2 * time.Second), retried},
		{"500", "", livemigrationtest.Status(500), unknown},
		{"502", "", livemigrationtest.Status(502), unknown},
		{"503", "", livemigrationtest.Status(503), unknown},
		{"504", "", livemigrationtest.Status(504), unknown},
		{"500 from a gateway", "", livemigrationtest.RawStatus(500, "", ""), unknown},
		{"502 from a gateway", "", livemigrationtest.RawStatus(502, "text/html", "<h1>oops</h1>"), unknown},
		{"503 from a gateway", "", livemigrationtest.RawStatus(503, "text/html", "<h1>oops</h1>"), unknown},
		{"504 from a gateway", "", livemigrationtest.RawStatus(504, "", ""), unknown},
		{"504 from a gateway, carried out", "", livemigrationtest.RawStatus(504, "", "").Processed(), with(lost, "create", outcome{1, srv, true, 1})},
		{"501", "", livemigrationtest.RawStatus(501, "", ""), unknown},
		{"408 from a gateway", "", livemigrationtest.RawStatus(408, "text/html", "<p>upstream took too long</p>"), slow},
		{"408 from a gateway, carried out", "", livemigrationtest.RawStatus(408, "text/html", "upstream took too long").Processed(), lost},
		{"421", "", livemigrationtest.RawStatus(421, "", ""), slow},
		{"425", "", livemigrationtest.RawStatus(425, "", ""), slow},
		{"460", "", livemigrationtest.RawStatus(460, "", ""), slow},
		{"499, carried out", "", livemigrationtest.RawStatus(499, "", "").Processed(), lost},
		{"reset before the request is read", "", livemigrationtest.ResetBeforeRequest(), with(retried, "create", outcome{1, nil, true, 0})},
		{"reset after the request", "", livemigrationtest.ResetAfterRequest(), lost},
		{"truncated response", "", livemigrationtest.TruncatedBody(), with(lost, "cutover", outcome{1, nil, false, 0})},
		{"response that is not JSON", "", livemigrationtest.NonJSONBody(), lost},
		{"wrong media type", "", livemigrationtest.WrongMediaType(), none},
	} {
		for _, operation := range operationCases {
			t.Run(tc.name+"/"+string(operation.operation), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess()})
					before := a.jobs()
					target := tc.op
					if target == "" {
						target = operation.operation
					}
					a.Inject(target, tc.fault, 1)
					var resp livemigration.Response
					_, err := operation.call(t.Context(), a, livemigration.CaptureResponse(&resp))

					class := classes[operation.operation]
					want, ok := tc.want[class]
					if !ok { // as without any fault
						want = retried[class]
						want.attempts = 1
					}
					if want.err != nil || want.unknown {
						require.ErrorIs(t, err, cmpErr(want.err, livemigration.ErrOutcomeUnknown))
					} else {
						require.NoError(t, err)
					}
					assert.Equal(t, want.unknown, errors.Is(err, livemigration.ErrOutcomeUnknown))
					assert.Equal(t, want.attempts, a.authenticated(), "authenticated requests")
					assert.Equal(t, want.created, a.jobs()-before, "jobs")
					assert.Zero(t, a.PendingFaultCount())
				})
			})
		}
	}
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
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

func TestCredentialsOfAnotherPackage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess(), livemigrationtest.WithoutAuthentication()})
		client, err := livemigration.NewClient(bearer("t0k3n"), livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(a.HTTPClient()))
		require.NoError(t, err)
		a.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, err = client.Migrations.Create(t.Context(), a.ProjectID(), a.SampleRequest())
		require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		assert.Equal(t, 1, a.authenticated())
		a.Inject(livemigrationtest.GetMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, err = client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
		require.NoError(t, err)
	})
}
