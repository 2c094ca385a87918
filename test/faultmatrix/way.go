package faultmatrix

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// way is the way from the client to Atlas, and the transport on it.
type way struct {
	url       string
	transport http.RoundTripper
	closeIdle func() // of the client
	listener  *memory
	serving   sync.WaitGroup
	wire      *wire
	idle      bool // wait for idle connections to be closed

	dial      func() (net.Conn, error) // instead of those dials
	stillborn bool                     // new connections are dead
	on        func(n int) bool
	open      atomic.Int32
	dials     atomic.Int32
	armed     atomic.Bool
	mu        sync.Mutex
	conns     map[*countedConn]struct{} // that are open

	spoils   bool
	spoil    func() // before those requests with credentials
	requests atomic.Int32
}

func (c Cell) newWay(s *subject, v venue) *way {
	w := &way{
		url: "http://127.0.0.1", listener: listenInMemory(), on: c.Strikes.on, spoils: c.Fault.spoil != nil,
		conns: make(map[*countedConn]struct{}),
	}
	transport := &http.Transport{DialContext: w.dialContext, MaxResponseHeaderBytes: headLimit}
	w.transport = transport
	var config *tls.Config
	if v.tls {
		w.url = "https://127.0.0.1"
		config = &tls.Config{Certificates: []tls.Certificate{certificates().own}, SessionTicketsDisabled: true}
		transport.TLSClientConfig = &tls.Config{RootCAs: certificates().pool}
	}
	handler := c.Operation.handlerOf(s)
	if c.Fault.wire == nil {
		server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
		w.serving.Go(func() { _ = server.Serve(w.listener) })
		return w
	}
	w.wire = newWire(handler, c, config, w.listener)
	w.wire.kill = w.kill
	if transport.ForceAttemptHTTP2 = c.Fault.wire.overH2(); transport.ForceAttemptHTTP2 {
		config.NextProtos = []string{"h2"}
	}
	w.dial, w.idle = c.Fault.wire.dial, c.Fault.wire.idle && c.Strikes != Second
	return w
}

// handlerOf is the side to which the operation belongs.
func (o *Operation) handlerOf(s *subject) http.Handler {
	if o.onSource() {
		return s.SourceHandler()
	}
	return s.Handler()
}

// arm lets the fault strike from the next attempt on.
func (w *way) arm(c Cell, s *subject, v venue) bool {
	f := c.Fault
	if w.idle && !eventually(func() bool { return w.open.Load() == 0 }) {
		return false
	}
	target := f.target
	if target == "" {
		target = c.Operation.Name
	}
	if c.Strikes == Second {
		before := lmtest.Status(http.StatusTooManyRequests).WithRetryAfter(retryAfter[soon])
		if f.inHandshake() { // net/http sends a GET again by itself on a connection that it reuses
			before = before.WithHeader("Connection", "close")
		}
		s.Inject(target, before, 1)
	}
	times := 1
	if c.Strikes == Every {
		times = 1000
	}
	fault := f.inject
	if f.wait != notGiven {
		fault = fault.WithRetryAfter(retryAfter[f.wait])
	}
	s.Inject(target, fault, times)
	switch {
	case f.spoil != nil:
		w.spoil = func() { f.spoil(s.Server) }
	case f.account != none && v.warm:
		s.ExpireTokens()
	}
	dead := f.wire != nil && f.wire.dead
	w.stillborn = dead && c.Strikes == Every
	w.armed.Store(true)
	if w.wire != nil {
		w.wire.arm()
	}
	if dead && c.Strikes != Second { // else after the first attempt
		w.kill()
	}
	return true
}

// client is the transport that the client gets.
func (w *way) client(v venue) http.RoundTripper {
	if w.spoils || v.wrapped {
		return w
	}
	return w.transport
}

// RoundTrip is where nonces and access tokens expire.
func (w *way) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.spoil != nil && req.Header.Get("Authorization") != "" && req.URL.Path != tokenPath && w.on(int(w.requests.Add(1))) {
		w.spoil()
	}
	return w.transport.RoundTrip(req)
}

func (w *way) CloseIdleConnections() {
	if t, ok := w.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// dialContext counts connections until they are closed.
func (w *way) dialContext(context.Context, string, string) (net.Conn, error) {
	if w.armed.Load() && w.dial != nil && w.on(int(w.dials.Add(1))) {
		return w.dial()
	}
	conn, err := w.listener.dial()
	if err != nil {
		return nil, err
	}
	w.open.Add(1)
	counted := &countedConn{Conn: conn}
	counted.dead.Store(w.armed.Load() && w.stillborn)
	counted.closed = sync.OnceFunc(func() {
		w.open.Add(-1)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.conns, counted)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[counted] = struct{}{}
	return counted, nil
}

// kill makes the open connections dead.
func (w *way) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		conn.dead.Store(true)
	}
}

// countedConn swallows what is written once it is dead, as a NAT does that forgot the connection.
type countedConn struct {
	net.Conn
	closed func()
	dead   atomic.Bool
}

func (c *countedConn) Write(data []byte) (int, error) {
	if c.dead.Load() {
		return len(data), nil
	}
	return c.Conn.Write(data)
}

func (c *countedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

func dialNobody() (net.Conn, error) { return nil, errRefused }

func dialNoHost() (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "atlas.invalid", IsNotFound: true}}
}

// authenticated counts the requests of an operation with credentials that hold: by the server's records, and those that
// a listener kept from it.
func (w *way) authenticated(s *subject, op *Operation) int {
	n := 0
	for _, r := range s.Recorded() {
		if r.Authenticated && r.Operation == op.Name {
			n++
		}
	}
	if w.wire != nil {
		n += int(w.wire.swallowed.Load())
	}
	return n
}

// close ends the way, and reports what the client has left on it once its idle connections are closed.
func (w *way) close(r *report) {
	closed := func() bool {
		w.closeIdle() // again and again: an HTTP/2 connection is idle only some time after its last stream has ended
		return w.open.Load() == 0
	}
	if w.closeIdle != nil && !eventually(closed) {
		r.problem("%d connections are left", w.open.Load())
	}
	_ = w.listener.Close()
	w.serving.Wait()
	if w.wire == nil {
		return
	}
	if !w.wire.quiet() {
		r.problem("the server has connections left")
	}
	w.wire.close()
}

func eventually(condition func() bool) bool {
	const patience = time.Minute // a request for a token outlives the call that needed it
	for end := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
