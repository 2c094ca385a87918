package digest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// A body that cannot be read twice is sent once. What its rejection has shown serves the next call.
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
