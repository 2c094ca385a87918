package livemigration_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// setEnv leaves no variable of Atlas's tools but those given.
func setEnv(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{"ACCESS_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "PUBLIC_API_KEY", "PUBLIC_KEY", "PRIVATE_API_KEY", "PRIVATE_KEY", "BASE_URL", "OPS_MANAGER_URL", "SERVICE"} {
		name = "MONGODB_ATLAS_" + name
		t.Setenv(name, "")
		if value, ok := variables[name]; ok {
			require.NoError(t, os.Setenv(name, value))
		} else {
			require.NoError(t, os.Unsetenv(name))
		}
	}
}

func TestClientFromTheEnvironment(t *testing.T) {
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	id, secret := srv.ServiceAccount()
	public, private := srv.APIKey()
	account := map[string]string{"MONGODB_ATLAS_CLIENT_ID": id, "MONGODB_ATLAS_CLIENT_SECRET": secret.Reveal()}
	key := map[string]string{"MONGODB_ATLAS_PUBLIC_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal()}
	with := func(base map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		for name, value := range base {
			all[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	const elsewhere = "http://127.0.0.1:1"
	for name, tc := range map[string]struct {
		env  map[string]string
		opts []livemigration.Option
		want string // of the error, empty: a call succeeds
	}{
		"service account":              {with(account, "MONGODB_ATLAS_BASE_URL", srv.URL()), nil, ""},
		"key":                          {with(key, "MONGODB_ATLAS_BASE_URL", srv.URL()+"/"), nil, ""},
		"the other name of the URL":    {with(key, "MONGODB_ATLAS_OPS_MANAGER_URL", " "+srv.URL()), nil, ""},
		"both names of the URL, equal": {with(key, "MONGODB_ATLAS_BASE_URL", srv.URL(), "MONGODB_ATLAS_OPS_MANAGER_URL", srv.URL()+"/"), nil, ""},
		"two URLs that differ":         {with(key, "MONGODB_ATLAS_BASE_URL", srv.URL(), "MONGODB_ATLAS_OPS_MANAGER_URL", elsewhere), nil, "MONGODB_ATLAS_OPS_MANAGER_URL and MONGODB_ATLAS_BASE_URL differ"},
		"the public service":           {with(key, "MONGODB_ATLAS_BASE_URL", srv.URL(), "MONGODB_ATLAS_SERVICE", "cloud"), nil, ""},
		"an unknown service":           {with(key, "MONGODB_ATLAS_SERVICE", "cloudgo"), nil, `MONGODB_ATLAS_SERVICE must be "cloud" or "cloudgov"`},
		"Government at the public URL": {with(account, "MONGODB_ATLAS_SERVICE", "cloudgov", "MONGODB_ATLAS_BASE_URL", "https://cloud.mongodb.com"), nil,
			"MONGODB_ATLAS_SERVICE is cloudgov, but MONGODB_ATLAS_BASE_URL is the URL of the public Atlas"},
		"an option wins":                 {with(key, "MONGODB_ATLAS_BASE_URL", elsewhere), []livemigration.Option{livemigration.WithBaseURL(srv.URL())}, ""},
		"an option wins over nonsense":   {with(key, "MONGODB_ATLAS_BASE_URL", "nonsense"), []livemigration.Option{livemigration.WithBaseURL(srv.URL())}, ""},
		"a malformed URL is not ignored": {with(key, "MONGODB_ATLAS_BASE_URL", "cloud.mongodbgov.com"), nil, "livemigration: NewClientFromEnv: MONGODB_ATLAS_BASE_URL: the base URL must be absolute, such as https://cloud.mongodb.com"},
		"nor a blank one":                {with(key, "MONGODB_ATLAS_OPS_MANAGER_URL", " "), nil, "MONGODB_ATLAS_OPS_MANAGER_URL: the base URL must be absolute"},
		"no credentials":                 {nil, nil, "no credentials in the environment; set one of: MONGODB_ATLAS_CLIENT_ID and"},
		"half an account":                {with(key, "MONGODB_ATLAS_CLIENT_ID", id), nil, "NewClientFromEnv: MONGODB_ATLAS_CLIENT_SECRET is not set"},
		"a token with whitespace":        {with(nil, "MONGODB_ATLAS_ACCESS_TOKEN", "a b"), nil, "the access token contains whitespace"},
		"everything that is wrong":       {with(key, "MONGODB_ATLAS_BASE_URL", "nonsense"), []livemigration.Option{livemigration.WithAttemptTimeout(-1)}, "WithAttemptTimeout: the timeout must be positive; MONGODB_ATLAS_BASE_URL: "},
		"everything, without keys": {with(nil, "MONGODB_ATLAS_BASE_URL", "nonsense"), []livemigration.Option{livemigration.WithAttemptTimeout(-1)},
			"WithAttemptTimeout: the timeout must be positive; no credentials in the environment; set one of: MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET (service account); " +
				"MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY (API key); MONGODB_ATLAS_ACCESS_TOKEN; MONGODB_ATLAS_BASE_URL: the base URL must be absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnv(t, tc.env)
			client, err := livemigration.NewClientFromEnv(tc.opts...)
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				assert.ErrorIs(t, err, livemigration.ErrInvalidConfig)
				return
			}
			require.NoError(t, err)
			defer client.CloseIdleConnections()
			_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
			require.NoError(t, err)
		})
	}
}

func TestCredentialsFromTheEnvironment(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"livemigration.APIKey([REDACTED])":                                      {"MONGODB_ATLAS_PUBLIC_KEY": "public", "MONGODB_ATLAS_PRIVATE_KEY": "private\n"},
		"livemigration.ServiceAccount([REDACTED])":                              {"MONGODB_ATLAS_CLIENT_ID": "id ", "MONGODB_ATLAS_CLIENT_SECRET": "secret", "MONGODB_ATLAS_PUBLIC_KEY": "x"},
		"MONGODB_ATLAS_PRIVATE_API_KEY or MONGODB_ATLAS_PRIVATE_KEY is not set": {"MONGODB_ATLAS_PUBLIC_KEY": "hunter2", "MONGODB_ATLAS_PRIVATE_KEY": " "},
		"MONGODB_ATLAS_CLIENT_ID is not set":                                    {"MONGODB_ATLAS_CLIENT_SECRET": "hunter2", "MONGODB_ATLAS_PUBLIC_KEY": "x"},
	} {
		setEnv(t, env)
		credentials, err := livemigration.CredentialsFromEnv()
		if err != nil {
			require.EqualError(t, err, "livemigration: CredentialsFromEnv: "+want)
			require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
			continue
		}
		assert.Equal(t, want, fmt.Sprint(credentials))
		newClient(t, credentials)
	}
}

func TestAnAccessTokenInTheEnvironmentComesFirst(t *testing.T) {
	var header string
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		header = req.Header.Get("Authorization")
		return nil, errors.New("enough")
	})
	setEnv(t, map[string]string{"MONGODB_ATLAS_ACCESS_TOKEN": "t0k3n", "MONGODB_ATLAS_CLIENT_ID": "id", "MONGODB_ATLAS_PUBLIC_KEY": "public"})
	client, err := livemigration.NewClientFromEnv(livemigration.WithHTTPClient(&http.Client{Transport: base}), quick)
	require.NoError(t, err)
	_, err = client.Migrations.Get(t.Context(), projectID, jobID)
	require.Error(t, err)
	assert.Equal(t, "Bearer t0k3n", header)
}

