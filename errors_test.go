package livemigration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErrorShapes(t *testing.T) {
	t.Parallel()
	full := `{"error": 400, "errorCode": "VALIDATION_ERROR", "reason": "Bad Request", "detail": "human text",
		"parameters": ["any", 55, null], "badRequestDetail": {"fields": [{"field": "destination.groupId", "description": "must be 24 hex digits"}]}}`
	const advice = " (check the credentials; they can also be rejected because of a missing role or the IP access list)"
	for _, tc := range []struct {
		name     string
		step     func(*http.Request) (*http.Response, error)
		want     APIError
		sentinel error
		message  string
	}{
		{"Atlas's JSON", reply(400, full, "X-Request-Id", "req-1"), APIError{StatusCode: 400, Code: "VALIDATION_ERROR", Reason: "Bad Request", Detail: "human text",
			Parameters: []any{"any", 55.0, nil}, Fields: []FieldViolation{{"destination.groupId", "must be 24 hex digits"}}, RequestID: "req-1"},
			ErrBadRequest, "400 VALIDATION_ERROR: human text: destination.groupId must be 24 hex digits"},
		{"code only", reply(409, `{"errorCode":"X"}`), APIError{StatusCode: 409, Code: "X", Reason: "Conflict"}, ErrConflict, "409 X"},
		{"no code", reply(404, `{"error":404,"detail":"gone fishing"}`), APIError{StatusCode: 404, Reason: "Not Found", Detail: "gone fishing"}, ErrNotFound, "404 Not Found: gone fishing"},
		{"members of other types", reply(403, `{"error":"403","errorCode":"X","detail":["a"],"parameters":"p","badRequestDetail":null}`),
			APIError{StatusCode: 403, Code: "X", Reason: "Forbidden"}, ErrForbidden, "403 X"},
		{"JSON labelled as HTML", reply(410, `{"errorCode":"VERSION_GONE"}`, "Content-Type", "text/html"), APIError{StatusCode: 410, Code: "VERSION_GONE", Reason: "Gone"}, ErrVersionGone, "410 VERSION_GONE"},
		{"another JSON", reply(401, `{"message":"no"}`), APIError{StatusCode: 401, Reason: "Unauthorized", Detail: `{"message":"no"}` + advice}, ErrUnauthorized, `401 Unauthorized: {"message":"no"}` + advice},
		{"HTML page", reply(502, "<html><head><style>b{c:d}</style><title>502</title></head>\n<body><script>x<y</script><h1>Bad  Gateway</h1>\n</body>", "Content-Type", "text/html"),
			APIError{StatusCode: 502, Reason: "Bad Gateway", Detail: "502 Bad Gateway"}, ErrServer, "502 Bad Gateway: 502 Bad Gateway"},
		{"empty", reply(500, ""), APIError{StatusCode: 500, Reason: "Internal Server Error"}, ErrServer, "500 Internal Server Error"},
		{"unassigned status", reply(599, ""), APIError{StatusCode: 599}, ErrServer, "599"},
		{"control characters", reply(400, "{\"errorCode\":\"A\\u001b[31mB\",\"detail\":\"a\\r\\nb\\u0000\\u202ec\"}"), APIError{StatusCode: 400, Code: "A [31mB", Reason: "Bad Request", Detail: "a b c"}, ErrBadRequest, "400 A [31mB: a b c"},
		{"rate limited, by header", reply(429, `{"errorCode":"RATE_LIMITED"}`, "Retry-After", "7"), APIError{StatusCode: 429, Code: "RATE_LIMITED", Reason: "Too Many Requests", RetryAfter: 7 * time.Second}, ErrRateLimited, "429 RATE_LIMITED (retry after 7s)"},
		{"redirect", reply(302, "", "Location", "https://evil.example/x?y"), APIError{StatusCode: 302, Reason: "Found", Detail: "redirect to evil.example rejected: check the base URL; is a proxy or maintenance page in between?"}, nil, "302 Found: redirect to evil.example rejected: check the base URL; is a proxy or maintenance page in between?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client := script(tc.step).client(t, once)
			_, err := client.Migrations.Get(t.Context(), destinationID, validID)
			var api *APIError
			require.ErrorAs(t, err, &api)
			tc.want.Operation, tc.want.Method, tc.want.Path, tc.want.Attempts = "Migrations.Get", "GET", getPath, 1
			api.Duration = 0
			assert.Equal(t, tc.want, *api)
			assert.EqualError(t, err, "livemigration: Migrations.Get: GET "+getPath+": "+tc.message)
			for _, sentinel := range []error{ErrBadRequest, ErrUnauthorized, ErrForbidden, ErrNotFound, ErrConflict, ErrVersionGone, ErrRateLimited, ErrServer} {
				assert.Equal(t, sentinel == tc.sentinel, errors.Is(err, sentinel), sentinel.Error())
			}
			wrapped := fmt.Errorf("tool: %w", err)
			assert.ErrorAs(t, wrapped, &api)
		})
	}
}

func TestEverythingInvalidIsNamedAtOnceAndNothingSent(t *testing.T) {
	t.Parallel()
	s := script(reply(200, migrationJSON))
	request := validRequest()
	request.Source.ClusterName = ""
	//lint:ignore SA1012 a nil context is one of the things that are rejected
	_, err := s.client(t).Migrations.Create(nil, "x", request, WithHeader("Authorization", "a"))
	var invalid *InvalidRequestError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, []FieldViolation{
		{"ctx", "must not be nil"},
		{"project ID", "has 1 character; must be 24 lowercase hexadecimal digits"},
		{"source.clusterName", "is required"},
		{`header "Authorization"`, "is set by the client"},
	}, invalid.Violations)
	assert.Empty(t, s.requests)
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	t.Parallel()
	s := script(reply(200, migrationJSON))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest())
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	assert.Empty(t, s.requests)
}

func TestAResponseThatIsASecretIsNeverQuoted(t *testing.T) {
	t.Parallel()
	for _, step := range []func(*http.Request) (*http.Response, error){
		reply(502, `{"linkToken":"l1nk-t0ken"}`), reply(400, `l1nk-t0ken`), reply(200, `{"linkToken":["l1nk-t0ken","l1nk-t0ken"]}`), reply(200, `"l1nk-t0ken`),
	} {
		_, err := script(step).client(t, once).LinkTokens.Create(t.Context(), validID, LinkTokenRequest{})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "l1nk-t0ken")
	}
	_, err := script(reply(400, `{"errorCode":"X","detail":"why"}`)).client(t, once).LinkTokens.Create(t.Context(), validID, LinkTokenRequest{})
	require.ErrorContains(t, err, "400 X: why")
}

func TestErrorsThatTheProgramMakesDoNotPanic(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&APIError{}, &InvalidRequestError{}, &OutcomeUnknownError{}, &ValidationFailedError{}, &MigrationFailedError{}} {
		assert.NotEmpty(t, err.Error())
		assert.NotErrorIs(t, err, ErrMigrationExpired)
	}
}
