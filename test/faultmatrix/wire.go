package faultmatrix

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// wireFault is what an HTTP server cannot do wrong. One of its functions is set.
type wireFault struct {
	// tlsOnly and plainOnly: the fault exists on one kind of connection.
	tlsOnly, plainOnly bool
	// dial is called instead of a dial.
	dial func() (net.Conn, error)
	// accept is called instead of serving a connection.
	accept func(*wire, *wireConn)
	// respond is called instead of sending a response.
	respond func(*wireConn, *http.Response)
	// stream is called instead of sending a response over HTTP/2. It reports whether the connection stays open.
	stream func(framer *http2.Framer, stream uint32) bool
	// dead: the connections that are open swallow what is sent on them. With http2 they speak HTTP/2.
	dead, http2 bool
	// idle closes a connection after a response has been sent on it.
	idle bool
}

// overH2 reports whether the fault is one of HTTP/2.
func (f *wireFault) overH2() bool { return f.http2 || f.stream != nil }

// wire is a listener with an Atlas behind it that speaks HTTP as wrongly as a fault demands.
type wire struct {
	atlas    http.Handler
	listener *memory
	tls      *tls.Config // nil: plain
	fault    *Fault
	strikes  Strikes

	armed       atomic.Bool
	accepted    atomic.Int32 // connections
	requests    atomic.Int32 // that carry credentials
	swallowed   atomic.Int32 // of those, that Atlas has not seen
	kill        func()       // makes the open connections dead
	mu          sync.Mutex
	connections map[net.Conn]struct{}
	wg          sync.WaitGroup
}

func newWire(atlas http.Handler, c Cell, config *tls.Config, l *memory) *wire {
	w := &wire{atlas: atlas, listener: l, tls: config, fault: c.Fault, strikes: c.Strikes, connections: make(map[net.Conn]struct{})}
	w.wg.Go(w.accept)
	return w
}

func (w *wire) accept() {
	for {
		raw, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		w.connections[raw] = struct{}{}
		w.mu.Unlock()
		w.wg.Go(func() {
			defer func() {
				_ = raw.Close()
				w.mu.Lock()
				delete(w.connections, raw)
				w.mu.Unlock()
			}()
			w.serve(&wireConn{Conn: raw, raw: &recordConn{Conn: raw}})
		})
	}
}

// close ends what is left.
func (w *wire) close() {
	w.mu.Lock()
	for conn := range w.connections {
		_ = conn.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// quiet waits until the clients have closed all connections.
func (w *wire) quiet() bool {
	return eventually(func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.connections) == 0
	})
}

// arm makes the fault strike from now on. A connection that is there serves the first attempt.
func (w *wire) arm() {
	w.mu.Lock()
	w.accepted.Store(int32(len(w.connections)))
	w.mu.Unlock()
	w.armed.Store(true)
}

// nth counts, once the fault is armed; before that it is 0.
func (w *wire) nth(counter *atomic.Int32) int {
	if !w.armed.Load() {
		return 0
	}
	return int(counter.Add(1))
}

// on reports whether the fault strikes what was counted as n.
func (w *wire) on(n int) bool {
	if w.fault.once && w.strikes == Every {
		return n == 1
	}
	return n > 0 && w.strikes.on(n)
}

func (w *wire) serve(conn *wireConn) {
	n := w.nth(&w.accepted)
	if accept := w.fault.wire.accept; accept != nil && w.on(n) {
		accept(w, conn)
		return
	}
	if w.tls != nil {
		conn.Conn = tls.Server(conn.raw, w.tls)
	}
	if w.fault.wire.overH2() {
		w.serveH2(conn)
		return
	}
	requests := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		if body, err := io.ReadAll(req.Body); err == nil {
			req.Body = io.NopCloser(bytes.NewReader(body))
		}
		if !w.exchange(conn, req) {
			return
		}
	}
}

// exchange responds to a request and reports whether another one may follow.
func (w *wire) exchange(conn *wireConn, req *http.Request) bool {
	n, counted := 0, req.Header.Get("Authorization") != ""
	if counted {
		n = w.nth(&w.requests)
	}
	fault := w.fault.wire
	if counted && fault.respond != nil && w.on(n) {
		if !w.fault.carriedOut && w.fault.effect != harmless {
			w.swallowed.Add(1)
			fault.respond(conn, nil)
			return false
		}
		fault.respond(conn, w.handle(req))
		return false
	}
	resp := w.handle(req)
	w.killBefore(counted, n+1)
	// A fault on the next connection needs a next connection.
	last := resp.StatusCode == http.StatusTooManyRequests && (fault.accept != nil || fault.dial != nil)
	if last {
		resp.Header.Set("Connection", "close")
	}
	writeResponse(conn, resp)
	return !last && !(counted && fault.idle && w.strikes.on(n+1))
}

// killBefore makes the open connections dead before the nth request with credentials, if the fault is that.
func (w *wire) killBefore(counted bool, n int) {
	if counted && n > 1 && w.fault.wire.dead && w.on(n) {
		w.kill()
	}
}

func (w *wire) handle(req *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	w.atlas.ServeHTTP(recorder, req)
	return recorder.Result()
}

// wireConn is a connection, with TLS or without, and what is below TLS.
type wireConn struct {
	net.Conn
	raw *recordConn
}

// head is the response up to its body, without the empty line.
func head(resp *http.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", resp.StatusCode, http.StatusText(resp.StatusCode))
	_ = resp.Header.Write(&b)
	return b.String()
}

func body(resp *http.Response) string {
	data, _ := io.ReadAll(resp.Body)
	return string(data)
}

func send(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

func writeResponse(conn *wireConn, resp *http.Response) {
	send(conn, head(resp)+"\r\n"+body(resp))
}
