package digest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go/internal/auth"
)

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

// Those who wait continue as soon as the outcome is known, however long the call takes that brought it about.
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
				challenged, ended := make(chan struct{}), make(chan struct{})
				slow := func(req *http.Request) (*http.Response, error) {
					if auth.IsNegotiation(req.Context()) {
						<-challenged
					} else if req.URL.Path == "/slow" {
						<-ended
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
				close(ended)
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
		"unsupported":  func() (*http.Response, error) { return respond(401, "", nil), nil },
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
