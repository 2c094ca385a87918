package faultmatrix

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// wireFault is what an HTTP server cannot do wrong. One of its functions is set.
type wireFault struct {
	// tlsOnly and plainOnly: the fault exists on one kind of connection.
	tlsOnly, plainOnly bool
	// dial takes the place of a dial.
	dial func(context.Context) (net.Conn, error)
	// accept takes the place of serving a connection.
	accept func(*wire, *wireConn)
	// answer takes the place of sending an answer.
	answer func(*wireConn, *http.Response)
	// idle closes a connection once an answer has been sent on it.
	idle bool
}

// wire is a listener with an Atlas behind it that speaks HTTP/1.1 as wrongly as a fault demands.
type wire struct {
	atlas    http.Handler
	listener net.Listener
	tls      *tls.Config // nil: plain
	fault    *Fault
	strikes  Strikes

	armed       atomic.Bool
	accepted    atomic.Int32 // connections
	requests    atomic.Int32 // that carry credentials
	swallowed   atomic.Int32 // of those, that Atlas has not seen
	mu          sync.Mutex
	connections map[net.Conn]struct{}
	wg          sync.WaitGroup
}

func newWire(atlas http.Handler, c Cell, config *tls.Config) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{atlas: atlas, listener: l, tls: config, fault: c.Fault, strikes: c.Strikes, connections: make(map[net.Conn]struct{})}
	w.wg.Go(w.accept)
	return w, nil
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

