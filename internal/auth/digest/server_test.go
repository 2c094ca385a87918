package digest

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	testUsername = "ABCDEFGH"
	testPassword = "5f1b2c3d-private"
)

// node is a server that verifies every detail of Digest credentials, independently of the code under test. It is
// configured before its first request.
type node struct {
	name      string // the beginning of its nonces
	format    string // of the challenge; %s stands for the nonce
	realm     string
	algorithm string
	qop       string
	opaque    string
	cookie    string // sent with a challenge, and needed with its nonce
	maxUses   int    // of a nonce, before it is stale; 0: unlimited

	mu        sync.Mutex
	nonces    map[string]map[string]bool // the counts that a nonce was used with
	requests  int
	challenge int // how many were sent
	rejected  []string
}

func newNode(name string) *node {
	return &node{
		name:      name,
		format:    `Digest realm="MMS Public API", domain="", nonce="%s", algorithm=MD5, qop="auth"`,
		realm:     "MMS Public API",
		algorithm: "MD5",
		qop:       "auth",
		nonces:    make(map[string]map[string]bool),
	}
}

func (n *node) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests++
	stale, problem := false, "no credentials"
	if value := req.Header.Get("Authorization"); value != "" {
		if stale, problem = n.verify(req, value); problem != "" && !stale {
			n.rejected = append(n.rejected, problem)
		}
	} else if len(body) > 0 {
		n.rejected = append(n.rejected, "a body without credentials")
	}
	if problem == "" {
		fmt.Fprintf(w, "%s %s", n.name, body)
		return
	}
	n.challenge++
	nonce := fmt.Sprintf("%s%d==", n.name, n.challenge)
	n.nonces[nonce] = make(map[string]bool)
	line := fmt.Sprintf(n.format, nonce)
	if stale {
		line += ", stale=true"
	}
	w.Header().Set("WWW-Authenticate", line)
	if n.cookie != "" {
		w.Header().Set("Set-Cookie", n.cookie+"; Path=/; HttpOnly")
	}
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprint(w, `{"error": 401}`)
}

func (n *node) verify(req *http.Request, value string) (stale bool, problem string) {
	p, err := parseAuthorization(value)
	if err != nil {
		return false, err.Error()
	}
	counts, known := n.nonces[p["nonce"]]
	switch {
	case !known:
		return false, "unknown nonce"
	case p["uri"] != req.RequestURI, p["realm"] != n.realm, p["opaque"] != n.opaque, p["algorithm"] != n.algorithm, p["qop"] != n.qop:
		return false, "wrong parameters"
	case p["username"] != testUsername, p["response"] != expectedResponse(p, testPassword, req.Method):
		return false, "wrong credentials"
	case n.qop != "" && counts[p["nc"]]:
		return false, "the count " + p["nc"] + " again"
	case n.maxUses > 0 && len(counts) >= n.maxUses:
		return true, "stale"
	}
	counts[p["nc"]] = true
	return false, ""
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

type nodeKey struct{}

// serve starts a server on the loopback interface whose connections go to the nodes in turn, and returns its origin. A
// request with a node's cookie goes to that node.
func serve(t *testing.T, nodes ...*node) string {
	t.Helper()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		chosen := req.Context().Value(nodeKey{}).(*node)
		for _, n := range nodes {
			if n.cookie != "" && strings.Contains(req.Header.Get("Cookie"), n.cookie) {
				chosen = n
			}
		}
		chosen.ServeHTTP(w, req)
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, nodeKey{}, nodes[int(connections.Add(1)-1)%len(nodes)])
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// newTransport returns a Transport for the origin of a URL.
func newTransport(t testing.TB, origin string, base http.RoundTripper) *Transport {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	return New(testUsername, testPassword, u, base)
}
