package livemigrationtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// The addresses of a server in process.
const (
	inProcessURL = "https://atlas.test"
	sourceHost   = "source.test"
)

// unreachableURL is the address of a server that was closed before it had one, or that found no free port. Nothing that
// is used today listens on port 1.
const unreachableURL = "http://127.0.0.1:1"

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
		if s.config.tls && s.identify() == nil {
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
		plain, err = net.Listen("tcp", "[::1]:0")
	}
	if err != nil {
		return
	}
	l := &listener{Listener: plain, http2: s.config.http2}
	scheme := "http://"
	if s.config.tls {
		if s.identify() != nil {
			_ = plain.Close()
			return
		}
		scheme = "https://"
		l.tls = &tls.Config{Certificates: []tls.Certificate{*s.identity}, NextProtos: []string{"http/1.1"}}
		if s.config.http2 {
			l.tls.NextProtos = []string{"h2", "http/1.1"}
		}
	}
	of.url = scheme + plain.Addr().String()
	go func() { _ = of.server.Serve(l) }()
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
		l := &singleListener{conn: server}
		if s.config.http2 {
			l.conn = &frameConn{Conn: server}
		}
		go func() {
			if err := of.server.Serve(l); errors.Is(err, http.ErrServerClosed) {
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

// identify creates the certificate of the listeners. The caller has the lock.
func (s *Server) identify() error {
	if s.identity != nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.identity = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(leaf)
	return nil
}
