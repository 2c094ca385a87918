package livemigration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
)

var staticToken = livemigration.TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token"}))

// creations are the three requests that must not be sent twice.
func creations(t *testing.T, credentials livemigration.Credentials, url string, transport http.RoundTripper, opts ...livemigration.Option) map[string]func(context.Context) error {
	t.Helper()
	opts = append([]livemigration.Option{quick, livemigration.WithBaseURL(url), livemigration.WithHTTPClient(&http.Client{Transport: transport})}, opts...)
	client, err := livemigration.NewClient(credentials, opts...)
	require.NoError(t, err)
	source, err := livemigration.NewSourceClient(credentials, opts...)
	require.NoError(t, err)
	return map[string]func(context.Context) error{
		"migration": func(ctx context.Context) error {
			_, err := client.Migrations.Create(ctx, projectID, request())
			return err
		},
		"link-token": func(ctx context.Context) error {
			_, err := client.LinkTokens.Create(ctx, anOrg, livemigration.LinkTokenRequest{})
			return err
		},
		"migration link": func(ctx context.Context) error {
			_, err := source.MigrationLink.Create(ctx, anOrg, "token")
			return err
		},
	}
}

// h2Transports are the ways to configure a transport that speaks HTTP/2.
func h2Transports(config *tls.Config) map[string]*http.Transport {
	var only http.Protocols
	only.SetHTTP2(true)
	withALPN := config.Clone()
	withALPN.NextProtos = []string{"h2", "http/1.1"}
	return map[string]*http.Transport{
		"TLS settings": {TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true},
		"Protocols":    {TLSClientConfig: config.Clone(), Protocols: &only},
		"DialTLSContext": {ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&tls.Dialer{Config: withALPN}).DialContext(ctx, network, address)
		}},
	}
}

// What HTTP/2 says about a request that a connection was handed is not believed: proxies say it of requests that their
// server has processed.
func TestACreateRequestIsNotRepeatedOverHTTP2(t *testing.T) {
	t.Parallel()
	for fault, misbehave := range map[string]func(c *rawConn, stream uint32){
		"REFUSED_STREAM":        func(c *rawConn, stream uint32) { c.reset(stream, refusedStream) },
		"PROTOCOL_ERROR":        func(c *rawConn, stream uint32) { c.reset(stream, protocolError) },
		"GOAWAY, not processed": func(c *rawConn, _ uint32) { c.goAway(0); _ = c.Close() },
		"GOAWAY with an error":  func(c *rawConn, _ uint32) { c.goAway(protocolError); _ = c.Close() },
		"end of the connection": func(c *rawConn, _ uint32) { _ = c.Close() },
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			srv := newRawServer(t, nil, func(c *rawConn, stream uint32, _ int) { misbehave(c, stream) })
			for _, transport := range h2Transports(srv.client) {
				creates := creations(t, staticToken, srv.url, transport)
				sendsOnce(t, &srv.requests, 1, creates)
				sendsOnce(t, &srv.requests, 1, creates) // knows that the transport can be copied
			}
		})
	}
}

// sendsOnce makes each create request. Its outcome is unknown, and it costs a number of requests.
func sendsOnce(t *testing.T, requests *atomic.Int32, number int32, creates map[string]func(context.Context) error) {
	t.Helper()
	for what, create := range creates {
		before := requests.Load()
		err := create(t.Context())
		assert.True(t, livemigration.MayHaveCreated(err), "%s: %v", what, err)
		assert.Equal(t, before+number, requests.Load(), what)
	}
}