// tokens is a source of tokens that somebody else issues.
type tokens struct {
	issue func(n int) (*oauth2.Token, error)
	n     int
}

func (s *tokens) Token() (*oauth2.Token, error) { s.n++; return s.issue(s.n) }

func TestASourceThatGivesNoToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		token *oauth2.Token
		err   error
		want  string
		is    error
	}{
		"an error":           {nil, errors.New("vault is sealed"), "token source: vault is sealed", nil},
		"nothing":            {nil, nil, "livemigration: Migrations.Create: POST /groups/" + string(projectID) + "/liveMigrations: token source: ", nil},
		"another type":       {&oauth2.Token{AccessToken: "t", TokenType: "mac"}, nil, "not a bearer token", nil},
		"a rejected account": {nil, &oauth2.RetrieveError{Response: &http.Response{StatusCode: 401, Header: http.Header{}}}, "401 Unauthorized", livemigration.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := &tokens{issue: func(int) (*oauth2.Token, error) { return tc.token, tc.err }}
			client := newClient(t, livemigration.TokenSource(source), quick, livemigration.WithHTTPClient(&http.Client{Transport: roundTripper(
				func(*http.Request) (*http.Response, error) {
					t.Error("sent without a token")
					return nil, errors.New("no")
				})}))
			_, err := client.Migrations.Create(t.Context(), projectID, request())
			require.ErrorContains(t, err, tc.want)
			assert.False(t, livemigration.MayHaveCreated(err))
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
	_, err := livemigration.NewClient(livemigration.TokenSource(nil))
	require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
	require.ErrorContains(t, err, "the token source must not be nil")
}

func TestDefaultsOfWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
		defer srv.Close()
		client, err := srv.NewClient(livemigration.WithWaitDefaults(livemigration.WithPollInterval(time.Hour, time.Hour)))
		require.NoError(t, err)
		v, err := client.Validations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
		require.NoError(t, err)
		_, err = client.Validations.Wait(t.Context(), srv.ProjectID(), v.ID, livemigration.WithPollInterval(time.Second, time.Second))
		require.NoError(t, err)
		m, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
		require.NoError(t, err)
		begun := time.Now()
		_, err = client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), m.ID)
		require.NoError(t, err)
		assert.Greater(t, time.Since(begun), 40*time.Minute)
	})
	_, err := livemigration.NewClient(livemigration.APIKey("public", "private"), livemigration.WithWaitDefaults(livemigration.WithMaxOutage(-1)))
	require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
	require.ErrorContains(t, err, "WithWaitDefaults: WithMaxOutage must not be negative")
}
