package livemigration

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// newResponse makes the response of an in-process transport.
func newResponse(req *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// scripted is an in-process server: it gives each request the next of its responses, and the last one for ever.
type scripted struct {
	steps    []func(*http.Request) (*http.Response, error)
	requests []*http.Request
	bodies   []string
}

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	s.requests, s.bodies = append(s.requests, req), append(s.bodies, string(body))
	step := s.steps[min(len(s.requests), len(s.steps))-1]
	return step(req)
}

func reply(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return newResponse(req, status, h, body), nil
	}
}

func fail(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func (s *scripted) client(t *testing.T, opts ...Option) *Client {
	t.Helper()
	client, err := NewClient(noCredentials, append([]Option{WithHTTPClient(&http.Client{Transport: s})}, opts...)...)
	require.NoError(t, err)
	return client
}

func script(steps ...func(*http.Request) (*http.Response, error)) *scripted {
	return &scripted{steps: steps}
}

const (
	migrationJSON = `{"_id":"` + validID + `","status":"WORKING","readyForCutover":false,"migrationHosts":["vm001.example.com"],"lagTimeSeconds":12}`
	getPath       = "/groups/e01c9427f054fe80745f3f6c/liveMigrations/" + validID
)

var once = WithRetryPolicy(RetryPolicy{MaxAttempts: 1})
