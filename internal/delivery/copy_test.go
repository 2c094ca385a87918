package delivery

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestACopyOfATransportHasConnectionsOfItsOwn(t *testing.T) {
	t.Parallel()
	upgrade := func(string, *tls.Conn) http.RoundTripper { return nil }
	for _, tc := range []struct {
		name   string
		base   *http.Transport
		kept   bool // the map of protocols
		forced bool
	}{
		{"standard", &http.Transport{}, false, true},
		{"with settings of TLS, which keep net/http from HTTP/2", &http.Transport{TLSClientConfig: &tls.Config{}}, false, false},
		{"with a map that leads to connections", &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{"h2": upgrade}}, false, true},
		{"without HTTP/2", &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.base.MaxIdleConns = 7
			c := copyOf(tc.base)
			assert.NotSame(t, tc.base, c)
			assert.Equal(t, 7, c.MaxIdleConns)
			assert.Equal(t, tc.kept, c.TLSNextProto != nil)
			assert.Equal(t, tc.forced, c.ForceAttemptHTTP2)
		})
	}
}

func TestACopyOfATransportSpeaksTheSameProtocol(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	only := func(set func(*http.Protocols)) *http.Protocols {
		p := new(http.Protocols)
		set(p)
		return p
	}
	for name, tc := range map[string]struct {
		base *http.Transport
		want int
	}{
		"chosen by net/http":       {&http.Transport{}, 2},
		"settings of TLS":          {&http.Transport{TLSClientConfig: &tls.Config{}}, 1},
		"settings of TLS, forced":  {&http.Transport{TLSClientConfig: &tls.Config{}, ForceAttemptHTTP2: true}, 2},
		"a dialer":                 {&http.Transport{DialContext: new(net.Dialer).DialContext}, 1},
		"no HTTP/2, as documented": {&http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}, 1},
		"protocols: HTTP/1":        {&http.Transport{Protocols: only(func(p *http.Protocols) { p.SetHTTP1(true) }), ForceAttemptHTTP2: true}, 1},
		"protocols: HTTP/2":        {&http.Transport{Protocols: only(func(p *http.Protocols) { p.SetHTTP2(true) })}, 2},
		"protocols: both":          {&http.Transport{Protocols: only(func(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) })}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_ = tc.base.Clone() // net/http chooses now, and the authority of the test does not count as a setting of TLS
			if tc.base.TLSClientConfig == nil {
				tc.base.TLSClientConfig = &tls.Config{}
			}
			tc.base.TLSClientConfig.RootCAs = trust
			for _, transport := range []*http.Transport{tc.base, copyOf(tc.base), copyOf(copyOf(tc.base))} {
				defer transport.CloseIdleConnections()
				resp, err := transport.RoundTrip(newCall(t, new(State)).request(t, http.MethodGet, server.URL, ""))
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				assert.Equal(t, tc.want, resp.ProtoMajor)
			}
		})
	}
}