func TestACreateRequestIsNotRepeated(t *testing.T) {
	t.Parallel()
	count := func(handler http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
		var requests atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			handler(w, r)
		}))
		t.Cleanup(srv.Close)
		return srv, &requests
	}
	gateway := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("<h1>Service Unavailable</h1>"))
	}
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	t.Run("a gateway's 503 with Retry-After", func(t *testing.T) {
		t.Parallel()
		srv, requests := count(gateway)
		sendsOnce(t, requests, 1, creations(t, staticToken, srv.URL, new(http.Transport)))
	})
	t.Run("a registered protocol", func(t *testing.T) {
		t.Parallel()
		srv, requests := count(hangUp)
		transport := new(http.Transport)
		inner := new(http.Transport)
		transport.RegisterProtocol("http", roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.GetBody != nil {
				return nil, errors.New("the body could be sent twice")
			}
			return inner.RoundTrip(req.WithContext(context.WithoutCancel(req.Context()))) //nolint:bodyclose // it is the caller's
		}))
		creates := creations(t, staticToken, srv.URL, transport)
		sendsOnce(t, requests, 1, creates)
		sendsOnce(t, requests, 1, creates)
	})
	t.Run("a wrapper that fails over to another transport", func(t *testing.T) {
		t.Parallel()
		srv, requests := count(hangUp)
		other := &http.Transport{}
		failOver := func(inside http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				resp, err := inside.RoundTrip(req)
				if err == nil {
					return resp, nil
				}
				again := req.Clone(context.WithoutCancel(req.Context()))
				again.URL, _ = url.Parse(srv.URL + req.URL.Path)
				again.Host = ""
				again.Body = http.NoBody
				resp, second := other.RoundTrip(again)
				return resp, errors.Join(err, second)
			})
		}
		dead, _ := count(nil)
		dead.Close()
		sendsOnce(t, requests, 1, creations(t, staticToken, dead.URL, new(http.Transport), livemigration.WithTransportWrapper(failOver)))
	})
	t.Run("a wrapper that sends it twice", func(t *testing.T) {
		t.Parallel()
		srv, requests := count(hangUp)
		twice := func(inside http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				body, err := req.GetBody()
				if err != nil {
					return nil, err
				}
				if resp, err := inside.RoundTrip(req); err == nil {
					return resp, nil
				}
				again := req.Clone(req.Context())
				again.Body = body
				return inside.RoundTrip(again)
			})
		}
		sendsOnce(t, requests, 1, creations(t, staticToken, srv.URL, new(http.Transport), livemigration.WithTransportWrapper(twice)))
	})
	t.Run("a proxy repeats it, so that a fresh nonce is stale", func(t *testing.T) {
		t.Parallel()
		srv, requests := count(func(w http.ResponseWriter, r *http.Request) {
			stale := "false"
			if r.Header.Get("Authorization") != "" {
				stale = "true"
			}
			w.Header().Set("WWW-Authenticate", `Digest realm="r", nonce="abcdefgh", qop="auth", stale=`+stale)
			w.WriteHeader(http.StatusUnauthorized)
		})
		sendsOnce(t, requests, 2, creations(t, livemigration.APIKey("public", "private-key"), srv.URL, new(http.Transport)))
	})
}

// credentialsOf are the three kinds.
func credentialsOf() map[string]livemigration.Credentials {
	return map[string]livemigration.Credentials{
		"API key": livemigration.APIKey("public", "private-key"), "token": staticToken,
		"service account": livemigration.ServiceAccount("mdb_sa_id_1", "mdb_sa_sk_secret"),
	}
}

func TestASwitchOfProtocolsEndsACall(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
		_, _ = conn.Read(make([]byte, 1)) // until the client closes it
	}))
	t.Cleanup(srv.Close)
	for name, credentials := range credentialsOf() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := new(http.Transport)
			client, err := livemigration.NewClient(credentials, quick, livemigration.WithBaseURL(srv.URL),
				livemigration.WithHTTPClient(&http.Client{Transport: transport}))
			require.NoError(t, err)
			_, err = client.Migrations.Get(t.Context(), projectID, jobID)
			require.ErrorContains(t, err, "101 Switching Protocols (after 4 attempts)")
			_, err = client.Migrations.WaitComplete(t.Context(), projectID, jobID, livemigration.WithMaxOutage(0))
			require.ErrorContains(t, err, "101")
			for what, create := range creations(t, credentials, srv.URL, transport) {
				err := create(t.Context())
				require.ErrorContains(t, err, "101", what)
				assert.Equal(t, name == "token", livemigration.MayHaveCreated(err), "%s: %v", what, err)
			}
			if name == "service account" {
				require.NoError(t, client.RevokeToken(t.Context()), "there is no token")
			}
		})
	}
}

