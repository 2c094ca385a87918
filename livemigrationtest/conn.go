package livemigrationtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// listener accepts connections, with TLS if there is a configuration for it.
type listener struct {
	net.Listener
	tls   *tls.Config
	http2 bool
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.tls != nil {
		conn = tls.Server(conn, l.tls)
	}
	if l.http2 {
		conn = &frameConn{Conn: conn}
	}
	return conn, nil
}

// singleListener accepts one connection.
type singleListener struct{ conn net.Conn }

func (l *singleListener) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, net.ErrClosed
	}
	conn := l.conn
	l.conn = nil
	return conn, nil
}

func (l *singleListener) Close() error { return nil }

func (l *singleListener) Addr() net.Addr { return &net.TCPAddr{} }

// pipeEnd is one end of a connection through memory.
type pipeEnd struct {
	net.Conn
	reset *atomic.Bool // by either end
}

func newPipe() (client, server *pipeEnd) {
	a, b := net.Pipe()
	reset := new(atomic.Bool)
	return &pipeEnd{a, reset}, &pipeEnd{b, reset}
}

func (p *pipeEnd) Read(data []byte) (int, error) {
	n, err := p.Conn.Read(data)
	if errors.Is(err, io.EOF) && p.reset.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

// SetLinger makes closing the connection reset it, as that of a TCP connection with 0 seconds does.
func (p *pipeEnd) SetLinger(int) error {
	p.reset.Store(true)
	return nil
}

// loss is how a response is lost.
type loss int

const (
	notLost loss = iota
	lostByReset
	lostByRefusal // HTTP/2: RST_STREAM with REFUSED_STREAM
	lostByGoAway  // HTTP/2: GOAWAY below the stream
)

// connKey is the key of the connection in the context of a request.
type connKey struct{}

// lose ends the request without a response.
func lose(w http.ResponseWriter, r *http.Request, how loss) {
	if conn, ok := r.Context().Value(connKey{}).(*frameConn); ok && r.ProtoMajor == 2 && how != lostByReset {
		conn.refuse(how)
		panic(http.ErrAbortHandler)
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok; wrapped, ok = conn.(interface{ NetConn() net.Conn }) {
		conn = wrapped.NetConn() // TLS would say goodbye
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // a client sees a reset and not an end
	}
	_ = conn.Close()
}

// frameConn is a connection that may speak HTTP/2. Its server resets the stream of a handler that panics; frameConn
// sends what a fault wants in place of that frame.
type frameConn struct {
	net.Conn
	mu       sync.Mutex
	refusals []loss
}

// NetConn returns the connection below.
func (c *frameConn) NetConn() net.Conn { return c.Conn }

func (c *frameConn) refuse(how loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals = append(c.refusals, how)
}

// The frames of RFC 9113, section 6. A stream's number follows resetStream; the error code INTERNAL_ERROR ends it.
var (
	resetStream   = []byte{0, 0, 4, 3, 0}
	internalError = []byte{0, 0, 0, 2}
	refusedStream = []byte{0, 0, 0, 7}
	goAway        = append([]byte{0, 0, 8, 7}, make([]byte, 13)...) // the last stream is 0, and there is no error
)

const resetStreamLength = 13

func (c *frameConn) Write(data []byte) (int, error) {
	c.mu.Lock()
	waiting := len(c.refusals) > 0
	at := -1
	if waiting {
		at = bytes.Index(data, resetStream)
	}
	if at < 0 || len(data) < at+resetStreamLength || !bytes.Equal(data[at+9:at+resetStreamLength], internalError) {
		c.mu.Unlock()
		return c.Conn.Write(data)
	}
	how := c.refusals[0]
	c.refusals = c.refusals[1:]
	c.mu.Unlock()
	frame := goAway
	if how == lostByRefusal {
		frame = slices.Concat(data[at:at+9], refusedStream)
	}
	if _, err := c.Conn.Write(slices.Concat(data[:at], frame, data[at+resetStreamLength:])); err != nil {
		return 0, err
	}
	return len(data), nil
}
