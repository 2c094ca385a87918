package livemigration

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// credentialsFunc are credentials that are not of this package.
type credentialsFunc func(*url.URL, http.RoundTripper) (http.RoundTripper, error)

func (f credentialsFunc) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	return f(origin, base)
}

// noCredentials send everything as it is.
var noCredentials = credentialsFunc(func(_ *url.URL, base http.RoundTripper) (http.RoundTripper, error) { return base, nil })

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestNewClientRejectsWhatCanNeverWork(t *testing.T) {
	t.Parallel()
	keys := APIKey("public", "private")
	for name, tc := range map[string]struct {
		credentials Credentials
		opts        []Option
		want        string
	}{
		"no credentials":      {nil, nil, "the credentials must not be nil"},
		"empty public key":    {APIKey("", "private"), nil, "credentials: the public key is empty"},
		"empty private key":   {APIKey("public", ""), nil, "credentials: the private key is empty"},
		"keys badly copied":   {APIKey("public:", "private\n"), nil, "credentials: the public key contains whitespace, a control character or a colon; the private key contains"},
		"port too large":      {keys, []Option{WithBaseURL("https://example.com:99999")}, "must have a port from 1 to 65535, or none"},
		"failing credentials": {credentialsFunc(func(*url.URL, http.RoundTripper) (http.RoundTripper, error) { return nil, errors.New("no") }), nil, "credentials: no"},
		"no transport":        {credentialsFunc(func(*url.URL, http.RoundTripper) (http.RoundTripper, error) { return nil, nil }), nil, "credentials: Transport returned nil"},
		"empty base URL":      {keys, []Option{WithBaseURL("")}, "must be absolute, such as https://cloud.mongodb.com"},
		"host only":           {keys, []Option{WithBaseURL("cloud.mongodb.com")}, "must be absolute"},
		"no host":             {keys, []Option{WithBaseURL("https://:443")}, "must be absolute"},
		"other scheme":        {keys, []Option{WithBaseURL("ftp://example.com")}, "must begin with https://"},
		"plain http":          {keys, []Option{WithBaseURL("http://example.com")}, "plain http is for loopback addresses only"},
		"http to a lookalike": {keys, []Option{WithBaseURL("http://127.0.0.1.example.com")}, "plain http is for loopback addresses only"},
		"password in URL":     {keys, []Option{WithBaseURL("https://user:hunter2@example.com")}, "must not contain a user name or password"},
		"with prefix":         {keys, []Option{WithBaseURL("https://cloud.mongodb.com/api/atlas/v2")}, "must end after the host and port"},
		"with query":          {keys, []Option{WithBaseURL("https://cloud.mongodb.com?a=b")}, "must end after the host and port"},
		"unknown version":     {keys, []Option{WithAPIVersion(0)}, "WithAPIVersion: the version must be APIv2 or APIv1"},
		"nil HTTP client":     {keys, []Option{WithHTTPClient(nil)}, "WithHTTPClient: the client must not be nil"},
		"negative attempts":   {keys, []Option{WithRetryPolicy(RetryPolicy{MaxAttempts: -1})}, "WithRetryPolicy: no field may be negative, and BaseBackoff must not exceed MaxBackoff"},
		"backoff upside down": {keys, []Option{WithRetryPolicy(RetryPolicy{BaseBackoff: 2, MaxBackoff: 1})}, "WithRetryPolicy:"},
		"no timeout":          {keys, []Option{WithAttemptTimeout(0)}, "WithAttemptTimeout: the timeout must be positive"},
		"header injection":    {keys, []Option{WithUserAgent("a\r\nb: c")}, "WithUserAgent: the product must not contain control characters"},
		"a rejected header":   {keys, []Option{WithWaitDefaults(WithCallOptions(WithHeader("Authorization", "hunter2")))}, `WithWaitDefaults: header "Authorization" is set by the client`},
		"URL and keys":        {APIKey("", "hunter2"), []Option{WithBaseURL("hunter2")}, "WithBaseURL: the base URL must be absolute, such as https://cloud.mongodb.com; credentials: the public key is empty"},
		"all at once":         {nil, []Option{WithAPIVersion(7), WithAttemptTimeout(-1)}, "WithAttemptTimeout: the timeout must be positive; WithAPIVersion: the version must be APIv2 or APIv1; the credentials must not be nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := NewClient(tc.credentials, tc.opts...)
			require.Error(t, err)
			assert.Nil(t, client)
			assert.True(t, strings.HasPrefix(err.Error(), "livemigration: NewClient: "), err.Error())
			assert.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://cloud.mongodb.com":     "https://cloud.mongodb.com/api/atlas/v2",
		"https://cloud.mongodb.com/":    "https://cloud.mongodb.com/api/atlas/v2",
		"https://cloud.mongodbgov.com":  "https://cloud.mongodbgov.com/api/atlas/v2",
		"HTTPS://ops.example.com:8443/": "https://ops.example.com:8443/api/atlas/v2",
		"http://127.0.0.1:8080":         "http://127.0.0.1:8080/api/atlas/v2",
		"http://[::1]:8080":             "http://[::1]:8080/api/atlas/v2",
		"http://localhost:8080":         "http://localhost:8080/api/atlas/v2",
		"http://127.8.9.1":              "http://127.8.9.1/api/atlas/v2",
	} {
		client, err := NewClient(APIKey("public", "private"), WithBaseURL(base))
		require.NoError(t, err, base)
		assert.Equal(t, want, client.core.base)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	client, err := NewClient(APIKey("public", "private"), nil)
	require.NoError(t, err)
	assert.Equal(t, "https://cloud.mongodb.com/api/atlas/v2", client.core.base)
	assert.Equal(t, 30*time.Second, client.core.timeout)
	assert.Equal(t, RetryPolicy{MaxAttempts: 5, BaseBackoff: time.Second, MaxBackoff: 30 * time.Second, MaxRetryAfter: 5 * time.Minute}, client.core.policy)
	assert.Regexp(t, `^livemigration-go/\S+ \(go\S+; \w+\)$`, client.core.userAgent)
	transport := ownTransport(http.DefaultTransport.(*http.Transport))
	assert.NotSame(t, http.DefaultTransport, transport)
	require.NotNil(t, transport.HTTP2)
	assert.Positive(t, transport.HTTP2.SendPingTimeout, "a silent HTTP/2 connection is tested")
	client.CloseIdleConnections()
}

func TestTimeoutOfAnAttempt(t *testing.T) {
	t.Parallel()
	hc := WithHTTPClient(&http.Client{Timeout: time.Minute})
	for _, tc := range []struct {
		want time.Duration
		opts []Option
	}{
		{time.Minute, []Option{hc}}, {time.Hour, []Option{WithAttemptTimeout(time.Hour), hc}}, {time.Hour, []Option{hc, WithAttemptTimeout(time.Hour)}},
		{30 * time.Second, []Option{WithHTTPClient(&http.Client{})}},
	} {
		client, err := NewClient(noCredentials, tc.opts...)
		require.NoError(t, err)
		assert.Equal(t, tc.want, client.core.timeout)
	}
}

func TestTheUsersHTTPClientIsUsedAndNotChanged(t *testing.T) {
	t.Parallel()
	var seen http.Header
	closed := false
	jar := &recordingJar{}
	hc := &http.Client{Jar: jar, Transport: &closingTransport{close: func() { closed = true }, roundTripperFunc: func(req *http.Request) (*http.Response, error) {
		seen = req.Header
		return newResponse(req, http.StatusBadRequest, nil, `{"error":400,"errorCode":"X"}`), nil
	}}}
	before := *hc
	client, err := NewClient(noCredentials, WithHTTPClient(hc), WithUserAgent("my-tool/1.2"))
	require.NoError(t, err)
	_, err = client.Migrations.Get(t.Context(), destinationID, validID)
	require.ErrorIs(t, err, ErrBadRequest)
	assert.Regexp(t, `^my-tool/1\.2 livemigration-go/0\.\d+\.\d+ \(go`, seen.Get("User-Agent"))
	assert.Equal(t, "c=d", seen.Get("Cookie"))
	assert.Equal(t, before, *hc)
	assert.False(t, closed, "a failed call must leave the connections of other callers open")
	client.CloseIdleConnections()
	assert.True(t, closed)
}

type closingTransport struct {
	roundTripperFunc
	close func()
}

func (t *closingTransport) CloseIdleConnections() { t.close() }

type recordingJar struct{}

func (*recordingJar) SetCookies(*url.URL, []*http.Cookie) {}
func (*recordingJar) Cookies(*url.URL) []*http.Cookie     { return []*http.Cookie{{Name: "c", Value: "d"}} }

func TestHeadersThatACallMaySet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ key, value, want string }{
		{"X-Trace", "a b\tc", ""},
		{"user-agent", "mine", ""},
		{"authorization", "Basic x", "is set by the client"},
		{"Host", "example.com", "is set by the client"},
		{"Accept-Encoding", "gzip", "is left to the HTTP transport"},
		{"Idempotency-Key", "1", "is not supported: Atlas ignores it, and the HTTP transport would retry the request"},
		{"", "x", "must have a name of letters, digits, hyphens and underscores"},
		{"a b", "x", "must have a name of letters, digits, hyphens and underscores"},
		{"X-Trace", "a\nb", "must have a value without control characters"},
	} {
		t.Run(tc.key+"="+tc.value, func(t *testing.T) {
			t.Parallel()
			s := newCallSettings([]CallOption{nil, WithHeader(tc.key, tc.value)})
			if tc.want == "" {
				assert.Empty(t, s.violations)
				assert.Equal(t, tc.value, s.header.Get(tc.key))
				return
			}
			assert.Equal(t, []FieldViolation{{fmt.Sprintf("header %q", tc.key), tc.want}}, s.violations)
			assert.Empty(t, s.header)
		})
	}
}
