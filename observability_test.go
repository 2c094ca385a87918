package livemigration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func wrapper(wrap func(*http.Request, http.RoundTripper) (*http.Response, error)) livemigration.Option {
	return livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) { return wrap(req, base) })
	})
}

func TestAWrapperSeesEachAttemptWithoutCredentials(t *testing.T) {
	t.Parallel()
	for name, credentials := range map[string]func(*livemigrationtest.Server) livemigration.Credentials{
		"API key": (*livemigrationtest.Server).Credentials, "service account": (*livemigrationtest.Server).ServiceAccountCredentials,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := inProcess()
				defer srv.Close()
				var seen []string
				see := func(mark string) livemigration.Option {
					return wrapper(func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
						attempt, ok := livemigration.AttemptFromContext(req.Context())
						assert.True(t, ok)
						assert.Empty(t, req.Header["Authorization"])
						resp, err := base.RoundTrip(req)
						if err != nil {
							seen = append(seen, fmt.Sprint(mark, attempt, " failed"))
							return nil, err
						}
						assert.Empty(t, resp.Request.Header["Authorization"])
						seen = append(seen, fmt.Sprint(mark, attempt, resp.StatusCode))
						return resp, nil
					})
				}
				client := newClient(t, credentials(srv), livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()), see("inner "), see("outer "))
				srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(429), 1)
				create(t, srv, client)
				srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.ResetAfterRequest(), 1)
				_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
				require.NoError(t, err)
				project, org := string(srv.ProjectID()), string(srv.OrgID())
				assert.Equal(t, []string{
					"inner {Migrations.Create " + project + " 1} 429", "outer {Migrations.Create " + project + " 1} 429",
					"inner {Migrations.Create " + project + " 2} 201", "outer {Migrations.Create " + project + " 2} 201",
					"inner {AvailableProjects.List " + org + " 1} failed", "outer {AvailableProjects.List " + org + " 1} failed",
					"inner {AvailableProjects.List " + org + " 2} 200", "outer {AvailableProjects.List " + org + " 2} 200",
				}, seen)
				_, ok := livemigration.AttemptFromContext(t.Context())
				assert.False(t, ok)
			})
		})
	}
}

// Whatever a wrapper does, no create request that may have been sent is sent again.
func TestAWrapperThatHidesRequestsMakesNothingTwice(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		wrap    func(*http.Request, http.RoundTripper) (*http.Response, error)
		fault   livemigrationtest.Fault
		unknown bool
		jobs    int
	}{
		"drops the context": {func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			return base.RoundTrip(req.WithContext(context.WithoutCancel(context.Background())))
		}, livemigrationtest.ResetAfterRequest(), true, 1},
		"fails by itself": {func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, broken }, livemigrationtest.Fault{}, true, 0},
		"loses a response": {func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			if resp, err := base.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
			return nil, broken
		}, livemigrationtest.Fault{}, true, 1},
		"passes on": {func(req *http.Request, base http.RoundTripper) (*http.Response, error) { return base.RoundTrip(req) },
			livemigrationtest.Status(503).WithRetryAfter(0), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := inProcess()
				defer srv.Close()
				client, err := srv.NewClient(wrapper(tc.wrap))
				require.NoError(t, err)
				srv.Inject(livemigrationtest.CreateMigration, tc.fault, 1)
				if !tc.unknown {
					srv.Inject(livemigrationtest.Handshake, livemigrationtest.ResetAfterRequest(), 2)
				}
				_, err = client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
				assert.Equal(t, tc.unknown, errors.Is(err, livemigration.ErrOutcomeUnknown), err)
				assert.Len(t, srv.Migrations(), tc.jobs)
			})
		})
	}
}

func TestWrappersThatCannotWork(t *testing.T) {
	t.Parallel()
	for want, wrap := range map[string]func(http.RoundTripper) http.RoundTripper{
		"WithTransportWrapper: the function must not be nil": nil,
		"WithTransportWrapper: the function returned nil":    func(http.RoundTripper) http.RoundTripper { return nil },
	} {
		_, err := livemigration.NewClient(livemigration.APIKey("a", "b"), livemigration.WithTransportWrapper(wrap))
		require.ErrorContains(t, err, want)
	}
}
