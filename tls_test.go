package livemigration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// certificate makes a self-signed certificate for loopback, with changes.
func certificate(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "atlas.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLS calls an Atlas whose TLS is not in order. Nothing of a request reaches it.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		change   func(*x509.Certificate)
		server   func(*tls.Config)
		trusted  bool
		want     string
		attempts int // of a client that may make 4
	}{
		{"in order", func(*x509.Certificate) {}, func(*tls.Config) {}, true, "", 1},
		{"unknown authority", func(*x509.Certificate) {}, func(*tls.Config) {}, false, "certificate signed by unknown authority", 1},
		{"expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, func(*tls.Config) {}, true, "certificate has expired", 1},
		{"not yet valid", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, func(*tls.Config) {}, true, "not yet valid", 1},
		{"wrong host name", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 9)} }, func(*tls.Config) {}, true, "certificate is valid for 127.0.0.9, not 127.0.0.1", 1},
		// An alert cannot be told apart from a handshake that may succeed in another attempt.
		{"TLS 1.1", func(*x509.Certificate) {}, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, true, "protocol version not supported", 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			atlas := livemigrationtest.NewServer()
			defer atlas.Close()
			own, pool := certificate(t, tc.change)
			config := &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
			tc.server(config)
			server := httptest.NewUnstartedServer(atlas.Handler())
			server.Config.ErrorLog, server.TLS = log.New(io.Discard, "", 0), config
			server.StartTLS()
			defer server.Close()
			trust := &tls.Config{}
			if tc.trusted {
				trust.RootCAs = pool
			} else {
				trust.RootCAs = x509.NewCertPool()
			}
			client := newClient(t, atlas.Credentials(), quick, livemigration.WithBaseURL(server.URL),
				livemigration.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: trust}}))
			var resp livemigration.Response
			_, err := client.Migrations.Create(t.Context(), atlas.ProjectID(), atlas.SampleRequest(), livemigration.CaptureResponse(&resp))
			assert.Equal(t, tc.attempts, resp.Attempts)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
			assert.Empty(t, atlas.Recorded(), "nothing is sent to a server that has not shown who it is")
		})
	}
}
