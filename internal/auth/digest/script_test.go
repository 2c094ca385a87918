package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

const (
	testOrigin   = "https://atlas.example"
	testUsername = "ABCDEFGH"
	testPassword = "5f1b2c3d-private"
)

// step is what a scripted server answers to one request.
type step struct {
	status    int
	challenge string
	cookie    string
	err       error
}

func challenged(nonce string) step {
	return step{status: 401, challenge: fmt.Sprintf(`Digest realm="r", nonce="%s", algorithm=MD5, qop="auth", stale=false`, nonce)}
}

func stale(nonce string) step {
	return step{status: 401, challenge: fmt.Sprintf(`Digest realm="r", nonce="%s", algorithm=MD5, qop="auth", stale=true`, nonce)}
}

func (s step) withCookie(cookie string) step {
	s.cookie = cookie
	return s
}

// script is a base transport that answers one request after the other. It fails the test when there are more requests
// than steps.
type script struct {
	t     *testing.T
	steps []step

	mu     sync.Mutex
	sent   []string // each "POST nonce/count body", with "-" in place of what is missing, and the cookies
	bodies []*trackedBody
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := req.Method + " -"
	if value := req.Header.Get("Authorization"); value != "" {
		p, err := parseAuthorization(value)
		assert.NoError(s.t, err)
		sent = fmt.Sprintf("%s %s/%s", req.Method, p["nonce"], strings.TrimLeft(p["nc"], "0"))
	}
	assert.Equal(s.t, req.Header.Get("Authorization") == "", auth.IsNegotiation(req.Context()), "only what has no credentials is marked")
	if req.Body != nil && req.Body != http.NoBody {
		body, err := io.ReadAll(req.Body)
		assert.NoError(s.t, err)
		assert.NoError(s.t, req.Body.Close())
		sent += " " + string(body)
	}
	if cookies := req.Header.Get("Cookie"); cookies != "" {
		sent += " [" + cookies + "]"
	}
	s.sent = append(s.sent, sent)
	if !assert.LessOrEqual(s.t, len(s.sent), len(s.steps), "more requests than expected: %v", s.sent) {
		return nil, fmt.Errorf("the script has ended")
	}
	next := s.steps[len(s.sent)-1]
	if next.err != nil {
		return nil, next.err
	}
	body := &trackedBody{Reader: strings.NewReader(fmt.Sprint("response ", len(s.sent)))}
	s.bodies = append(s.bodies, body)
	resp := &http.Response{StatusCode: next.status, Header: make(http.Header), Body: body, Request: req}
	if next.challenge != "" {
		resp.Header.Set("WWW-Authenticate", next.challenge)
	}
	if next.cookie != "" {
		resp.Header.Set("Set-Cookie", next.cookie)
	}
	return resp, nil
}

// call sends one request, checks what holds for each, and returns "status" or the error.
func call(t *testing.T, transport http.RoundTripper, method, content string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, testOrigin+"/api?a=b", nil)
	require.NoError(t, err)
	body := &trackedBody{Reader: strings.NewReader(content)}
	if content != "" {
		req.Body, req.ContentLength = body, int64(len(content))
	}
	req.Header.Set("Content-Type", "application/json")
	before, header := *req, req.Header.Clone()
	resp, err := transport.RoundTrip(req)
	assert.Equal(t, before, *req, "the request must not change")
	assert.Equal(t, header, req.Header)
	if content != "" {
		assert.Equal(t, 1, body.closed, "the body is closed once, however the request ends")
	}
	if err != nil {
		assert.Nil(t, resp)
		return err.Error()
	}
	assert.Empty(t, resp.Request.Header.Get("Authorization"), "the caller must not see the request with the credentials")
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.NotEmpty(t, text, "the caller reads the response")
	require.NoError(t, resp.Body.Close())
	return fmt.Sprint(resp.StatusCode)
}

// finish checks that each response was read to its end and closed once, so that its connection can be used again.
func (s *script) finish() {
	s.t.Helper()
	assert.Len(s.t, s.sent, len(s.steps), "fewer requests than expected")
	for i, body := range s.bodies {
		assert.Equal(s.t, 1, body.closed, "response %d", i+1)
		n, _ := body.Reader.Read(make([]byte, 1))
		assert.Zero(s.t, n, "response %d", i+1)
	}
}

// trackedBody counts how often it is closed.
type trackedBody struct {
	io.Reader
	closed int
}

func (b *trackedBody) Close() error {
	b.closed++
	return nil
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// newTransport returns a Transport for the origin of a URL.
func newTransport(t testing.TB, origin string, base http.RoundTripper) *Transport {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	return New(testUsername, testPassword, u, base)
}

// expectedResponse computes what RFC 7616, section 3.4.1, and RFC 2069, section 2.1.2, ask for.
func expectedResponse(p map[string]string, password, method string) string {
	h := func(parts ...string) string {
		hashes := map[string]func() hash.Hash{
			"": md5.New, "MD5": md5.New, "SHA-256": sha256.New, "SHA-512-256": sha512.New512_256,
		}
		h := hashes[strings.ToUpper(p["algorithm"])]()
		io.WriteString(h, strings.Join(parts, ":"))
		return hex.EncodeToString(h.Sum(nil))
	}
	a1, a2 := h(p["username"], p["realm"], password), h(method, p["uri"])
	if p["qop"] == "" {
		return h(a1, p["nonce"], a2)
	}
	return h(a1, p["nonce"], p["nc"], p["cnonce"], p["qop"], a2)
}

// parseAuthorization reads credentials as strictly as RFC 7616, section 3.4, writes them.
func parseAuthorization(value string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(value, "Digest ")
	if !ok {
		return nil, errors.New("no Digest credentials")
	}
	unquoted := map[string]bool{"algorithm": true, "qop": true, "nc": true}
	params := make(map[string]string)
	for {
		name, after, ok := strings.Cut(rest, "=")
		if _, again := params[name]; !ok || again || strings.HasPrefix(after, `"`) == unquoted[name] {
			return nil, fmt.Errorf("bad parameter %q in %q", name, value)
		}
		var b strings.Builder
		i := 0
		for quoted := false; i < len(after) && (quoted || after[i] != ','); i++ {
			switch c := after[i]; {
			case c == '"':
				quoted = !quoted
				continue
			case c == '\\':
				i++
			}
			b.WriteByte(after[i])
		}
		params[name] = b.String()
		if i == len(after) {
			return params, nil
		}
		if rest, ok = strings.CutPrefix(after[i:], ", "); !ok {
			return nil, fmt.Errorf("no separator after %s in %q", name, value)
		}
	}
}
