package livemigrationtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// hooked records the hooks that a request triggers.
func hooked(req *http.Request) (*http.Request, *[]string) {
	var calls []string
	add := func(call string) { calls = append(calls, call) }
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(hostPort string) { add("GetConn " + hostPort) },
		GotConn: func(info httptrace.GotConnInfo) {
			add("GotConn " + info.Conn.RemoteAddr().Network())
		},
		WroteHeaderField:     func(key string, value []string) { add(key + ": " + strings.Join(value, ", ")) },
		WroteHeaders:         func() { add("WroteHeaders") },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { add("WroteRequest " + errorString(info.Err)) },
		GotFirstResponseByte: func() { add("GotFirstResponseByte") },
	})), &calls
}

func errorString(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func TestTransportHooks(t *testing.T) {
	t.Parallel()
	head := []string{
		"GetConn any.example:443", "GotConn tcp", "Host: any.example", "Content-Length: 2", "Accept: " + media2023,
		"Authorization: Digest x=y", "WroteHeaders", "WroteRequest ok",
	}
	tests := map[string]struct {
		fault livemigrationtest.Fault
		err   error
		want  []string
	}{
		"response":     {livemigrationtest.Fault{}, nil, append(head[:8:8], "GotFirstResponseByte")},
		"reset before": {livemigrationtest.ResetBeforeRequest(), syscall.ECONNRESET, head},
		"reset after":  {livemigrationtest.ResetAfterRequest(), syscall.ECONNRESET, head},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			srv.Inject(livemigrationtest.AnyOperation, tt.fault, 1)
			r := request{method: http.MethodPost, path: "/", body: "{}", header: map[string]string{"Accept": media2023, "Authorization": "Digest x=y"}}
			req, calls := hooked(r.build(t, "https://any.example"))
			_, err := srv.Transport().RoundTrip(req)
			require.ErrorIs(t, err, tt.err)
			assert.Equal(t, tt.want, *calls)
		})
	}
}

func TestTransportHooksOfFailedConnection(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Close()
	req, calls := hooked(request{method: http.MethodGet, path: "/"}.build(t, "http://any.example:8080"))
	_, err := srv.Transport().RoundTrip(req)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	var op *net.OpError
	require.ErrorAs(t, err, &op)
	assert.Equal(t, "dial", op.Op)
	assert.Equal(t, []string{"GetConn any.example:8080"}, *calls)
}

// trackedBody is a request body that knows whether it was closed.
type trackedBody struct {
	io.Reader
	closed bool
}

func (b *trackedBody) Close() error {
	b.closed = true
	return nil
}

func TestTransportClosesRequestBody(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx    context.Context
		body   io.Reader
		length int64
		fault  livemigrationtest.Fault
		want   string
	}{
		"response":      {body: strings.NewReader("{}"), length: 2},
		"length open":   {body: strings.NewReader("{}"), length: -1},
		"reset":         {body: strings.NewReader("{}"), length: 2, fault: livemigrationtest.ResetBeforeRequest(), want: "connection reset by peer"},
		"cancelled":     {ctx: cancelled, body: strings.NewReader("{}"), length: 2, want: "context canceled"},
		"unreadable":    {body: errorReader{broken}, length: 2, want: "broken"},
		"shorter":       {body: strings.NewReader("{"), length: 2, want: "Content-Length is 2"},
		"longer":        {body: strings.NewReader("{} "), length: 2, want: "Content-Length is 2"},
		"beyond limits": {body: strings.NewReader(strings.Repeat(" ", 2<<20)), length: 2 << 20},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			srv.Inject(livemigrationtest.AnyOperation, tt.fault, 1)
			body := &trackedBody{Reader: tt.body}
			req := createRequest(srv).build(t, srv.URL())
			if tt.ctx != nil {
				req = req.WithContext(tt.ctx)
			}
			req.Body, req.ContentLength, req.GetBody = body, tt.length, nil
			_, err := srv.Transport().RoundTrip(req)
			if tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.want)
			}
			assert.True(t, body.closed)
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestTransportEndsBlockedUpload(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	req := createRequest(srv).build(t, srv.URL()).WithContext(ctx)
	req.Body, req.ContentLength, req.GetBody = reader, -1, nil
	go func() {
		_, _ = writer.Write([]byte("{")) // returns once it has been read
		cancel()
	}()
	_, err := srv.Transport().RoundTrip(req)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, srv.Recorded())
}

func TestTransportResponse(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	req := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").build(t, "https://elsewhere.example")
	req.Header.Set("Authorization", "Digest x=y")
	header := req.Header.Clone()
	res, err := srv.Transport().RoundTrip(req)
	require.NoError(t, err)
	assert.Equal(t, "200 OK", res.Status)
	assert.Equal(t, "HTTP/1.1", res.Proto)
	assert.Same(t, req, res.Request)
	assert.Equal(t, header, req.Header, "a transport does not change the request")
	assert.EqualValues(t, 2, res.ContentLength)
	assert.Equal(t, "2", res.Header.Get("Content-Length"))
	require.NoError(t, res.Body.Close())
	_, err = res.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
	assert.Equal(t, "elsewhere.example", srv.Recorded()[0].Host)
}

func TestTransportBodyEndsWithContext(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	req := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").build(t, srv.URL()).WithContext(ctx)
	res, err := srv.Transport().RoundTrip(req)
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, res.Body.Close())
}

func TestTransportOfOddRequests(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	_, err := srv.Transport().RoundTrip(&http.Request{})
	require.ErrorContains(t, err, "without a URL")

	req := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").build(t, srv.URL())
	req.Method, req.Host = "", ""
	res, err := srv.Transport().RoundTrip(req)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, res.StatusCode, "no method is GET")
	assert.Equal(t, "atlas.test", srv.Recorded()[0].Host)
	require.NoError(t, res.Body.Close())
}

func BenchmarkTransport(b *testing.B) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithoutAuthentication())
	defer srv.Close()
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	req, err := http.NewRequestWithContext(b.Context(), r.method, srv.URL()+r.path, nil)
	require.NoError(b, err)
	req.Header.Set("Accept", media2023)
	transport := srv.Transport()
	b.ReportAllocs()
	for b.Loop() {
		res, err := transport.RoundTrip(req)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

func TestHandlerWithoutHijacking(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]livemigrationtest.Fault{
		"before": livemigrationtest.ResetBeforeRequest(), "after": livemigrationtest.ResetAfterRequest(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			srv.Inject(livemigrationtest.CreateMigration, fault, 1)
			req := createRequest(srv).build(t, srv.URL())
			assert.PanicsWithValue(t, http.ErrAbortHandler, func() { srv.Handler().ServeHTTP(plainWriter{}, req) })
		})
	}
}

// plainWriter is a response writer that cannot be hijacked.
type plainWriter struct{}

func (plainWriter) Header() http.Header         { return http.Header{} }
func (plainWriter) Write(p []byte) (int, error) { return len(p), nil }
func (plainWriter) WriteHeader(int)             {}

func TestTransportIsCheap(t *testing.T) {
	srv := newOpenServer(t)
	req := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").build(t, srv.URL())
	transport := srv.Transport()
	allocs := testing.AllocsPerRun(100, func() {
		res, err := transport.RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
		}
	})
	assert.Less(t, allocs, 45.0)
}
