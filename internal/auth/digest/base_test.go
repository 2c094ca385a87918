package digest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// inProcess is a base transport without a network. It keeps the RoundTripper contract, and knows how many response
// bodies are still open.
type inProcess struct {
	handler http.Handler

	mu   sync.Mutex
	open int
}

func (b *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := httptest.NewRequest(req.Method, req.URL.RequestURI(), bytes.NewReader(body)).WithContext(req.Context())
	in.Header = req.Header.Clone()
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, in)
	resp := recorder.Result()
	resp.Body = &trackedBody{Reader: resp.Body, onClose: func() { b.count(-1) }}
	resp.Request = req
	b.count(1)
	return resp, nil
}

func (b *inProcess) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open += n
}

func (b *inProcess) openBodies() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// trackedBody knows how it was used.
type trackedBody struct {
	io.Reader
	onClose func()

	mu     sync.Mutex
	reads  int
	closed int
}

func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads += n
	return n, err
}

func (b *trackedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	if b.closed == 1 && b.onClose != nil {
		b.onClose()
	}
	return nil
}

func (b *trackedBody) timesClosed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// roundTripFunc is a base transport made of a function.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// newTestTransport returns a Transport with the right credentials for the origin of the tests.
func newTestTransport(tb testing.TB, base http.RoundTripper) *Transport {
	tb.Helper()
	return newTransportFor(tb, testUsername, testPassword, base)
}

func newTransportFor(tb testing.TB, username, password string, base http.RoundTripper) *Transport {
	tb.Helper()
	origin, err := url.Parse(testOrigin)
	require.NoError(tb, err)
	transport, err := NewTransport(origin, username, password, base)
	require.NoError(tb, err)
	return transport
}

// newRequest returns a request to the origin of the tests. Without a body it has none.
func newRequest(tb testing.TB, method, uri, body string) *http.Request {
	tb.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, testOrigin+uri, reader)
	require.NoError(tb, err)
	return req
}

// call makes one request and returns its status and body.
func call(tb testing.TB, rt http.RoundTripper, req *http.Request) (int, string) {
	tb.Helper()
	resp, err := rt.RoundTrip(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	require.Same(tb, req, resp.Request, "the caller must not see the request with the credentials")
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return resp.StatusCode, string(body)
}

// respond returns a response as a base transport would.
func respond(status int, body string, header http.Header) *http.Response {
	if header == nil {
		header = make(http.Header)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func bodyLen(method string) int {
	if method == "GET" {
		return 0
	}
	return 4
}

func inParallel(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}
