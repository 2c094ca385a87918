package digest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

const (
	testOrigin   = "http://atlas.example"
	testUsername = "ABCDEFGH"
	testPassword = "5f1b2c3d-private"
)

// server verifies every detail of Digest credentials, independently of the code under test. It is configured before
// its first request.
type server struct {
	username, password string
	realm              string
	noncePrefix        string
	algorithm          string // not named in the challenge if empty
	qop                string // the offer; none if empty
	opaque             string
	wantsOpaque        bool // also where it is empty
	userhash           bool
	maxUses            int  // of one nonce; unlimited if 0
	alwaysStale        bool // refuses everything with stale=true
	oneTime            bool // announces the next nonce with every response
	challenge          func(s *server, nonce string, stale bool) []string

	mu       sync.Mutex
	nonces   map[string]map[string]bool // nonce counts that were used; the nonce is known if it has an entry
	requests []record
}

// record is what a server remembers of a request.
type record struct {
	method, uri, body string
	header            http.Header
	credentials       map[string]string // nil if there were none
	refusal           string            // why the credentials were not accepted
	negotiation       bool              // the mark on the context, which only in-process requests have
}

func newServer() *server {
	return &server{username: testUsername, password: testPassword, realm: "MMS Public API", noncePrefix: "nonce-", algorithm: "MD5", qop: "auth", opaque: `a "quoted" \ one`}
}

func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := record{method: req.Method, uri: req.RequestURI, body: string(body), header: req.Header.Clone()}
	r.negotiation = auth.IsNegotiation(req.Context())
	stale := false
	r.credentials, stale, r.refusal = s.verify(req, body)
	s.requests = append(s.requests, r)
	if r.refusal == "" {
		if s.oneTime {
			w.Header().Set("Authentication-Info", fmt.Sprintf(`qop=auth, NextNonce = "%s"`, s.issue()))
		}
		fmt.Fprintf(w, "%s %s %s", req.Method, req.RequestURI, body)
		return
	}
	for _, line := range s.challengeLines(s.issue(), stale) {
		w.Header().Add("WWW-Authenticate", line)
	}
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, `{"error": 401}`)
}

func (s *server) issue() string {
	if s.nonces == nil {
		s.nonces = make(map[string]map[string]bool)
	}
	nonce := fmt.Sprintf("%s%d", s.noncePrefix, len(s.nonces)+1)
	s.nonces[nonce] = make(map[string]bool)
	return nonce
}

func (s *server) challengeLines(nonce string, stale bool) []string {
	if s.challenge != nil {
		return s.challenge(s, nonce, stale)
	}
	return []string{s.challengeLine(nonce, stale)}
}

// challengeLine is the challenge that the server's configuration calls for.
func (s *server) challengeLine(nonce string, stale bool) string {
	line := fmt.Sprintf(`Digest realm="%s", domain="", nonce="%s"`, s.realm, nonce)
	if s.algorithm != "" {
		line += ", algorithm=" + s.algorithm
	}
	if s.qop != "" {
		line += fmt.Sprintf(`, qop="%s"`, s.qop)
	}
	if s.opaque != "" {
		line += ", opaque=" + quote(s.opaque)
	}
	if s.userhash {
		line += ", userhash=true, charset=UTF-8"
	}
	return line + fmt.Sprintf(", stale=%t", stale)
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

// verify returns the credentials of a request and why they are refused.
func (s *server) verify(req *http.Request, body []byte) (p map[string]string, stale bool, refusal string) {
	p, err := parseAuthorization(req.Header.Get("Authorization"))
	if err != nil {
		return nil, false, err.Error()
	}
	if s.alwaysStale {
		return p, true, "always stale"
	}
	used, known := s.nonces[p["nonce"]]
	if !known {
		return p, true, "unknown nonce"
	}
	_, hasOpaque := p["opaque"]
	offered := s.qop == "" && p["qop"] == "" || p["qop"] != "" && strings.Contains(s.qop, p["qop"])
	switch {
	case p["uri"] != req.RequestURI:
		return p, false, "wrong uri " + p["uri"]
	case p["realm"] != s.realm, p["opaque"] != s.opaque, s.wantsOpaque && !hasOpaque, p["algorithm"] != s.algorithm, !offered:
		return p, false, "challenge not echoed"
	case !s.isUser(p):
		return p, false, "wrong user name"
	case p["response"] != expectedResponse(p, s.username, s.password, req.Method, body):
		return p, false, "wrong response"
	case s.maxUses > 0 && len(used) >= s.maxUses:
		return p, true, "expired nonce"
	}
	if s.qop == "" {
		return p, false, ""
	}
	if used[p["nc"]] || len(p["nc"]) != 8 {
		return p, false, "bad nonce count " + p["nc"]
	}
	used[p["nc"]] = true
	return p, false, ""
}

func (s *server) isUser(p map[string]string) bool {
	if s.userhash {
		return p["userhash"] == "true" && p["username"] == hashHex(p["algorithm"], s.username+":"+p["realm"])
	}
	if extended, ok := p["username*"]; ok {
		name, err := url.PathUnescape(strings.TrimPrefix(extended, "UTF-8''"))
		return err == nil && name == s.username
	}
	return p["username"] == s.username
}

// recorded returns the requests so far.
func (s *server) recorded() []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]record(nil), s.requests...)
}

