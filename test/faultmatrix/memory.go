package faultmatrix

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// memory is a listener whose connections go through memory, so that a cell can run on virtual time. They do what TCP does:
// they have a buffer, and a reset differs from an end.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func listenInMemory() *memory {
	return &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *memory) dial() (net.Conn, error) {
	up, down := newStream(), newStream()
	select {
	case m.conns <- &memoryConn{in: up, out: down}:
		return &memoryConn{in: down, out: up}, nil
	case <-m.closed:
		return nil, errRefused
	}
}

var errRefused error = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// stream is one direction of a connection.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	data     []byte
	ended    error // what a reader gets after the data
	deadline time.Time
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(into []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0:
			n := copy(into, s.data)
			s.data = s.data[n:]
			s.changed.Broadcast()
			return n, nil
		case s.ended != nil:
			return 0, s.ended
		}
		s.changed.Wait()
	}
}

func (s *stream) write(data []byte) (int, error) {
	const most = 256 << 10 // that nobody has read
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.data) > most && s.ended == nil {
		s.changed.Wait()
	}
	if s.ended != nil {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	s.data = append(s.data, data...)
	s.changed.Broadcast()
	return len(data), nil
}

// end ends the stream. What is in it is lost, unless it is kept.
func (s *stream) end(err error, keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = err
	}
	if !keep {
		s.data = nil
	}
	s.changed.Broadcast()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if d := time.Until(t); !t.IsZero() && d > 0 {
		time.AfterFunc(d, s.changed.Broadcast)
	}
	s.changed.Broadcast()
}

// memoryConn is one end of a connection.
type memoryConn struct {
	in, out *stream
	resets  bool
}

func (c *memoryConn) Read(data []byte) (int, error)     { return c.in.read(data) }
func (c *memoryConn) Write(data []byte) (int, error)    { return c.out.write(data) }
func (c *memoryConn) LocalAddr() net.Addr               { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) SetWriteDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *memoryConn) SetReadDeadline(t time.Time) error { c.in.setDeadline(t); return nil }

// SetLinger makes closing the connection reset it, as with a TCP connection and 0 seconds.
func (c *memoryConn) SetLinger(int) error { c.resets = true; return nil }

func (c *memoryConn) Close() error {
	c.in.end(net.ErrClosed, false)
	if c.resets {
		c.out.end(&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, false)
	} else {
		c.out.end(io.EOF, true)
	}
	return nil
}
