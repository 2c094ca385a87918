package digest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

func TestProbeHeaders(t *testing.T) {
	t.Parallel()
	s := newServer()
	req := newRequest(t, "PUT", "/", "body")
	for _, name := range []string{"Content-Type", "Content-Length", "content-encoding", "If-None-Match", "Expect", "Range"} {
		req.Header[name] = []string{"x"}
	}
	for _, name := range []string{"Accept", "User-Agent", "X-Request-Id"} {
		req.Header.Set(name, "kept")
	}
	req.Host = "other.example"
	req.TransferEncoding = []string{"chunked"}
	probe := probeFor(req)
	assert.Equal(t, http.Header{"Accept": {"kept"}, "User-Agent": {"kept"}, "X-Request-Id": {"kept"}}, probe.Header)
	assert.Equal(t, "other.example", probe.Host)
	assert.Zero(t, probe.ContentLength)
	assert.Nil(t, probe.Body)
	assert.Nil(t, probe.GetBody)
	assert.Nil(t, probe.TransferEncoding)

	status, _ := call(t, newTestTransport(t, &inProcess{handler: s}), req)
	require.Equal(t, 200, status)
	assert.Equal(t, []string{"x"}, s.recorded()[1].header["Content-Type"], "the request itself keeps them")
}

func TestUnanswerableChallenges(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"none":        nil,
		"Basic":       {`Basic realm="MMS Public API", charset="UTF-8"`},
		"others":      {`Negotiate YII=`, `NTLM`, `Bearer realm="r", nonce="n"`},
		"malformed":   {`Digest realm`, `Digest`, `Digest realm="r", nonce="a` + "\x01" + `"`},
		"unsupported": {`Digest realm="r", nonce="n", algorithm=SHA3-512`, `Digest realm="r", nonce="n", qop="auth-conf"`},
	}
	for name, lines := range tests {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				s := newServer()
				s.challenge = func(*server, string, bool) []string { return lines }
				base := &inProcess{handler: s}
				transport := newTestTransport(t, base)
				for range 2 {
					req := newRequest(t, method, "/", "")
					body := &trackedBody{Reader: strings.NewReader("secret")}
					if method == "POST" {
						req.Body = body
					}
					status, text := call(t, transport, req)
					assert.Equal(t, 401, status)
					assert.JSONEq(t, `{"error": 401}`, text, "the server's own answer")
					if method == "POST" {
						assert.Equal(t, 1, body.timesClosed())
						assert.Zero(t, body.reads)
					}
				}
				for _, r := range s.recorded() {
					assert.Empty(t, r.header.Get("Authorization"))
					assert.Equal(t, "GET", r.method)
				}
				assert.Len(t, s.recorded(), 2)
				assert.Zero(t, base.openBodies())
			})
		}
	}
}

func bodyLen(method string) int {
	if method == "GET" {
		return 0
	}
	return 4
}

func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		configure  func(*server)
		cold, warm int // requests
	}{
		{"wrong password", func(s *server) { s.password = "another" }, 2, 2},
		{"wrong user name", func(s *server) { s.username = "another" }, 2, 2},
		{"stale for ever", func(s *server) { s.alwaysStale = true }, 3, 2},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "POST"} {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				s := newServer()
				tt.configure(s)
				base := &inProcess{handler: s}
				transport := newTestTransport(t, base)
				for i, want := range []int{tt.cold, tt.warm, tt.warm} {
					before := len(s.recorded())
					status, body := call(t, transport, newRequest(t, method, "/", strings.Repeat("b", bodyLen(method))))
					assert.Equal(t, 401, status)
					assert.JSONEq(t, `{"error": 401}`, body, "the last body is the caller's to read")
					assert.Lenf(t, s.recorded(), before+want, "call %d", i+1)
				}
				assert.Zero(t, base.openBodies())
			})
		}
	}
}

func TestWarmRefusalWithoutAChallenge(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: s})
	call(t, transport, newRequest(t, "GET", "/", ""))
	s.maxUses = 1
	s.challenge = func(*server, string, bool) []string { return []string{`Basic realm="r"`} }
	status, body := call(t, transport, newRequest(t, "POST", "/", "body"))
	assert.Equal(t, 401, status)
	assert.JSONEq(t, `{"error": 401}`, body)
	assert.Len(t, s.recorded(), 3)
}

