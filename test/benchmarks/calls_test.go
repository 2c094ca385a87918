package benchmarks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCalls makes every call of every peer on every server once, and counts the requests.
func TestCalls(t *testing.T) {
	for i := range benchmarks {
		b := &benchmarks[i]
		for _, server := range b.servers {
			for _, p := range peers {
				t.Run(b.name+"/"+server+"/"+p.name, func(t *testing.T) { checkCall(t, b, server, p) })
			}
		}
	}
}

func checkCall(t *testing.T, b *benchmark, server string, p peer) {
	s, err := newSite(server, b.siteOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	l, err := b.open(s, p)
	if err != nil {
		t.Fatal(err)
	}
	if l == nil {
		if p.name != peerOfficial {
			t.Fatal("this peer can do everything")
		}
		return
	}
	defer l.close()
	var before int64
	for range 2 { // the second call is in the steady state
		before = s.requests.Load()
		if err := l.work(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	want := int64(1)
	if p.name == peerOfficial || b.cold && p.name != peerBare {
		want = 2 // the challenge comes first
	}
	if b.name == "Rejected" {
		want *= 2
	}
	if got := s.requests.Load() - before; got != want {
		t.Errorf("%d requests, not %d", got, want)
	}
}

// TestMinimalChecksDigest shows that the minimal server rejects requests with a wrong password.
func TestMinimalChecksDigest(t *testing.T) {
	s, err := newSite(serverProcess, siteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	path := s.readPath("v2")
	right := s.counter.authorization(http.MethodGet, path)
	for name, tt := range map[string]struct {
		header string
		status int
	}{
		"right":          {right, http.StatusOK},
		"again":          {right, http.StatusOK},
		"none":           {"", http.StatusUnauthorized},
		"another scheme": {"Basic YTpi", http.StatusUnauthorized},
		"only a scheme":  {"Digest ", http.StatusUnauthorized},
		"malformed":      {`Digest nonce="`, http.StatusUnauthorized},
		"another nonce":  {strings.Replace(right, minimalNonce, strings.ToUpper(minimalNonce), 1), http.StatusUnauthorized},
		"another count":  {strings.Replace(right, "nc=0000", "nc=0001", 1), http.StatusUnauthorized},
		"another method": {s.counter.authorization(http.MethodPut, path), http.StatusUnauthorized},
		"another path":   {s.counter.authorization(http.MethodGet, path+"0"), http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, path, nil)
			if tt.header != "" {
				req.Header.Set("Authorization", tt.header)
			}
			response := httptest.NewRecorder()
			s.handler.ServeHTTP(response, req)
			if response.Code != tt.status {
				t.Errorf("status %d, not %d", response.Code, tt.status)
			}
		})
	}
}
