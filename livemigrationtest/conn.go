package livemigrationtest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
)

// listener accepts connections and wraps them.
type listener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(conn), nil
}

// pipeListener accepts the one connection.
type pipeListener struct{ conn net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	conn := l.conn
	l.conn = nil
	if conn == nil {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l *pipeListener) Close() error { return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

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

// SetLinger makes closing the connection reset it, as with a TCP connection and 0 seconds.
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
	refusal atomic.Int32 // a loss
}

// NetConn returns the connection below.
func (c *frameConn) NetConn() net.Conn { return c.Conn }

func (c *frameConn) refuse(how loss) { c.refusal.Store(int32(how)) }

// Write replaces a frame RST_STREAM with the code INTERNAL_ERROR, if there is a refusal. See RFC 9113, section 6.
func (c *frameConn) Write(data []byte) (int, error) {
	start, code, length := []byte{0, 0, 4, 3, 0}, []byte{0, 0, 0, 2}, 13 // the number of the stream is between them
	at := bytes.Index(data, start)
	if at < 0 || len(data) < at+length || !bytes.Equal(data[at+9:at+length], code) || c.refusal.Load() == 0 {
		return c.Conn.Write(data)
	}
	frame := append([]byte{0, 0, 8, 7}, make([]byte, 13)...) // GOAWAY: the last stream is 0, and there is no error
	if loss(c.refusal.Swap(0)) == lostByRefusal {
		frame = append(slices.Clone(data[at:at+9]), 0, 0, 0, 7)
	}
	if _, err := c.Conn.Write(slices.Concat(data[:at], frame, data[at+length:])); err != nil {
		return 0, err
	}
	return len(data), nil
}