// A server that ends each connection or stream costs what the policy says.
func TestAStormIsBounded(t *testing.T) {
	t.Parallel()
	const attempts = 3
	policy := livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: attempts, BaseBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
	calls := map[string]func(*livemigration.Client) error{
		"read": func(c *livemigration.Client) error {
			_, err := c.Migrations.Get(t.Context(), projectID, jobID)
			return err
		},
		"poll": func(c *livemigration.Client) error {
			_, err := c.Migrations.WaitComplete(t.Context(), projectID, jobID, livemigration.WithMaxOutage(time.Nanosecond))
			return err
		},
		"cutover": func(c *livemigration.Client) error { return c.Migrations.Cutover(t.Context(), projectID, jobID) },
		"validation": func(c *livemigration.Client) error {
			_, err := c.Validations.Create(t.Context(), projectID, request())
			return err
		},
	}
	for fault, start := range map[string]func(t *testing.T) *rawServer{
		"GOAWAY for each connection": func(t *testing.T) *rawServer {
			return newRawServer(t, func(c *rawConn) { c.goAway(0) }, func(*rawConn, uint32, int) {})
		},
		"reset of each request": func(t *testing.T) *rawServer {
			return newRawServer(t, nil, func(c *rawConn, stream uint32, _ int) { c.reset(stream, refusedStream) })
		},
		"end of each connection": func(t *testing.T) *rawServer {
			return newRawServer(t, nil, func(c *rawConn, _ uint32, _ int) { _ = c.Close() })
		},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for kind, credentials := range credentialsOf() {
				for what, call := range calls {
					srv := start(t)
					client, err := livemigration.NewClient(credentials, policy, livemigration.WithBaseURL(srv.url), livemigration.WithoutPacing(),
						livemigration.WithHTTPClient(&http.Client{Transport: h2Transports(srv.client)["TLS settings"]}))
					require.NoError(t, err)
					require.Error(t, call(client))
					assert.LessOrEqual(t, srv.connections.Load(), int32(attempts*4), "%s, %s", kind, what)
					assert.LessOrEqual(t, srv.requests.Load(), int32(attempts*3), "%s, %s", kind, what)
				}
			}
		})
	}
}

// A connection without a usable response is not used again.
func TestAUselessConnectionIsLeft(t *testing.T) {
	t.Parallel()
	for fault, misbehave := range map[string]func(c *rawConn, stream uint32){
		"headers and never a body": func(c *rawConn, stream uint32) { c.respond(stream, "200", nil) },
		"421":                      func(c *rawConn, stream uint32) { c.respond(stream, "421", []byte{}) },
		"a stream error":           func(c *rawConn, stream uint32) { c.reset(stream, protocolError) },
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			srv := newRawServer(t, nil, func(c *rawConn, stream uint32, _ int) {
				if c.number == 1 {
					misbehave(c, stream)
					return
				}
				c.respond(stream, "200", []byte(workingBody))
			})
			client, err := livemigration.NewClient(staticToken, quick, livemigration.WithBaseURL(srv.url), livemigration.WithAttemptTimeout(time.Second),
				livemigration.WithHTTPClient(&http.Client{Transport: h2Transports(srv.client)["TLS settings"]}))
			require.NoError(t, err)
			_, err = client.Migrations.Get(t.Context(), projectID, jobID)
			require.NoError(t, err)
		})
	}
}