// A body that cannot be read twice is sent once. What its refusal taught serves the next call.
func TestBodyThatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	getBodies := map[string]func() (io.ReadCloser, error){
		"no GetBody":         nil,
		"GetBody that fails": func() (io.ReadCloser, error) { return nil, errors.New("gone") },
	}
	for name, getBody := range getBodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer()
			s.maxUses = 1
			transport := newTestTransport(t, &inProcess{handler: s})
			for i, want := range []int{200, 401, 200, 401} {
				req := newRequest(t, "POST", "/", "body")
				req.GetBody = getBody
				body := &trackedBody{Reader: req.Body}
				req.Body = body
				status, _ := call(t, transport, req)
				assert.Equal(t, want, status, "call %d", i)
				assert.Equal(t, 1, body.timesClosed())
			}
			assert.Len(t, s.recorded(), 5)
		})
	}
}

func TestReplayedBody(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.maxUses = 1
	transport := newTestTransport(t, &inProcess{handler: s})
	var bodies []*trackedBody
	newBody := func() *trackedBody {
		bodies = append(bodies, &trackedBody{Reader: strings.NewReader("body")})
		return bodies[len(bodies)-1]
	}
	for range 2 {
		req := newRequest(t, "POST", "/", "body")
		req.Body = newBody()
		req.GetBody = func() (io.ReadCloser, error) { return newBody(), nil }
		status, text := call(t, transport, req)
		assert.Equal(t, 200, status)
		assert.Equal(t, "POST / body", text)
	}
	assert.Len(t, bodies, 3, "one body per attempt")
	for _, body := range bodies {
		assert.Equal(t, 1, body.timesClosed())
		assert.Equal(t, 4, body.reads)
	}
}

func TestAuthIntBodies(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("broken")
	tests := []struct {
		name    string
		getBody func() (io.ReadCloser, error)
		wrapped error
	}{
		{"no GetBody", nil, nil},
		{"GetBody that fails", func() (io.ReadCloser, error) { return nil, errBroken }, errBroken},
		{"body that fails", func() (io.ReadCloser, error) { return io.NopCloser(&failingReader{errBroken}), nil }, errBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer()
			s.qop = "auth-int"
			base := &inProcess{handler: s}
			transport := newTestTransport(t, base)
			for range 2 {
				req := newRequest(t, "POST", "/", "body")
				body := &trackedBody{Reader: req.Body}
				req.Body, req.GetBody = body, tt.getBody
				resp, err := transport.RoundTrip(req)
				require.ErrorContains(t, err, "digest: ")
				require.ErrorContains(t, err, "auth-int")
				if tt.wrapped != nil {
					require.ErrorIs(t, err, tt.wrapped)
				}
				assert.Nil(t, resp)
				assert.Equal(t, 1, body.timesClosed())
				assert.Zero(t, body.reads)
			}
			assert.Len(t, s.recorded(), 1, "only the probe was sent")
			assert.Zero(t, base.openBodies())
		})
	}
}

func TestAuthIntReadsABodyOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newServer()
	s.qop = "auth-int"
	transport := newTestTransport(t, &inProcess{handler: s})
	hashed := &trackedBody{Reader: strings.NewReader("body")}
	sent := &trackedBody{Reader: strings.NewReader("body")}
	req := newRequest(t, "POST", "/", "body")
	req.Body, req.GetBody = sent, func() (io.ReadCloser, error) { return hashed, nil }
	status, text := call(t, transport, req)
	assert.Equal(t, 200, status)
	assert.Equal(t, "POST / body", text)
	for _, body := range []*trackedBody{hashed, sent} {
		assert.Equal(t, 1, body.timesClosed())
		assert.Equal(t, 4, body.reads)
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

// respond returns a response as a base transport would.
func respond(status int, body string, header http.Header) *http.Response {
	if header == nil {
		header = make(http.Header)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// What the answer to the probe of a POST request means.
func TestProbeAnswers(t *testing.T) {
	t.Parallel()
	for status := 200; status < 600; status++ {
		if http.StatusText(status) == "" || status == http.StatusUnauthorized {
			continue
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var sent []string
			base := &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				body, _ := io.ReadAll(req.Body)
				sent = append(sent, fmt.Sprintf("%s %s %t", req.Method, body, auth.IsNegotiation(req.Context())))
				assert.Empty(t, req.Header.Get("Authorization"))
				if req.Method == "GET" {
					w.WriteHeader(status)
				}
			})}
			transport := newTestTransport(t, base)
			var got []int
			for range 2 {
				req := newRequest(t, "POST", "/", "secret")
				body := &trackedBody{Reader: req.Body}
				req.Body = body
				answer, _ := call(t, transport, req)
				got = append(got, answer)
				assert.Equal(t, 1, body.timesClosed())
			}
			refused := status/100 == 3 || status/100 == 5 || status == 407 || status == 429
			if refused {
				assert.Equal(t, []int{status, status}, got)
				assert.Equal(t, []string{"GET  true", "GET  true"}, sent, "nothing of the request is sent")
			} else {
				assert.Equal(t, []int{200, 200}, got)
				assert.Equal(t, []string{"GET  true", "POST secret false", "POST secret false"}, sent, "probed only once")
			}
			assert.Zero(t, base.openBodies())
		})
	}
}

// A server that challenges some requests but not the probe.
func TestChallengeAfterAnUnansweredProbe(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == "GET" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if req.URL.Path == "/free" {
			return
		}
		s.ServeHTTP(w, req)
	})})
	for _, path := range []string{"/free", "/a", "/b"} {
		status, _ := call(t, transport, newRequest(t, "POST", path, "body"))
		assert.Equal(t, 200, status)
	}
	var got []string
	for _, r := range s.recorded() {
		assert.Equal(t, "body", r.body)
		assert.False(t, r.negotiation)
		got = append(got, fmt.Sprintf("%s %t", r.uri, r.credentials != nil))
	}
	assert.Equal(t, []string{"/a false", "/a true", "/b true"}, got)
	assert.False(t, transport.open.Load(), "the challenge shows that probing is useful again")
	assert.False(t, transport.quiet.Load(), "and so is waiting")
}

func TestChallengeToABodyThatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	s := newServer()
	transport := newTestTransport(t, &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != "GET" {
			s.ServeHTTP(w, req)
		}
	})})
	for i, want := range []int{401, 200} {
		req := newRequest(t, "POST", "/", "body")
		req.GetBody = nil
		status, _ := call(t, transport, req)
		assert.Equal(t, want, status, "call %d", i)
	}
	assert.Len(t, s.recorded(), 2)
}

// On a server without authentication, reads neither wait for each other nor let writes skip their probe.
func TestServerWithoutAuthentication(t *testing.T) {
	t.Parallel()
	var gets, posts atomic.Int32
	inner := &inProcess{handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if req.Method == "GET" {
			gets.Add(1)
		} else {
			posts.Add(1)
		}
	})}
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		blocking := false
		transport := newTestTransport(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if blocking {
				<-block
			}
			return inner.RoundTrip(req)
		}))
		call(t, transport, newRequest(t, "GET", "/", ""))
		blocking = true
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { call(t, transport, newRequest(t, "GET", "/", "")) })
		}
		synctest.Wait()
		assert.Nil(t, transport.flight, "nobody holds up the others")
		close(block)
		wg.Wait()

		block = make(chan struct{})
		for range 5 {
			wg.Go(func() { call(t, transport, newRequest(t, "POST", "/", "body")) })
		}
		synctest.Wait()
		assert.NotNil(t, transport.flight, "one of them probes")
		close(block)
		wg.Wait()
	})
	assert.EqualValues(t, 7, gets.Load(), "six calls and a probe")
	assert.EqualValues(t, 5, posts.Load())
}

// gate is a base transport whose first request waits until it is let go. It must be used in a synctest bubble.
type gate struct {
	base     http.RoundTripper
	open     chan struct{}
	requests atomic.Int32
}