// close ends what is left, and returns how many connections that were.
func (w *wire) close() int {
	_ = w.listener.Close()
	w.mu.Lock()
	left := len(w.connections)
	for conn := range w.connections {
		_ = conn.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
	return left
}

// quiet waits until the clients have closed all connections.
func (w *wire) quiet(within time.Duration) bool {
	return eventually(within, func() bool {
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

// exchange answers a request and reports whether another one may follow.
func (w *wire) exchange(conn *wireConn, req *http.Request) bool {
	n, counted := 0, req.Header.Get("Authorization") != ""
	if counted {
		n = w.nth(&w.requests)
	}
	fault := w.fault.wire
	if counted && fault.answer != nil && w.on(n) {
		if !w.fault.carriedOut && w.fault.effect != harmless {
			w.swallowed.Add(1)
			fault.answer(conn, nil)
			return false
		}
		fault.answer(conn, w.handle(req))
		return false
	}
	answer := w.handle(req)
	// A fault on the next connection needs a next connection.
	last := answer.StatusCode == http.StatusTooManyRequests && (fault.accept != nil || fault.dial != nil)
	if last {
		answer.Header.Set("Connection", "close")
	}
	writeAnswer(conn, answer)
	return !last && !(counted && fault.idle && w.strikes.on(n+1))
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

// head is the answer up to its body, without the empty line.
func head(answer *http.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", answer.StatusCode, http.StatusText(answer.StatusCode))
	_ = answer.Header.Write(&b)
	return b.String()
}

func body(answer *http.Response) string {
	data, _ := io.ReadAll(answer.Body)
	return string(data)
}

func send(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

func writeAnswer(conn *wireConn, answer *http.Response) {
	send(conn, head(answer)+"\r\n"+body(answer))
}

// What follows is what goes wrong.

func closeIt(_ *wire, conn *wireConn) { _ = conn.raw.Close() }

func resetIt(_ *wire, conn *wireConn) {
	if tcp, ok := conn.raw.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.raw.Close()
}

func resetAtFirstByte(w *wire, conn *wireConn) {
	_, _ = conn.raw.Read(make([]byte, 1))
	resetIt(w, conn)
}

// silence lasts until the client hangs up.
func silence(_ *wire, conn *wireConn) { _, _ = io.Copy(io.Discard, conn.raw) }

func greet(_ *wire, conn *wireConn) {
	_, _ = conn.raw.Read(make([]byte, 1<<10)) // else the client may find the greeting before it has sent anything
	send(conn.raw, "220 mail.example.com ESMTP\r\n")
}

func alert(_ *wire, conn *wireConn) {
	_, _ = conn.raw.Read(make([]byte, 1<<10))
	send(conn.raw, "\x15\x03\x03\x00\x02\x02\x28") // fatal: handshake_failure
}

func cutHandshake(w *wire, conn *wireConn) {
	conn.raw.fate.Store(int32(cutOff))
	_ = tls.Server(conn.raw, w.tls).Handshake()
}

func otherCertificate(w *wire, conn *wireConn) {
	config := w.tls.Clone()
	config.Certificates = []tls.Certificate{certificates().other}
	_ = tls.Server(conn.raw, config).Handshake()
	silence(w, conn)
}

func resetInstead(conn *wireConn, _ *http.Response) { resetIt(nil, conn) }

// say sends a text in the place of the answer, and closes the connection.
func say(text string) func(*wireConn, *http.Response) {
	return func(conn *wireConn, _ *http.Response) {
		if text != "" {
			send(conn, text)
		}
		closeIt(nil, conn)
	}
}

// hang sends a text in the place of the answer, and nothing more.
func hang(text string) func(*wireConn, *http.Response) {
	return func(conn *wireConn, _ *http.Response) {
		if text != "" {
			send(conn, text)
		}
		silence(nil, conn)
	}
}

// headOnly leaves out the empty line and all that follows.
func headOnly(then func(*wire, *wireConn)) func(*wireConn, *http.Response) {
	return func(conn *wireConn, answer *http.Response) {
		send(conn, head(answer))
		then(nil, conn)
	}
}

func endlessHead(conn *wireConn, answer *http.Response) {
	send(conn, head(answer))
	line := "X-Filler: " + strings.Repeat("x", 8<<10) + "\r\n"
	for {
		if _, err := io.WriteString(conn, line); err != nil {
			return
		}
	}
}

// chunked sends one good chunk, half of the answer's body, and then what is no chunk. A 204 becomes a 200.
func chunked(rest string, then func(*wire, *wireConn)) func(*wireConn, *http.Response) {
	return func(conn *wireConn, answer *http.Response) {
		withBody(answer)
		answer.Header.Set("Transfer-Encoding", "chunked")
		text := body(answer)
		text = text[:(len(text)+1)/2]
		if text != "" {
			text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
		}
		send(conn, head(answer)+"\r\n"+text+rest)
		then(nil, conn)
	}
}

// untilClose sends half of the answer's body; only the end of the connection ends it. A 204 becomes a 200.
func untilClose(conn *wireConn, answer *http.Response) {
	withBody(answer)
	answer.Header.Set("Connection", "close")
	text := body(answer)
	send(conn, head(answer)+"\r\n"+text[:len(text)/2])
	closeIt(nil, conn)
}

func withBody(answer *http.Response) {
	if answer.StatusCode == http.StatusNoContent {
		answer.StatusCode = http.StatusOK
	}
	answer.Header.Del("Content-Length")
}

// tlsRecord sends the answer in a record that meets its fate.
func tlsRecord(f fate) func(*wireConn, *http.Response) {
	return func(conn *wireConn, answer *http.Response) {
		answer.Header.Set("Connection", "close")
		conn.raw.fate.Store(int32(f))
		writeAnswer(conn, answer)
		_ = conn.CloseWrite()
	}
}

// CloseWrite says goodbye in the way of TLS.
func (c *wireConn) CloseWrite() error {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		return secure.CloseWrite()
	}
	return nil
}

// fate is what becomes of the next TLS record.
type fate int32

const (
	whole fate = iota
	inTwo
	cutOff
	damaged
)

// recordConn is below TLS, which writes whole records to it.
type recordConn struct {
	net.Conn
	fate atomic.Int32
}

func (c *recordConn) Write(record []byte) (int, error) {
	half := len(record) / 2
	switch fate(c.fate.Swap(int32(whole))) {
	case inTwo:
		if n, err := c.Conn.Write(record[:half]); err != nil {
			return n, err
		}
		time.Sleep(5 * time.Millisecond)
		n, err := c.Conn.Write(record[half:])
		return half + n, err
	case cutOff:
		_, _ = c.Conn.Write(record[:half])
		_ = c.Close()
		return half, net.ErrClosed
	case damaged:
		record = bytes.Clone(record)
		record[half] ^= 1
	}
	return c.Conn.Write(record)
}
