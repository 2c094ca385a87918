package livemigrationtest

import (
	"crypto/md5" // what HTTP Digest, and so Atlas, asks for
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const realm = "MMS Public API"

// verdict is what came of looking at a request's credentials.
type verdict struct {
	accepted  bool
	missing   bool // there were none to look at
	role      Role
	client    string // of OAuth: whom a token is for
	challenge string // for a 401; empty: a fresh one of HTTP Digest
	node      int    // of HTTP Digest: that which the request has reached
}

// digestAuth is the server's side of HTTP Digest, RFC 7616 with RFC 2069.
type digestAuth struct {
	keys       keyring
	clock      *clock
	algorithm  Algorithm
	documented bool
	lifetime   time.Duration // of a nonce; 0: for ever

	nodes    []nonces // each accepts its own only
	requests atomic.Uint64
}

func newDigestAuth(cfg config, clock *clock) *digestAuth {
	return &digestAuth{
		clock: clock, algorithm: cfg.algorithm, documented: cfg.documented, lifetime: cfg.nonceLife,
		nodes: make([]nonces, cfg.nodes),
	}
}

// requestsInTurn is how many requests a node gets before the next one has its turn. With more than one of them a client
// that takes up the nonce of a node gets to use it.
const requestsInTurn = 2

// node chooses the node of a request.
func (d *digestAuth) node() int {
	if len(d.nodes) == 1 {
		return 0
	}
	turn := (d.requests.Add(1) - 1) / requestsInTurn
	return int(turn % uint64(len(d.nodes)))
}

// check judges the request's credentials.
func (d *digestAuth) check(r *http.Request) verdict {
	node := d.node()
	header, given := authorization(r.Header)
	if !given {
		return verdict{missing: true, challenge: d.challenge(node, false)}
	}
	key, fresh, ok := d.verify(node, header, r)
	if !ok {
		return verdict{challenge: d.challenge(node, false)}
	}
	if !fresh { // several nodes do not know each other's nonces from made-up ones
		return verdict{challenge: d.challenge(node, len(d.nodes) == 1)}
	}
	return verdict{accepted: true, role: key.role, node: node}
}

// authorization returns the only Authorization header; several are credentials too, but none that can be accepted.
func authorization(h http.Header) (value string, given bool) {
	values := h["Authorization"]
	if len(values) == 1 {
		return values[0], true
	}
	return "", len(values) > 0
}

// verify checks everything that the credentials claim. Those that are right but for the age of their nonce are ok and
// not fresh: only they are worth a stale=true, which tells a client that its key is good.
func (d *digestAuth) verify(node int, header string, r *http.Request) (key credential, fresh, ok bool) {
	claim, ok := parseClaim(header)
	if !ok || claim["realm"] != realm || claim["uri"] != requestURI(r) || !d.formExpected(claim) {
		return credential{}, false, false
	}
	key, known := d.keys.find(claim["username"])
	if !known {
		return credential{}, false, false
	}
	want, ok := d.response(claim, key, method(r))
	if !ok || subtle.ConstantTimeCompare([]byte(claim["response"]), []byte(want)) != 1 {
		return credential{}, false, false
	}
	fresh, ok = d.redeem(node, claim["nonce"], claim["nc"])
	return key, fresh, ok
}

// formExpected tells whether the credentials are a response to the challenge that this server sends: with qop, a nonce
// count and a client nonce when it announced qop, and in the form of RFC 2069 when it did not.
func (d *digestAuth) formExpected(claim map[string]string) bool {
	algorithm, named := claim["algorithm"]
	if named && algorithm != string(d.algorithm) || !named && d.algorithm != MD5 {
		return false
	}
	qop, hasQOP := claim["qop"]
	_, hasCount := claim["nc"]
	_, hasClientNonce := claim["cnonce"]
	_, hashedName := claim["userhash"]
	if hashedName && claim["userhash"] != "false" {
		return false
	}
	if d.documented {
		return !hasQOP && !hasCount && !hasClientNonce
	}
	return hasQOP && qop == "auth" && hasCount && claim["cnonce"] != ""
}

// response computes what the credentials must hold.
func (d *digestAuth) response(claim map[string]string, key credential, method string) (string, bool) {
	hash, ok := hashOf(d.algorithm)
	if !ok {
		return "", false
	}
	secret := hash(key.name + ":" + realm + ":" + key.secret.Reveal())
	request := hash(method + ":" + claim["uri"])
	if d.documented {
		return hash(secret + ":" + claim["nonce"] + ":" + request), true
	}
	return hash(strings.Join(
		[]string{secret, claim["nonce"], claim["nc"], claim["cnonce"], claim["qop"], request}, ":")), true
}

// redeem uses up one count of a nonce. It is not fresh when the node does not know the nonce or it has expired, and not
// ok when the count is malformed or has been used before.
func (d *digestAuth) redeem(node int, value, count string) (fresh, ok bool) {
	earliest := time.Time{}
	if d.lifetime > 0 {
		earliest = d.clock.jobs().Add(-d.lifetime)
	}
	return d.nodes[node].redeem(value, count, earliest, !d.documented)
}

// challenge issues a nonce of the node.
func (d *digestAuth) challenge(node int, stale bool) string {
	quality := "qop"
	if d.documented {
		quality = "op"
	}
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // never fails
	nonce := base64.StdEncoding.EncodeToString(raw)
	d.nodes[node].add(nonce, d.clock.jobs())
	return fmt.Sprintf(`Digest realm="%s", domain="", nonce="%s", algorithm=%s, %s="auth", stale=%t`,
		realm, nonce, d.algorithm, quality, stale)
}

// expire forgets every nonce.
func (d *digestAuth) expire() {
	for i := range d.nodes {
		d.nodes[i].forget()
	}
}

// hashOf returns the function that an algorithm names, in hexadecimal digits.
func hashOf(algorithm Algorithm) (hash func(string) string, ok bool) {
	switch algorithm {
	case MD5:
		return func(s string) string {
			sum := md5.Sum([]byte(s))
			return hex.EncodeToString(sum[:])
		}, true
	case SHA256:
		return func(s string) string {
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:])
		}, true
	case SHA512256:
		return func(s string) string {
			sum := sha512.Sum512_256([]byte(s))
			return hex.EncodeToString(sum[:])
		}, true
	default:
		return nil, false
	}
}

// requestURI is the target of the request line; a request that has not been on a wire has none yet.
func requestURI(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// method returns the request's method; for a client's request the empty one means GET.
func method(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}
