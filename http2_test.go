package livemigration_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

const (
	frameData, frameHeaders, frameReset, frameSettings = 0, 1, 3, 4
	flagEndStream, flagAck                             = 1, 1
)

// resetStreams is an HTTP/2 server that reads each request to its end and then resets its stream.
func resetStreams(code uint32, received func()) func(net.Conn) {
	return func(conn net.Conn) {
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
				received()
				frame(frameReset, 0, head[5:9], binary.BigEndian.AppendUint32(nil, code))
			}
		}
	}
}

// Over HTTP/2 net/http repeats a request by itself when the server resets its stream with some codes, also one that the
// server has had all of.
func TestACreationIsNotRepeatedByNetHTTPOverHTTP2(t *testing.T) {
	t.Parallel()
	own, pool := certificate(t, func(*x509.Certificate) {})
	for name, code := range map[string]uint32{"PROTOCOL_ERROR": 1, "INTERNAL_ERROR": 2, "REFUSED_STREAM": 7, "CANCEL": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := make(chan struct{}, 1000)
			serve := resetStreams(code, func() {
				select {
				case requests <- struct{}{}:
				default:
				}
			})
			address, _ := listen(t, func(plain net.Conn) {
				conn := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"h2"}})
				defer conn.Close()
				serve(conn)
			})
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
			client := newClient(t, bearer("t0k3n"), quick, livemigration.WithBaseURL("https://"+address), livemigration.WithHTTPClient(&http.Client{Transport: transport}))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := client.Migrations.Create(ctx, projectID, request())
			require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
			assert.Len(t, requests, 1)
		})
	}
}