func newGate(base http.RoundTripper) *gate { return &gate{base: base, open: make(chan struct{})} }

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.requests.Add(1) == 1 {
		<-g.open
	}
	return g.base.RoundTrip(req)
}

func TestWaitingForTheFirstNegotiation(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				g := newGate(&inProcess{handler: s})
				transport := newTestTransport(t, g)
				var wg sync.WaitGroup
				for range 40 {
					wg.Go(func() {
						status, _ := call(t, transport, newRequest(t, method, "/", "body"[:bodyLen(method)]))
						assert.Equal(t, 200, status)
					})
				}
				synctest.Wait()
				assert.EqualValues(t, 1, g.requests.Load(), "39 callers wait for the one that negotiates")
				close(g.open)
				wg.Wait()
				assert.EqualValues(t, 41, g.requests.Load())
			})
		})
	}
}

// Those who wait go on as soon as the outcome is known, however long the call takes that brought it about.
func TestWaitingEndsWithTheNegotiation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method string
		handler      http.Handler
	}{
		{"challenge to the request", "GET", newServer()},
		{"challenge to the probe", "POST", newServer()},
		{"no challenge", "POST", http.NotFoundHandler()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base := &inProcess{handler: tt.handler}
				challenged, answered := make(chan struct{}), make(chan struct{})
				slow := func(req *http.Request) (*http.Response, error) {
					if auth.IsNegotiation(req.Context()) {
						<-challenged
					} else if req.URL.Path == "/slow" {
						<-answered
					}
					return base.RoundTrip(req)
				}
				transport := newTestTransport(t, roundTripFunc(slow))
				var done atomic.Int32
				var wg sync.WaitGroup
				for _, path := range []string{"/slow", "/", "/", "/"} {
					wg.Go(func() {
						call(t, transport, newRequest(t, tt.method, path, "body"[:bodyLen(tt.method)]))
						done.Add(1)
					})
					synctest.Wait()
				}
				close(challenged)
				synctest.Wait()
				assert.EqualValues(t, 3, done.Load())
				close(answered)
				wg.Wait()
			})
		})
	}
}

func TestWaitingHonoursTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(&inProcess{handler: newServer()})
		transport := newTestTransport(t, g)
		var wg sync.WaitGroup
		wg.Go(func() { call(t, transport, newRequest(t, "GET", "/", "")) })
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		body := &trackedBody{Reader: strings.NewReader("body")}
		wg.Go(func() {
			req := newRequest(t, "POST", "/", "body").WithContext(ctx)
			req.Body = body
			resp, err := transport.RoundTrip(req)
			assert.Equal(t, context.Canceled, err)
			assert.Nil(t, resp)
		})
		synctest.Wait()
		assert.Zero(t, body.timesClosed(), "it waits")
		cancel()
		synctest.Wait()
		assert.Equal(t, 1, body.timesClosed(), "it has given up while the negotiation is still in flight")
		assert.EqualValues(t, 1, g.requests.Load())

		close(g.open)
		wg.Wait()
	})
}

// If the first negotiation ends without a session, those who waited do not wait again, whatever it was that ended it.
func TestNegotiationThatFails(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("connection reset")
	failures := map[string]func() (*http.Response, error){
		"error":        func() (*http.Response, error) { return nil, errBroken },
		"500":          func() (*http.Response, error) { return respond(500, "", nil), nil },
		"unanswerable": func() (*http.Response, error) { return respond(401, "", nil), nil },
		"no response":  func() (*http.Response, error) { return nil, nil },
		"no challenge": func() (*http.Response, error) { return respond(404, "", nil), nil },
		"nil body":     func() (*http.Response, error) { return &http.Response{StatusCode: 404}, nil },
		"body that fails": func() (*http.Response, error) {
			resp := respond(404, "", nil)
			resp.Body = io.NopCloser(&failingReader{errBroken})
			return resp, nil
		},
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				inner := &inProcess{handler: newServer()}
				var failed atomic.Bool
				g := newGate(roundTripFunc(func(req *http.Request) (*http.Response, error) {
					if failed.CompareAndSwap(false, true) {
						return failure()
					}
					return inner.RoundTrip(req)
				}))
				transport := newTestTransport(t, g)
				var succeeded atomic.Int32
				var wg sync.WaitGroup
				for range 5 {
					wg.Go(func() {
						resp, err := transport.RoundTrip(newRequest(t, "POST", "/", "body"))
						if err == nil && resp.StatusCode == 200 {
							succeeded.Add(1)
						}
						if resp != nil {
							resp.Body.Close()
						}
					})
				}
				synctest.Wait()
				close(g.open)
				wg.Wait()
				assert.GreaterOrEqual(t, succeeded.Load(), int32(4))
				assert.Nil(t, transport.flight)
				status, _ := call(t, transport, newRequest(t, "POST", "/", "body"))
				assert.Equal(t, 200, status)
			})
		})
	}
}

