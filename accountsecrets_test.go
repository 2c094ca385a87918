package livemigration_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The secret goes to the token endpoint of the configured host, and to nothing else.
func TestWhereTheClientSecretGoes(t *testing.T) {
	t.Parallel()
	srv := inProcess()
	defer srv.Close()
	id, secret := srv.ServiceAccount()
	var basic, bearer []string
	base := srv.HTTPClient().Transport
	hc := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		target := req.Method + " " + req.URL.Scheme + "://" + req.URL.Host + req.URL.Path
		switch value := req.Header.Get("Authorization"); {
		case strings.HasPrefix(value, "Basic "):
			basic = append(basic, target)
		case strings.HasPrefix(value, "Bearer "):
			bearer = append(bearer, target)
		}
		assert.NotContains(t, fmt.Sprint(req.URL, req.Header), secret)
		return base.RoundTrip(req)
	})}
	client := newClient(t, livemigration.ServiceAccount(id, secret), livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(hc))
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Redirect("https://evil.example/"), 1)
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorContains(t, err, "redirect to evil.example rejected")
	require.NoError(t, client.RevokeToken(t.Context()))
	assert.Equal(t, []string{"POST https://atlas.test/api/oauth/token", "POST https://atlas.test/api/oauth/revoke"}, basic)
	assert.Equal(t, []string{"GET https://atlas.test/api/atlas/v2/orgs/" + string(srv.OrgID()) + "/liveMigrations/availableProjects"}, bearer)
	_, err = livemigration.NewClient(livemigration.ServiceAccount(id, secret), livemigration.WithBaseURL("http://atlas.example"))
	require.ErrorContains(t, err, "plain http is for loopback addresses only")
}

func TestNothingShowsAServiceAccount(t *testing.T) {
	t.Parallel()
	srv := inProcess()
	id, secret := srv.ServiceAccount()
	var token string
	base := srv.HTTPClient().Transport
	credentials := srv.ServiceAccountCredentials()
	client := newClient(t, credentials, livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(&http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if value, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
			token = value
		}
		return base.RoundTrip(req)
	})}))
	defer srv.Close()
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.NoError(t, err)
	require.NotEmpty(t, token)
	hidden := map[string]bool{token: true}
	values := map[string]any{"client": client, "client value": *client, "credentials": credentials, "in a struct": struct{ c livemigration.Credentials }{credentials}}
	for name, latest := range map[string]func() string{
		"secret": secret.Reveal, "token": func() string { return token },
		"basic": func() string { return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret.Reveal())) },
	} {
		_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
		echo := latest()
		hidden[echo] = true
		srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Status(400).WithDetail("got "+echo), 1)
		_, values["echoed "+name] = client.AvailableProjects.List(t.Context(), srv.OrgID())
		srv.ExpireTokens()
		srv.Inject(livemigrationtest.IssueToken, livemigrationtest.RawStatus(400, "application/json", `{"error":"x","error_description":"got `+echo+`"}`), 1)
		_, values["token request, echoed "+name] = client.AvailableProjects.List(t.Context(), srv.OrgID())
		srv.Inject(livemigrationtest.IssueToken, livemigrationtest.RawStatus(400, "text/html", `<p>got `+echo), 1)
		_, values["token page, echoed "+name] = client.AvailableProjects.List(t.Context(), srv.OrgID())
	}
	for name, value := range values {
		if strings.Contains(name, "echoed") {
			require.ErrorContains(t, value.(error), "[REDACTED]", name)
		}
		for _, text := range rendered(value) {
			for secret := range hidden {
				assert.NotContains(t, text, secret, name)
			}
		}
	}
}

// An error of net/http may hold what a server wrote, such as the header that it got.
func TestNoErrorLeadsToWhatAServerEchoed(t *testing.T) {
	t.Parallel()
	srv := inProcess()
	defer srv.Close()
	id, secret := srv.ServiceAccount()
	var proofs []string
	base := srv.HTTPClient().Transport
	client := newClient(t, livemigration.ServiceAccount(id, secret), quick, livemigration.WithBaseURL(srv.URL()),
		livemigration.WithHTTPClient(&http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/token") {
				return base.RoundTrip(req)
			}
			_, proof, _ := strings.Cut(req.Header.Get("Authorization"), " ")
			proofs = append(proofs, proof)
			return nil, fmt.Errorf("read: %w", fmt.Errorf("malformed HTTP response %q: %w", "your "+proof, io.ErrUnexpectedEOF))
		})}))
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	for _, err := range []error{err, client.RevokeToken(t.Context())} {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, "malformed HTTP response")
		for ; err != nil; err = errors.Unwrap(err) {
			for _, text := range rendered(err) {
				for _, proof := range proofs {
					assert.NotContains(t, text, proof)
				}
			}
		}
	}
}
