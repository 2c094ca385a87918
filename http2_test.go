package livemigration_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7
	flagEndStream, flagAck, flagEndHeaders                          = 1, 1, 4
)

// h2Server is an HTTP/2 server that reads each request to its end and lets respond write frames to it. n counts the
// requests, from 1, over all connections.
type h2Server struct {
	respond func(n int, stream []byte, frame func(kind, flags byte, stream, payload []byte))
	count   atomic.Int32
}

func (s *h2Server) serve(conn net.Conn) {
	frame := func(kind, flags byte, stream, payload []byte) {
		head := []byte{0, 0, byte(len(payload)), kind, flags}
		_, _ = conn.Write(append(append(head, stream...), payload...))
	}
	if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	none := make([]byte, 4)
	frame(frameSettings, 0, none, nil)
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			return
		}
		switch kind, flags := head[3], head[4]; {
		case kind == frameSettings && flags&flagAck == 0:
			frame(frameSettings, flagAck, none, nil)
		case (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0:
			s.respond(int(s.count.Add(1)), slices.Clone(head[5:9]), frame)
		}
	}
}

// start serves on loopback, and returns a client whose transport is net/http's.
func (s *h2Server) start(t *testing.T, opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	own, pool := certificate(t, func(*x509.Certificate) {})
	address, _ := listen(t, func(plain net.Conn) {
		conn := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"h2"}})
		defer conn.Close()
		s.serve(conn)
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	return newClient(t, bearer("t0k3n"), append([]livemigration.Option{
		quick, livemigration.WithBaseURL("https://" + address), livemigration.WithHTTPClient(&http.Client{Transport: transport}),
	}, opts...)...)
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// created is the response to a creation.
func created(stream []byte, frame func(kind, flags byte, stream, payload []byte)) {
	// :status 201 as a literal without indexing, with the name from the static table (RFC 7541, section 6.2.2).
	frame(frameHeaders, flagEndHeaders, stream, append([]byte{0x08, 3}, "201"...))
	frame(frameData, flagEndStream, stream, []byte(`{"_id":"`+jobID+`","status":"NEW"}`))
}

// Over HTTP/2 net/http retries a request by itself when the server resets its stream with some codes, also one that the
// server has had all of.
func TestACreationWhoseStreamIsResetIsUnknown(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]uint32{"PROTOCOL_ERROR": 1, "INTERNAL_ERROR": 2, "CANCEL": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &h2Server{respond: func(_ int, stream []byte, frame func(kind, flags byte, stream, payload []byte)) {
				frame(frameReset, 0, stream, number(code))
			}}
			_, err := s.start(t).Migrations.Create(t.Context(), projectID, request())
			require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
			assert.ErrorContains(t, err, name)
			assert.EqualValues(t, 1, s.count.Load())
		})
	}
}

// A server that says that it did not process a request is believed (RFC 9113, section 8.7).
func TestACreationThatTheServerDidNotProcessIsRetried(t *testing.T) {
	t.Parallel()
	type frames = func(kind, flags byte, stream, payload []byte)
	for name, reject := range map[string]func([]byte, frames){
		"REFUSED_STREAM": func(stream []byte, frame frames) { frame(frameReset, 0, stream, number(7)) },
		"GOAWAY below the stream": func(_ []byte, frame frames) {
			frame(frameGoAway, 0, number(0), append(number(0), number(0)...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &h2Server{}
			s.respond = func(n int, stream []byte, frame func(kind, flags byte, stream, payload []byte)) {
				if n < 3 {
					reject(stream, frame)
					return
				}
				created(stream, frame)
			}
			var resp livemigration.Response
			m, err := s.start(t).Migrations.Create(t.Context(), projectID, request(), livemigration.CaptureResponse(&resp))
			require.NoError(t, err)
			assert.EqualValues(t, jobID, m.ID)
			assert.Equal(t, 3, resp.Attempts)
			assert.EqualValues(t, 3, s.count.Load())
		})
		t.Run(name+", for ever", func(t *testing.T) {
			t.Parallel()
			s := &h2Server{respond: func(_ int, stream []byte, frame func(kind, flags byte, stream, payload []byte)) {
				reject(stream, frame)
			}}
			_, err := s.start(t).Migrations.Create(t.Context(), projectID, request())
			require.Error(t, err)
			assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
			assert.False(t, livemigration.MayHaveCreated(err))
			assert.ErrorContains(t, err, "not processed by the server: ")
			assert.EqualValues(t, 4, s.count.Load())
		})
	}
}

// A GOAWAY that includes the stream says nothing about whether the request was processed.
func TestACreationOnAConnectionThatGoesAwayIsUnknown(t *testing.T) {
	t.Parallel()
	s := &h2Server{}
	s.respond = func(_ int, stream []byte, frame func(kind, flags byte, stream, payload []byte)) {
		frame(frameGoAway, 0, number(0), append(slices.Clone(stream), number(0)...))
		frame(frameReset, 0, stream, number(2))
	}
	_, err := s.start(t).Migrations.Create(t.Context(), projectID, request())
	require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
	assert.EqualValues(t, 1, s.count.Load())
}
