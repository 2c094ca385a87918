package livemigrationtest

import (
	"crypto/md5" // what HTTP Digest, and so Atlas, asks for
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	realm = "MMS Public API"
	// maxNonces bounds how many nonces are remembered; the oldest ones are forgotten first.
	maxNonces = 10_000
)

// verdict is what came of looking at a request's credentials.
type verdict struct {
	accepted  bool
	missing   bool // there were none to look at
	role      Role
	client    string // of OAuth: whom a token is for
	challenge string // for a 401; empty: a fresh one of HTTP Digest
}

// digestAuth is the server's side of HTTP Digest, RFC 7616 with RFC 2069.
type digestAuth struct {
	keys       *keyring
	clock      *clock
	algorithm  Algorithm
	documented bool
	lifetime   time.Duration // 0: for ever

	mu     sync.Mutex
	nonces map[string]*nonce
	order  []string // of issue
}

type nonce struct {
	issued time.Time
	counts countSet
}

// check judges the request's credentials.
func (d *digestAuth) check(r *http.Request) verdict {
	header, given := authorization(r.Header)
	if !given {
		return verdict{missing: true, challenge: d.challenge(false)}
	}
	key, fresh, ok := d.verify(header, r)
	if !ok {
		return verdict{challenge: d.challenge(false)}
	}
	if !fresh {
		return verdict{challenge: d.challenge(true)}
	}
	return verdict{accepted: true, role: key.role}
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
func (d *digestAuth) verify(header string, r *http.Request) (key credential, fresh, ok bool) {
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
	fresh, ok = d.redeem(claim["nonce"], claim["nc"])
	return key, fresh, ok
}

// formExpected tells whether the credentials are an answer to the challenge that this server sends: with qop, a nonce
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
	hash, ok := hashes[d.algorithm]
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

// redeem uses up one count of a nonce. It is not fresh when the nonce is unknown or expired, and not ok when the count
// is malformed or has been used before.
func (d *digestAuth) redeem(value, count string) (fresh, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, known := d.nonces[value]
	if !known || d.lifetime > 0 && d.clock.jobs().Sub(n.issued) >= d.lifetime {
		return false, true
	}
	if d.documented {
		return true, true
	}
	number, err := strconv.ParseUint(count, 16, 32)
	if err != nil || len(count) != 8 {
		return true, false
	}
	return true, n.counts.add(uint32(number))
}

// challenge issues a nonce.
func (d *digestAuth) challenge(stale bool) string {
	quality := "qop"
	if d.documented {
		quality = "op"
	}
	return fmt.Sprintf(`Digest realm="%s", domain="", nonce="%s", algorithm=%s, %s="auth", stale=%t`,
		realm, d.issue(), d.algorithm, quality, stale)
}

func (d *digestAuth) issue() string {
	value := randomHex(16)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nonces == nil {
		d.nonces = make(map[string]*nonce)
	}
	if len(d.order) == maxNonces {
		delete(d.nonces, d.order[0])
		d.order = d.order[1:]
	}
	d.nonces[value] = &nonce{issued: d.clock.jobs()}
	d.order = append(d.order, value)
	return value
}

// expire forgets every nonce.
func (d *digestAuth) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nonces, d.order = nil, nil
}

// countSet remembers which nonce counts were used. Concurrent requests overtake each other, so counts arrive in any
// order; those up to floor have all been used.
type countSet struct {
	floor uint32
	above map[uint32]struct{}
}

// add reports whether the count is new. Counts start at 1.
func (s *countSet) add(count uint32) bool {
	if _, used := s.above[count]; used || count <= s.floor {
		return false
	}
	if count != s.floor+1 {
		if s.above == nil {
			s.above = make(map[uint32]struct{})
		}
		s.above[count] = struct{}{}
		return true
	}
	s.floor = count
	for _, used := s.above[s.floor+1]; used; _, used = s.above[s.floor+1] {
		s.floor++
		delete(s.above, s.floor)
	}
	return true
}

var hashes = map[Algorithm]func(string) string{
	MD5: func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	},
	SHA256: func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	},
	SHA512256: func(s string) string {
		sum := sha512.Sum512_256([]byte(s))
		return hex.EncodeToString(sum[:])
	},
}

// parseClaim reads the parameters of Digest credentials, keyed in lower case. It fails on anything malformed, on a
// parameter that is given twice and on another scheme.
func parseClaim(header string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	claim := make(map[string]string, 10)
	for {
		name, value, after, ok := nextParameter(rest)
		if _, twice := claim[name]; !ok || twice {
			return nil, false
		}
		claim[name] = value
		if after == "" {
			return claim, true
		}
		if after[0] != ',' {
			return nil, false
		}
		rest = after[1:]
	}
}

// nextParameter reads name=value or name="value", and the space around it.
func nextParameter(s string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "=")
	name, rest = strings.ToLower(trimSpace(name)), trimSpace(rest)
	if !ok || !isToken(name) {
		return "", "", "", false
	}
	if strings.HasPrefix(rest, `"`) {
		value, rest, ok = unquote(rest[1:])
		return name, value, trimSpace(rest), ok
	}
	end := strings.IndexByte(rest, ',')
	if end < 0 {
		end = len(rest)
	}
	value, rest = trimSpace(rest[:end]), rest[end:]
	return name, value, rest, isToken(value)
}

// unquote reads a quoted string behind its opening quote.
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letterOrDigit := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
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
