package livemigrationtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	inProcessURL, sourceHost = "https://atlas.test", "source.test"
	// unreachableURL is the address of a server that was closed before it had one, or that found no free port. Nothing
	// that is used today listens on port 1.
	unreachableURL = "http://127.0.0.1:1"
)

// URL returns the server's address without a path, such as http://127.0.0.1:41257. The first call opens a listener on a
// free port of the loopback interface. With [WithInProcess] there is no listener, and the address is
// https://atlas.test.
func (s *Server) URL() string { return s.urlOf(s.atlas) }

// SourceURL returns the address of the source side, which plays Cloud Manager or Ops Manager. It differs from
// [Server.URL], and has its own listener. With [WithInProcess] it is https://source.test.
func (s *Server) SourceURL() string { return s.urlOf(s.source) }

// HTTPClient returns an HTTP client that reaches the server and its source side, and trusts their certificate. It has
// no credentials.
func (s *Server) HTTPClient() *http.Client {
	if s.config.inProcess {
		return &http.Client{Transport: s.memory}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.network == nil {
		s.network = &http.Transport{}
		if s.config.tls {
			s.identify()
			s.network.TLSClientConfig = &tls.Config{RootCAs: s.roots}
			s.network.ForceAttemptHTTP2 = s.config.http2
		}
	}
	return &http.Client{Transport: s.network}
}

// Transport returns an [http.Transport] that reaches the server through memory, without a port. It works inside the
// testing/synctest bubble in which the server was created. Requests to https://source.test go to the source side, all
// others to Atlas, whatever host they name. It opens a connection for each request, so that nothing is left of a
// request that has ended.
func (s *Server) Transport() http.RoundTripper { return s.memory }

// Handler returns the server as an [http.Handler], for your own listener. Faults of the connection hijack it. Where that
// is impossible (HTTP/2, httptest.ResponseRecorder) they panic with [http.ErrAbortHandler], and net/http then cuts the
// connection.
func (s *Server) Handler() http.Handler { return s.atlas }

// SourceHandler returns the source side as an [http.Handler], see [Server.Handler].
func (s *Server) SourceHandler() http.Handler { return s.source }

func (s *Server) urlOf(of *site) string {
	if s.config.inProcess {
		return of.inProcessURL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if of.url == "" {
		of.url = unreachableURL
		if !s.closed() {
			s.listen(of)
		}
	}
	return of.url
}

// listen serves on a free port. The caller has the lock.
func (s *Server) listen(of *site) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return
	}
	of.url = "http://" + plain.Addr().String()
	if s.config.tls {
		s.identify()
		of.url = "https://" + plain.Addr().String()
		protocols := []string{"http/1.1"}
		if s.config.http2 {
			protocols = []string{"h2", "http/1.1"}
		}
		plain = tls.NewListener(plain, &tls.Config{Certificates: s.identity, NextProtos: protocols})
	}
	go func() { _ = of.server.Serve(&listener{plain, s.wrap}) }()
}

// wrap prepares a connection for HTTP/2.
func (s *Server) wrap(conn net.Conn) net.Conn {
	if s.config.http2 {
		return &frameConn{Conn: conn}
	}
	return conn
}

// newHTTPServer returns the server of a site, for its listener and for connections in process.
func newHTTPServer(handler http.Handler, http2 bool) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(http2) // on a frameConn, which hides the TLS below it
	return &http.Server{
		Handler: handler, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
}

func (s *Server) newMemoryTransport() *http.Transport {
	dial := func(_ context.Context, _, address string) (net.Conn, error) {
		of := s.atlas
		if strings.HasPrefix(address, sourceHost+":") {
			of = s.source
		}
		if s.closed() {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		client, server := newPipe()
		go func() {
			if err := of.server.Serve(&pipeListener{s.wrap(server)}); errors.Is(err, http.ErrServerClosed) {
				_ = server.Close()
			}
		}()
		return client, nil
	}
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true}
	if s.config.http2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return transport
}

// identify gets a certificate for the listeners, and the pool of a client that trusts it. The caller has the lock.
func (s *Server) identify() {
	if s.roots != nil {
		return
	}
	own := httptest.NewTLSServer(http.NotFoundHandler())
	defer own.Close()
	s.identity = own.TLS.Certificates
	s.roots = x509.NewCertPool()
	s.roots.AddCert(own.Certificate())
}
