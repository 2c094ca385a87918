package livemigrationtest

import (
	"crypto/md5" // which HTTP Digest, and so Atlas, asks for
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

const realm = "MMS Public API"

// verdict is what the server thinks of a request's credentials.
type verdict struct {
	accepted bool
	missing  bool // there are none
	stale    bool // they are right, and their nonce is too old
	token    bool // they are an access token
	role     Role
	name     string // the public key or the client ID
}

// digestAuth is the server's side of HTTP Digest, RFC 7616 with RFC 2069.
type digestAuth struct {
	keys       keyring
	documented bool

	mu    sync.Mutex
	known map[string]*countSet // by nonce
	order []string             // in which they were issued
}

const maxNonces = 10_000 // that a site remembers

// challenge issues a nonce.
func (d *digestAuth) challenge(stale bool) string {
	quality := "qop"
	if d.documented {
		quality = "op"
	}
	nonce := base64.StdEncoding.EncodeToString(randomBytes(24))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[string]*countSet)
	}
	if len(d.order) == maxNonces {
		delete(d.known, d.order[0])
		d.order = d.order[1:]
	}
	d.known[nonce] = &countSet{}
	d.order = append(d.order, nonce)
	return fmt.Sprintf(`Digest realm="%s", domain="", nonce="%s", algorithm=MD5, %s="auth", stale=%t`, realm, nonce, quality, stale)
}

// forget ends every nonce.
func (d *digestAuth) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known, d.order = nil, nil
}

// check judges the request's credentials.
func (d *digestAuth) check(header string, r *http.Request) verdict {
	claim, ok := parseClaim(header)
	if !ok || claim["realm"] != realm || claim["uri"] != r.RequestURI || !d.formExpected(claim) {
		return verdict{}
	}
	key, known := d.keys.find(claim["username"])
	want := d.response(claim, key, r.Method)
	if !known || subtle.ConstantTimeCompare([]byte(claim["response"]), []byte(want)) != 1 {
		return verdict{}
	}
	fresh, ok := d.redeem(claim["nonce"], claim["nc"])
	return verdict{accepted: fresh && ok, stale: !fresh, role: key.role, name: key.name}
}

// parameter is one of Digest credentials: name=value or name="value".
var parameter = regexp.MustCompile(`^[ \t]*([A-Za-z0-9_*-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))[ \t]*(?:,|$)`)

// parseClaim reads the parameters of Digest credentials, keyed in lowercase. It fails on anything malformed, on a
// parameter that is given twice and on another scheme.
func parseClaim(header string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	claim := make(map[string]string, 10)
	for rest != "" {
		found := parameter.FindStringSubmatch(rest)
		if found == nil {
			return nil, false
		}
		name := strings.ToLower(found[1])
		if _, twice := claim[name]; twice {
			return nil, false
		}
		claim[name] = strings.ReplaceAll(strings.ReplaceAll(found[2], `\"`, `"`), `\\`, `\`) + found[3]
		rest = rest[len(found[0]):]
	}
	return claim, strings.EqualFold(scheme, "Digest")
}

// formExpected reports whether the credentials are a response to the challenge that this server sends: with qop, a
// nonce count and a client nonce if it announced qop, and in the form of RFC 2069 if it did not.
func (d *digestAuth) formExpected(claim map[string]string) bool {
	if algorithm, named := claim["algorithm"]; named && algorithm != "MD5" {
		return false
	}
	if d.documented {
		return claim["qop"]+claim["nc"]+claim["cnonce"] == ""
	}
	return claim["qop"] == "auth" && claim["nc"] != "" && claim["cnonce"] != ""
}

// response computes what the credentials must contain.
func (d *digestAuth) response(claim map[string]string, key credential, method string) string {
	hash := func(parts ...string) string {
		sum := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	secret := hash(key.name, realm, key.secret.Reveal())
	request := hash(method, claim["uri"])
	if d.documented {
		return hash(secret, claim["nonce"], request)
	}
	return hash(secret, claim["nonce"], claim["nc"], claim["cnonce"], claim["qop"], request)
}

// redeem uses up one count of a nonce, if there are counts. It is not fresh if the server does not know the nonce, and
// not ok if the count is malformed or was used before.
func (d *digestAuth) redeem(nonce, count string) (fresh, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts, known := d.known[nonce]
	if !known || d.documented {
		return known, true
	}
	number, err := strconv.ParseUint(count, 16, 32)
	if err != nil || len(count) != 8 {
		return true, false
	}
	return true, counts.add(uint32(number))
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
	if s.above == nil {
		s.above = make(map[uint32]struct{})
	}
	s.above[count] = struct{}{}
	for _, used := s.above[s.floor+1]; used; _, used = s.above[s.floor+1] {
		s.floor++
		delete(s.above, s.floor)
	}
	return true
}
