package livemigration_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// rawServer speaks just enough HTTP/2 to misbehave in ways that net/http's server cannot. It knows no HPACK: it counts the
// requests whose last frame has arrived.
type rawServer struct {
	url         string
	client      *tls.Config
	connections atomic.Int32
	requests    atomic.Int32

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

// Frame types of RFC 9113, section 6.
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	framePing     = 0x6
	frameGoAway   = 0x7

	flagEnd = 0x1 // END_STREAM, and ACK

	protocolError = 0x1
	refusedStream = 0x7
)

// rawConn is one connection of an rawServer.
type rawConn struct {
	net.Conn
	number int // from 1
	mu     sync.Mutex
}

// newRawServer starts a server. onRequest is called with each whole request; n counts those of its connection. onConnect,
// if any, is called before the first one.
func newRawServer(t *testing.T, onConnect func(*rawConn), onRequest func(c *rawConn, stream uint32, n int)) *rawServer {
	t.Helper()
	template := httptest.NewUnstartedServer(nil)
	template.EnableHTTP2 = true
	template.StartTLS()
	config, pool := template.TLS.Clone(), template.Client().Transport
	template.Close()
	config.NextProtos = []string{"h2"}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	s := &rawServer{url: "https://" + listener.Addr().String(), client: tlsConfigOf(pool)}
	s.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c := &rawConn{Conn: conn, number: int(s.connections.Add(1))}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.wg.Go(func() { s.serve(c, onConnect, onRequest) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *rawServer) serve(c *rawConn, onConnect func(*rawConn), onRequest func(*rawConn, uint32, int)) {
	defer c.Close()
	preface := make([]byte, 24)
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	c.write(frameSettings, 0, 0, nil)
	if onConnect != nil {
		onConnect(c)
	}
	n := 0
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		payload := make([]byte, uint32(head[0])<<16|uint32(head[1])<<8|uint32(head[2]))
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&flagEnd == 0:
			c.write(frameSettings, flagEnd, 0, nil)
		case kind == framePing && flags&flagEnd == 0:
			c.write(framePing, flagEnd, 0, payload)
		case (kind == frameHeaders || kind == frameData) && flags&flagEnd != 0:
			n++
			s.requests.Add(1)
			onRequest(c, stream, n)
		}
	}
}

func (c *rawConn) write(kind, flags byte, stream uint32, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b bytes.Buffer
	b.Write([]byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags})
	_ = binary.Write(&b, binary.BigEndian, stream)
	b.Write(payload)
	_, _ = c.Write(b.Bytes())
}

func (c *rawConn) reset(stream, code uint32) {
	c.write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

// goAway says that no stream of the connection was processed.
func (c *rawConn) goAway(code uint32) {
	c.write(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(make([]byte, 4), code))
}

// respond sends the headers of a response, and its body unless it is nil: then the body never comes.
func (c *rawConn) respond(stream uint32, status string, body []byte, header ...string) {
	block := append([]byte{0x08, byte(len(status))}, status...) // a literal with the indexed name :status (RFC 7541, 6.2.2)
	for i := 0; i+1 < len(header); i += 2 {
		block = appendText(appendText(append(block, 0), header[i]), header[i+1])
	}
	const endHeaders = 0x4
	c.write(frameHeaders, endHeaders, stream, block)
	if body != nil {
		c.write(frameData, flagEnd, stream, body)
	}
}

// appendText appends a text that is not compressed (RFC 7541, sections 5.1 and 5.2).
func appendText(block []byte, text string) []byte {
	const most = 127
	n := len(text)
	if n < most {
		return append(append(block, byte(n)), text...)
	}
	block = append(block, most)
	for n -= most; n >= 128; n /= 128 {
		block = append(block, byte(n%128+128))
	}
	return append(append(block, byte(n)), text...)
}

func tlsConfigOf(transport http.RoundTripper) *tls.Config {
	return transport.(*http.Transport).TLSClientConfig.Clone()
}
