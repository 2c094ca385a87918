package exchange

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/response"
)

func errWith(text string) error { return errors.New(text) }

func TestRequests(t *testing.T) {
	t.Parallel()
	const dated = "application/vnd.atlas.2024-05-30+json"
	for _, tc := range []struct {
		name    string
		version endpoint.Version
		change  func(*Request)
		url     string
		header  http.Header
		body    string
	}{
		{"with a body", endpoint.V2, func(r *Request) { r.Body = []byte(`{"a":1}`) }, "", http.Header{
			"Accept": {dated}, "Content-Type": {dated}, "User-Agent": {"test/1"},
		}, `{"a":1}`},
		{"with an empty body", endpoint.V2, func(r *Request) { r.Body = []byte{} }, "", http.Header{
			"Accept": {dated}, "Content-Type": {dated}, "User-Agent": {"test/1"},
		}, ""},
		{"without a body", endpoint.V2, func(*Request) {}, "", http.Header{"Accept": {dated}, "User-Agent": {"test/1"}}, ""},
		{"of the legacy version", endpoint.V1, func(r *Request) { r.Body = []byte(`{}`) }, "", http.Header{
			"Accept": {"application/json"}, "Content-Type": {"application/json"}, "User-Agent": {"test/1"},
		}, "{}"},
		{"with headers", endpoint.V2, func(r *Request) {
			r.Header = http.Header{"X-Route": {"a", "b"}, "User-Agent": {"own"}}
		}, "", http.Header{"Accept": {dated}, "User-Agent": {"own"}, "X-Route": {"a", "b"}}, ""},
		{"with a query", endpoint.V2, func(r *Request) { r.Query = Query{Pretty: true, Envelope: true} }, "?envelope=true&pretty=true",
			http.Header{"Accept": {dated}, "User-Agent": {"test/1"}}, ""},
		{"pretty", endpoint.V2, func(r *Request) { r.Query = Query{Pretty: true} }, "?pretty=true",
			http.Header{"Accept": {dated}, "User-Agent": {"test/1"}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := script(reply(201, ""))
			r := creating()
			tc.change(r)
			s.exchanger(attempts(1), func(c *Config) { c.Version = tc.version }).Do(t.Context(), r)
			require.Len(t, s.requests, 1)
			assert.Equal(t, "POST", s.requests[0].Method)
			assert.Equal(t, "https://atlas.invalid/api/atlas/v2"+r.Path+tc.url, s.requests[0].URL.String())
			assert.Equal(t, tc.header, s.requests[0].Header)
			assert.Equal(t, tc.body, s.bodies[0])
			assert.EqualValues(t, len(tc.body), max(0, s.requests[0].ContentLength))
		})
	}
}

func TestARequestThatCannotBeMade(t *testing.T) {
	t.Parallel()
	s := script(reply(200, ""))
	r := reading()
	r.Path = "/k3y\x7f"
	o := s.exchanger(with(&authenticator{secrets: []string{"k3y"}})).Do(t.Context(), r)
	assert.Equal(t, Failed, o.Verdict)
	assert.Zero(t, o.Attempts)
	assert.Error(t, o.Failure.Err)
	assert.Contains(t, o.Failure.Text, "invalid control character")
	assert.NotContains(t, o.Failure.Text, "k3y")
	assert.NoError(t, o.Ended)
	assert.Empty(t, s.requests)
}

func TestATransportSeesTheAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(reply(429, ""), unsent(io.EOF), reply(201, ""))
		require.Equal(t, Done, s.do(t, creating()).Verdict)
		require.Len(t, s.requests, 3)
		for i, req := range s.requests { // also after the call has moved on
			attempt, ok := AttemptOf(req.Context())
			assert.True(t, ok)
			assert.Equal(t, Attempt{"Migrations.Create", scope, i + 1}, attempt)
			assert.Nil(t, req.Context().Value("another key"))
		}
		_, ok := AttemptOf(t.Context())
		assert.False(t, ok)
		var key any = attemptKey{}
		_, kept := key.(interface{ OfLibrary() })
		assert.True(t, kept, "requests for credentials keep it")
		attemptKey{}.OfLibrary()
	})
}

// A transport that may send a request in ways that nobody here sees makes every failure one after sending.
func TestAnOpaqueTransport(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		opaque bool
		step   step
		want   Verdict
	}{
		{"opaque", true, unsent(io.EOF), Unknown},
		{"opaque, with an entrance that the request passed", true, (&delivery.Entrance{Base: unsent(io.EOF)}).RoundTrip, Failed},
		{"not opaque", false, unsent(io.EOF), Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := script(tc.step).exchanger(attempts(1), func(c *Config) { c.Opaque = tc.opaque }).Do(t.Context(), creating())
			assert.Equal(t, tc.want, o.Verdict)
		})
	}
}

