package digest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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

func TestUnsupportedChallenges(t *testing.T) {
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
					assert.JSONEq(t, `{"error": 401}`, text, "the server's own response")
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

func TestRejectedCredentials(t *testing.T) {
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

func TestWarmRejectionWithoutAChallenge(t *testing.T) {
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

// What the response to the probe of a POST request means.
func TestProbeResponses(t *testing.T) {
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
				code, _ := call(t, transport, req)
				got = append(got, code)
				assert.Equal(t, 1, body.timesClosed())
			}
			rejected := status/100 == 3 || status/100 == 5 || slices.Contains([]int{407, 408, 421, 425, 429}, status)
			if rejected {
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
func TestChallengeAfterAProbeWithoutOne(t *testing.T) {
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
		{"GET", 5, 0}, // the attempt after an expired nonce
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