// expectedResponse computes what RFC 7616, section 3.4.1 asks for.
func expectedResponse(p map[string]string, username, password, method string, body []byte) string {
	h := func(parts ...string) string { return hashHex(p["algorithm"], strings.Join(parts, ":")) }
	a1 := h(username, p["realm"], password)
	if strings.HasSuffix(strings.ToLower(p["algorithm"]), "-sess") {
		a1 = h(a1, p["nonce"], p["cnonce"])
	}
	a2 := h(method, p["uri"])
	if p["qop"] == "auth-int" {
		a2 = h(method, p["uri"], h(string(body)))
	}
	if p["qop"] == "" {
		return h(a1, p["nonce"], a2)
	}
	return h(a1, p["nonce"], p["nc"], p["cnonce"], p["qop"], a2)
}

func hashHex(algorithm, data string) string {
	hashes := map[string]func() hash.Hash{
		"": md5.New, "md5": md5.New, "sha-256": sha256.New, "sha-512-256": sha512.New512_256,
	}
	h := hashes[strings.TrimSuffix(strings.ToLower(algorithm), "-sess")]()
	io.WriteString(h, data)
	return hex.EncodeToString(h.Sum(nil))
}

var errNoDigest = errors.New("no Digest credentials")

// parseAuthorization reads credentials as strictly as RFC 7616, section 3.4 writes them.
func parseAuthorization(value string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(value, "Digest ")
	if !ok {
		return nil, errNoDigest
	}
	unquoted := map[string]bool{"algorithm": true, "qop": true, "nc": true, "userhash": true, "username*": true}
	params := make(map[string]string)
	for {
		name, after, ok := strings.Cut(rest, "=")
		if _, repeated := params[name]; !ok || repeated {
			return nil, fmt.Errorf("bad parameter %q in %q", name, value)
		}
		if strings.HasPrefix(after, `"`) == unquoted[name] {
			return nil, fmt.Errorf("quotes of %s are wrong in %q", name, value)
		}
		text := ""
		if text, rest, ok = cutValue(after); !ok {
			return nil, fmt.Errorf("bad value of %s in %q", name, value)
		}
		params[name] = text
		if rest == "" {
			return params, nil
		}
		if rest, ok = strings.CutPrefix(rest, ", "); !ok {
			return nil, fmt.Errorf("no separator after %s in %q", name, value)
		}
	}
}

func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s+",", ',')
		return s[:end], s[end:], end > 0 && !strings.ContainsAny(s[:end], "\" \\")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case c < ' ' && c != '\t', c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// inProcess is a base transport without a network. It keeps the RoundTripper contract, and knows how many response
// bodies are still open.
type inProcess struct {
	handler http.Handler

	mu   sync.Mutex
	open int
}

func (b *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := httptest.NewRequest(req.Method, req.URL.RequestURI(), bytes.NewReader(body)).WithContext(req.Context())
	in.Header = req.Header.Clone()
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, in)
	resp := recorder.Result()
	resp.Body = &trackedBody{Reader: resp.Body, onClose: func() { b.count(-1) }}
	resp.Request = req
	b.count(1)
	return resp, nil
}

func (b *inProcess) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open += n
}

func (b *inProcess) openBodies() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// trackedBody knows how it was used.
type trackedBody struct {
	io.Reader
	onClose func()

	mu     sync.Mutex
	reads  int
	closed int
}

func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads += n
	return n, err
}

func (b *trackedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	if b.closed == 1 && b.onClose != nil {
		b.onClose()
	}
	return nil
}

func (b *trackedBody) timesClosed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// roundTripFunc is a base transport made of a function.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// newTestTransport returns a Transport with the right credentials for the origin of the tests.
func newTestTransport(tb testing.TB, base http.RoundTripper) *Transport {
	tb.Helper()
	return newTransportFor(tb, testUsername, testPassword, base)
}

func newTransportFor(tb testing.TB, username, password string, base http.RoundTripper) *Transport {
	tb.Helper()
	origin, err := url.Parse(testOrigin)
	require.NoError(tb, err)
	transport, err := NewTransport(origin, username, password, base)
	require.NoError(tb, err)
	return transport
}

// newRequest returns a request to the origin of the tests. Without a body it has none.
func newRequest(tb testing.TB, method, uri, body string) *http.Request {
	tb.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, testOrigin+uri, reader)
	require.NoError(tb, err)
	return req
}

// call makes one request and returns its status and body.
func call(tb testing.TB, rt http.RoundTripper, req *http.Request) (int, string) {
	tb.Helper()
	resp, err := rt.RoundTrip(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	require.Same(tb, req, resp.Request, "the caller must not see the request with the credentials")
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return resp.StatusCode, string(body)
}
