package faultmatrix

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

func closeIt(_ *wire, conn *wireConn) { _ = conn.raw.Close() }

func resetIt(_ *wire, conn *wireConn) {
	if m, ok := conn.raw.Conn.(*memoryConn); ok {
		_ = m.SetLinger(0)
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

// say sends a text instead of the response, and closes the connection.
func say(text string) func(*wireConn, *http.Response) {
	return func(conn *wireConn, _ *http.Response) {
		if text != "" {
			send(conn, text)
		}
		closeIt(nil, conn)
	}
}

// hang sends a text instead of the response, and nothing more.
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
	return func(conn *wireConn, resp *http.Response) {
		send(conn, head(resp))
		then(nil, conn)
	}
}

func endlessHead(conn *wireConn, resp *http.Response) {
	send(conn, head(resp))
	line := "X-Filler: " + strings.Repeat("x", 8<<10) + "\r\n"
	for {
		if _, err := io.WriteString(conn, line); err != nil {
			return
		}
	}
}

// chunked sends one good chunk, half of the response's body, and then what is no chunk. A 204 becomes a 200.
func chunked(rest string, then func(*wire, *wireConn)) func(*wireConn, *http.Response) {
	return func(conn *wireConn, resp *http.Response) {
		withBody(resp)
		resp.Header.Set("Transfer-Encoding", "chunked")
		text := body(resp)
		text = text[:(len(text)+1)/2]
		if text != "" {
			text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
		}
		send(conn, head(resp)+"\r\n"+text+rest)
		then(nil, conn)
	}
}

// untilClose sends half of the response's body; only the end of the connection ends it. A 204 becomes a 200.
func untilClose(conn *wireConn, resp *http.Response) {
	withBody(resp)
	resp.Header.Set("Connection", "close")
	text := body(resp)
	send(conn, head(resp)+"\r\n"+text[:len(text)/2])
	closeIt(nil, conn)
}

func withBody(resp *http.Response) {
	if resp.StatusCode == http.StatusNoContent {
		resp.StatusCode = http.StatusOK
	}
	resp.Header.Del("Content-Length")
}

// tlsRecord sends the response in a record that meets its fate.
func tlsRecord(f fate) func(*wireConn, *http.Response) {
	return func(conn *wireConn, resp *http.Response) {
		resp.Header.Set("Connection", "close")
		conn.raw.fate.Store(int32(f))
		writeResponse(conn, resp)
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

// fate is what happens to the next TLS record.
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