func TestErrorsOfTheBase(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("connection reset")
	tests := []struct {
		method string
		failAt int // the request that fails
		sent   int // attempts that took the body
	}{
		{"GET", 1, 0},
		{"GET", 2, 0},
		{"GET", 5, 0}, // the repeat after an expired nonce
		{"POST", 1, 0},
		{"POST", 2, 1},
		{"POST", 5, 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %d", tt.method, tt.failAt), func(t *testing.T) {
			t.Parallel()
			s := newServer()
			s.maxUses = 2
			inner := &inProcess{handler: s}
			n := 0
			negotiating := false
			transport := newTestTransport(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
				if n++; n == tt.failAt {
					negotiating = auth.IsNegotiation(req.Context())
					if req.Body != nil {
						req.Body.Close()
					}
					return nil, errBroken
				}
				return inner.RoundTrip(req)
			}))
			for {
				req := newRequest(t, tt.method, "/", "body"[:bodyLen(tt.method)])
				body := &trackedBody{Reader: strings.NewReader("body")}
				if tt.method == "POST" {
					req.Body = body
				}
				resp, err := transport.RoundTrip(req)
				if tt.method == "POST" {
					assert.Equal(t, 1, body.timesClosed())
				}
				if err != nil {
					require.Equal(t, errBroken, err, "unchanged")
					require.Nil(t, resp)
					break
				}
				require.NoError(t, resp.Body.Close())
				require.Less(t, n, 6, "it never failed")
			}
			assert.Equal(t, tt.failAt == 1, negotiating)
			assert.Zero(t, inner.openBodies())
			status, _ := call(t, transport, newRequest(t, tt.method, "/", "body"[:bodyLen(tt.method)]))
			assert.Equal(t, 200, status, "the next call starts anew")
		})
	}
}

// A base transport that panics must not leave the others waiting for ever.
func TestPanicOfTheBase(t *testing.T) {
	t.Parallel()
	transport := newTestTransport(t, roundTripFunc(func(*http.Request) (*http.Response, error) { panic("broken") }))
	for range 2 {
		body := &trackedBody{Reader: strings.NewReader("body")}
		req := newRequest(t, "POST", "/", "body")
		req.Body = body
		assert.Panics(t, func() { _, _ = transport.RoundTrip(req) })
		assert.Equal(t, 1, body.timesClosed())
	}
}

// What is thrown away is read to a bound, so an endless body holds up nobody.
func TestDiscardIsBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, auth.MaxDrain, 10 * auth.MaxDrain} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			s := newServer()
			inner := &inProcess{handler: s}
			var discarded *trackedBody
			transport := newTestTransport(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
				resp, err := inner.RoundTrip(req)
				if err == nil && discarded == nil {
					discarded = &trackedBody{Reader: bytes.NewReader(make([]byte, size))}
					resp.Body.Close()
					resp.Body = discarded
				}
				return resp, err
			}))
			status, _ := call(t, transport, newRequest(t, "GET", "/", ""))
			assert.Equal(t, 200, status)
			assert.Equal(t, min(size, auth.MaxDrain), discarded.reads)
			assert.Equal(t, 1, discarded.timesClosed())
		})
	}
}
