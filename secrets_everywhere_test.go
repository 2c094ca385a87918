package livemigration_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// forms are the ways in which a secret may stand in a text.
func forms(secret string) []string {
	return []string{
		secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))), fmt.Sprintf("% x", secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		url.QueryEscape(secret), fmt.Sprint([]byte(secret)),
	}
}

// rendered is every way in which a program shows a value. Of all verbs, %p and %w are left out: for a value that is no
// pointer and no error they are mistakes, which go vet reports, and for which package fmt asks no value how to print.
func rendered(value any) []string {
	var out []string
	for verb := 'A'; verb <= 'z'; verb++ {
		if verb == 'p' || verb == 'w' {
			continue
		}
		for _, flags := range []string{"%", "%+", "%#", "%40.30"} {
			out = append(out, fmt.Sprintf(flags+string(verb), value))
		}
	}
	if data, err := json.Marshal(value); err == nil {
		out = append(out, string(data))
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).With("with", value).Info("message", "value", value, slog.Group("group", "value", value))
	}
	return append(out, log.String())
}

func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	nonces := map[string]bool{}
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	public, private := srv.APIKey()
	watching := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := srv.Transport().RoundTrip(req)
		if err == nil {
			if m := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(resp.Header.Get("WWW-Authenticate")); m != nil {
				nonces[m[1]] = true
			}
		}
		return resp, err
	})
	client, err := livemigration.NewClient(srv.Credentials(), livemigration.WithBaseURL(srv.URL()), quick,
		livemigration.WithHTTPClient(&http.Client{Transport: watching}),
		livemigration.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	require.NoError(t, err)
	request := srv.SampleRequest()
	request.Source.Password = "hunter2+/="

	token, err := client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	var response livemigration.Response
	values := map[string]any{
		"client": client, "client value": *client, "service": client.LinkTokens, "credentials": srv.Credentials(),
		"credentials in a struct": struct{ C livemigration.Credentials }{srv.Credentials()}, "credentials in a hidden field": struct{ c livemigration.Credentials }{srv.Credentials()},
		"request": request, "request pointer": &request, "requests": []livemigration.MigrationRequest{request}, "source": request.Source,
		"link-token": token, "link-token value": *token, "secret": token.Token, "server": srv, "records": srv.Recorded(),
		"captured response": &response,
	}
	for name, err := range failures(t, client, srv, request, &response) {
		require.Error(t, err, name)
		values["error: "+name] = err
	}
	require.NotEmpty(t, nonces)
	require.NotEmpty(t, log.String())
	values["log"] = log.String()

	secrets := []string{private.Reveal(), public, request.Source.Password.Reveal(), token.Token.Reveal()}
	for nonce := range nonces {
		secrets = append(secrets, nonce)
	}
	for name, value := range values {
		for _, text := range rendered(value) {
			for _, secret := range secrets {
				for _, form := range forms(secret) {
					if strings.Contains(text, form) {
						t.Fatalf("%s shows a secret", name)
					}
				}
			}
			assert.NotContains(t, text, "Digest username")
		}
	}
}

// failures makes one error of every kind.
func failures(t *testing.T, client *livemigration.Client, srv *livemigrationtest.Server, request livemigration.MigrationRequest, response *livemigration.Response) map[string]error {
	t.Helper()
	ctx, project := t.Context(), srv.ProjectID()
	create := func(faults ...livemigrationtest.Fault) error {
		for _, fault := range faults {
			srv.Inject(livemigrationtest.CreateMigration, fault, 1)
		}
		_, err := client.Migrations.Create(ctx, project, request)
		return err
	}
	found := map[string]error{
		"conflict":  create(livemigrationtest.Status(409)),
		"echo":      create(livemigrationtest.Status(400).WithDetail("got " + request.Source.Password.Reveal())),
		"HTML echo": create(livemigrationtest.RawStatus(400, "text/html", "<p>"+url.QueryEscape(request.Source.Password.Reveal()))),
		"reset":     create(livemigrationtest.ResetAfterRequest()),
		"no JSON":   create(livemigrationtest.NonJSONBody()),
	}
	request.Source.ManagedAuthentication = true
	found["invalid"] = create()
	wrong, err := livemigration.NewClient(livemigration.APIKey("wr0ngpublic", "wr0ngprivate"), livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
	require.NoError(t, err)
	_, found["unauthorized"] = wrong.Migrations.Get(ctx, project, jobID, livemigration.CaptureResponse(response))
	assert.NotContains(t, fmt.Sprintf("%+v %v", response, found["unauthorized"]), "wr0ng")
	request.Source.ManagedAuthentication = false
	srv.FailNextValidation("cannot authenticate")
	validation, err := client.Validations.Create(ctx, project, request)
	require.NoError(t, err)
	migration := srv.Migrations()[0].ID
	srv.Advance(srv.Timings().Validation)
	require.NoError(t, srv.FailMigration(migration))
	_, found["validation failed"] = client.Validations.Wait(ctx, project, validation.ID)
	_, found["migration failed"] = client.Migrations.WaitComplete(ctx, project, migration)
	found["rate limited"] = create(livemigrationtest.Status(429).WithRetryAfter(1e15)) // holds the project from here on
	_, found["new client"] = livemigration.NewClient(nil, livemigration.WithBaseURL("https://"+request.Source.Password.Reveal()))
	return found
}
