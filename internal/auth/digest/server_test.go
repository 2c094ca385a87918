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
	alwaysStale        bool // rejects everything with stale=true
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
	rejection         string            // why the credentials were not accepted
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
	r.credentials, stale, r.rejection = s.verify(req, body)
	s.requests = append(s.requests, r)
	if r.rejection == "" {
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

// verify returns the credentials of a request and why they are rejected.
func (s *server) verify(req *http.Request, body []byte) (p map[string]string, stale bool, rejection string) {
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
		if _, again := params[name]; !ok || again {
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