// A server that counts requests rejects one that net/http has sent a second time, with a 401 that is not about the keys.
func TestA401BecauseOfARetryByNetHTTP(t *testing.T) {
	t.Parallel()
	twice := sent(func(req *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(req.Context())
		for range 2 {
			trace.GetConn("atlas.invalid:443")
			trace.GotConn(httptrace.GotConnInfo{})
		}
		return respond(401, "")(req)
	})
	for _, tc := range []struct {
		name   string
		change []func(*Config)
		want   Verdict
	}{
		{"credentials that count", []func(*Config){with(&authenticator{counts: true})}, Done},
		{"credentials that do not", []func(*Config){with(&authenticator{})}, Failed},
		{"credentials of another package", nil, Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, tc.want, script(twice, reply(200, "")).exchanger(tc.change...).Do(t.Context(), reading()).Verdict)
			})
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := script(reply(status, "", "Location", "https://b.invalid/steal"))
		o := s.do(t, reading())
		assert.Len(t, s.requests, 1)
		assert.Equal(t, status, o.Status)
		assert.Contains(t, o.Failure.Text, "b.invalid")
	}
}

func TestCookiesAreKept(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	s := script(reply(200, "", "Set-Cookie", "route=a"))
	x := s.exchanger(func(c *Config) { c.Jar = jar })
	x.Do(t.Context(), reading())
	x.Do(t.Context(), reading())
	assert.Empty(t, s.requests[0].Cookies())
	assert.Equal(t, "route=a", s.requests[1].Header.Get("Cookie"))
}

// closeNoted is a body that notes that it was closed.
type closeNoted struct {
	io.Reader
	closed int
}

func (c *closeNoted) Close() error {
	c.closed++
	return nil
}

func TestBodiesAreClosed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 404} {
		body := &closeNoted{Reader: strings.NewReader("")}
		script(func(req *http.Request) (*http.Response, error) {
			resp, err := respond(status, "")(req)
			resp.Body = body
			return resp, err
		}).do(t, reading())
		assert.Positive(t, body.closed, status)
	}
}

func TestSecretsInWhatAServerWrites(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		step step
	}{
		{"Atlas's error", reply(400, `{"errorCode":"hunter2","reason":"k3y","detail":"{\"p\":\"hunter2\"}","badRequestDetail":{"fields":[{"field":"hunter2","description":"k3y"}]}}`, "X-Request-Id", "hunter2")},
		{"a page", reply(400, "you sent hunter2 and k3y")},
		{"an unusable success", reply(200, "<b>hunter2</b> k3y")},
		{"a token endpoint", unsent(&response.Error{StatusCode: 400, Detail: "hunter2 k3y"})},
		{"an error of the transport", fail(errWith("malformed response hunter2 k3y"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := reading()
			r.Secrets = []string{"hunter2"}
			o := script(tc.step).exchanger(attempts(1), with(&authenticator{secrets: []string{"k3y"}})).Do(t.Context(), r)
			texts := []string{o.Failure.Text}
			if f := o.Failure.Response; f != nil && f.Method != "" { // else it is what the test has made
				texts = append(texts, f.Error(), f.Code, f.Reason, f.Detail, f.RequestID)
			}
			for _, text := range texts {
				assert.NotContains(t, text, "hunter2")
				assert.NotContains(t, text, "k3y")
			}
			assert.Contains(t, o.Failure.Text, "[REDACTED]")
		})
	}
}

func TestNothingIsShownOfAResponseThatIsASecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []bool{true, false} {
		for name, step := range map[string]step{
			"a failure with the body of a success": reply(502, `{"linkToken":"t0ken"}`),
			"another page":                         reply(400, "t0ken"),
			"an unusable success":                  reply(200, "<b>t0ken"),
			"half a success":                       cut("t0ken"),
		} {
			e := endpoint.CreateLinkToken
			e.SecretResponse = secret
			o := script(step).do(t, of(&e))
			assert.Equal(t, !secret, strings.Contains(o.Failure.Text, "t0ken"), name)
		}
	}
	o := script(reply(400, `{"errorCode":"X","detail":"why"}`)).do(t, of(&endpoint.CreateLinkToken))
	assert.Equal(t, "400 X: why", o.Failure.Text, "Atlas's error is none")
}

func TestA401IsExplainedByTheCredentials(t *testing.T) {
	t.Parallel()
	const text = "the keys are disabled"
	for _, tc := range []struct {
		name string
		step step
		want string
	}{
		{"alone", reply(401, ""), text},
		{"after what Atlas says", reply(401, atlasError), "why; " + text},
		{"another status", reply(403, atlasError), "why"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := script(tc.step).exchanger(with(&authenticator{explanation: text})).Do(t.Context(), reading())
			assert.Equal(t, tc.want, o.Failure.Response.Detail)
			assert.Equal(t, 1, o.Attempts)
		})
	}
}

func TestATransportWithoutAResponseIsAnError(t *testing.T) {
	t.Parallel()
	o := script(func(*http.Request) (*http.Response, error) { return nil, nil }).exchanger(attempts(1)).Do(t.Context(), reading())
	assert.Equal(t, Failed, o.Verdict)
	assert.Error(t, o.Failure.Err)
}
