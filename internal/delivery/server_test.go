package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// roundTripper is a transport that is not net/http's own.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// listen serves each connection with handle until the test ends. The number of a connection counts from 1.
func listen(t *testing.T, handle func(number int, conn net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wg.Go(func() {
		for number := 1; ; number++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				handle(number, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// standard is a transport of net/http whose connections end with the test.
func standard(t *testing.T, change ...func(*http.Transport)) *http.Transport {
	t.Helper()
	base := &http.Transport{}
	for _, change := range change {
		change(base)
	}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// scriptedServer gives each request the next of its responses, and closes the connection after the last one.
type scriptedServer struct {
	mu        sync.Mutex
	responses []string
	received  []*http.Request
	bodies    []string
}

const (
	ok           = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	unauthorized = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nkeys"
	closed       = "" // the connection, without a response
)

func http1(t *testing.T, responses ...string) (*scriptedServer, string) {
	t.Helper()
	s := &scriptedServer{responses: responses}
	return s, "http://" + listen(t, func(_ int, conn net.Conn) {
		reader := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			response, last := s.next(req, string(body))
			_, _ = io.WriteString(conn, response)
			if response == closed || last {
				return
			}
		}
	})
}

func (s *scriptedServer) next(req *http.Request, body string) (response string, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received, s.bodies = append(s.received, req), append(s.bodies, body)
	n := len(s.received)
	if n > len(s.responses) {
		return closed, true
	}
	return s.responses[n-1], n == len(s.responses)
}

// seen are the requests that have arrived.
func (s *scriptedServer) seen() (requests []*http.Request, bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received, s.bodies
}

// nowhere is an address that rejects connections.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

// call is a State and the context that its requests have.
type call struct {
	*State
	ctx context.Context
}

func newCall(t *testing.T, s *State) call { return call{s, WithState(t.Context(), s)} }

func (c call) request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(c.ctx, method, url, reader)
	require.NoError(t, err)
	return req
}

// send makes one attempt and closes its response.
func (c call) send(t *testing.T, transport http.RoundTripper, req *http.Request) (status int, err error) {
	t.Helper()
	c.Begin()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		require.Nil(t, resp)
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, nil
}

// http2Codes are how a stream is reset (RFC 9113, section 7).
var http2Codes = map[string]uint32{"PROTOCOL_ERROR": 1, "INTERNAL_ERROR": 2, "REFUSED_STREAM": 7, "CANCEL": 8}

const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7
	flagEndStream, flagAck, flagEndHeaders                          = 1, 1, 4
)

// status200 and status401 are headers in the form of HPACK.
var status200, status401 = []byte{0x88}, []byte("\x08\x03401")

// frames is the server's side of an HTTP/2 connection.
type frames struct{ conn net.Conn }

func (f frames) write(kind, flags byte, stream uint32, payload []byte) {
	head := append([]byte{0, 0, byte(len(payload)), kind, flags}, binary.BigEndian.AppendUint32(nil, stream)...)
	_, _ = f.conn.Write(append(head, payload...))
}

func (f frames) reset(stream, code uint32) {
	f.write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

// goAway says that no stream above last is processed any more.
func (f frames) goAway(last, code uint32) {
	f.write(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}

// respond sends a response without a body.
func (f frames) respond(stream uint32, headers []byte) {
	f.write(frameHeaders, flagEndHeaders|flagEndStream, stream, headers)
}

func (f frames) ok(stream uint32) { f.respond(stream, status200) }

// serve calls received with each request that has arrived with its body.
func (f frames) serve(received func(stream uint32)) {
	if _, err := io.CopyN(io.Discard, f.conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	f.write(frameSettings, 0, 0, nil)
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(f.conn, head); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, f.conn, length); err != nil {
			return
		}
		switch kind, flags := head[3], head[4]; {
		case kind == frameSettings && flags&flagAck == 0:
			f.write(frameSettings, flagAck, 0, nil)
		case (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0:
			received(binary.BigEndian.Uint32(head[5:9]))
		}
	}
}

// http2Server is an HTTP/2 server that does with each request what respond does. The number of a request counts from 1,
// over all connections.
type http2Server struct {
	url         string
	trust       *tls.Config // of clients
	respond     func(f frames, number int, stream uint32)
	mu          sync.Mutex
	connections []int // of the requests
}

func http2(t *testing.T, respond func(f frames, number int, stream uint32)) *http2Server {
	t.Helper()
	known := httptest.NewTLSServer(nil) // for its certificate
	known.Close()
	s := &http2Server{trust: known.Client().Transport.(*http.Transport).TLSClientConfig, respond: respond}
	s.url = "https://" + listen(t, func(connection int, plain net.Conn) {
		conn := tls.Server(plain, &tls.Config{Certificates: known.TLS.Certificates, NextProtos: []string{"h2"}})
		defer conn.Close()
		f := frames{conn}
		f.serve(func(stream uint32) { s.respond(f, s.count(connection), stream) })
	})
	return s
}

func (s *http2Server) count(connection int) (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections = append(s.connections, connection)
	return len(s.connections)
}

// seen are the connections of the requests that have arrived.
func (s *http2Server) seen() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// transport is one of net/http that trusts the server.
func (s *http2Server) transport(t *testing.T) *http.Transport {
	t.Helper()
	return standard(t, func(base *http.Transport) {
		base.TLSClientConfig, base.ForceAttemptHTTP2 = s.trust.Clone(), true
	})
}

// breakable is a dialer whose connections can be made to fail their next write, before a byte of it is sent.
type breakable struct {
	mu     sync.Mutex
	broken error // of writes to connections that exist
	dial   error // of new connections
	conns  int
}

func (b *breakable) set(broken, dial error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken, b.dial = broken, dial
}

func (b *breakable) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dial != nil {
		return nil, b.dial
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b.conns++
	return &breakableConn{conn, b, b.conns}, nil
}

type breakableConn struct {
	net.Conn
	dialer *breakable
	number int
}

func (c *breakableConn) Write(p []byte) (int, error) {
	c.dialer.mu.Lock()
	broken := c.dialer.broken
	c.dialer.mu.Unlock()
	if broken != nil && c.number == 1 {
		return 0, broken
	}
	return c.Conn.Write(p)
}
