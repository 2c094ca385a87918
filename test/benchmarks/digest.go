package benchmarks

import (
	"crypto/md5" // what HTTP Digest asks for
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

const realm = "MMS Public API" // Atlas's

// hexMD5 appends the hash of data in hexadecimal digits.
func hexMD5(dst, data []byte) []byte {
	sum := md5.Sum(data)
	return hex.AppendEncode(dst, sum[:])
}

// verifier checks HTTP Digest (MD5, qop=auth) for one user, at as little cost as it can. It does not look at nonce
// counts, so that a header made beforehand stays valid.
type verifier struct{ nonce, ha1 string }

func newVerifier(nonce, username, password string) verifier {
	return verifier{nonce, string(hexMD5(nil, []byte(username+":"+realm+":"+password)))}
}

func (v verifier) challenge() string {
	return fmt.Sprintf(`Digest realm="%s", domain="", nonce="%s", algorithm=MD5, qop="auth", stale=false`, realm, v.nonce)
}

func (v verifier) accepts(r *http.Request) bool {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return false
	}
	var nonce, uri, nc, cnonce, qop, response string
	rest, digest := strings.CutPrefix(values[0], "Digest ")
	for digest && rest != "" {
		var name, value string
		name, value, rest = nextParameter(rest)
		switch name {
		case "nonce":
			nonce = value
		case "uri":
			uri = value
		case "nc":
			nc = value
		case "cnonce":
			cnonce = value
		case "qop":
			qop = value
		case "response":
			response = value
		}
	}
	if nonce != v.nonce || qop != "auth" || uri != r.RequestURI {
		return false
	}
	var buf [32]byte
	return string(v.response(buf[:0], r.Method, uri, nc, cnonce)) == response
}

func (v verifier) response(dst []byte, method, uri, nc, cnonce string) []byte {
	var requestBuf [256]byte
	var inputBuf [512]byte
	request := append(append(append(requestBuf[:0], method...), ':'), uri...)
	input := append(append(inputBuf[:0], v.ha1...), ':')
	input = append(append(input, v.nonce...), ':')
	input = append(append(input, nc...), ':')
	input = append(append(input, cnonce...), ":auth:"...)
	return hexMD5(dst, hexMD5(input, request))
}

// nextParameter reads name=value or name="value" and the comma after it. Nobody here sends escapes.
func nextParameter(s string) (name, value, rest string) {
	name, rest, _ = strings.Cut(s, "=")
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		value, rest, _ = strings.Cut(quoted, `"`)
		_, rest, _ = strings.Cut(rest, ",")
	} else {
		value, rest, _ = strings.Cut(rest, ",")
	}
	return strings.TrimLeft(name, " "), value, rest
}

// counter hands out the nonce counts of one nonce.
type counter struct {
	verifier
	username string
	last     atomic.Uint32
}

// authorization returns the header's value for one request.
func (c *counter) authorization(method, uri string) string {
	const cnonce = "0a4f113b"
	nc := fmt.Sprintf("%08x", c.last.Add(1))
	return fmt.Sprintf(
		`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=MD5, qop=auth, nc=%s, cnonce="%s", response="%s"`,
		c.username, realm, c.nonce, uri, nc, cnonce, c.response(nil, method, uri, nc, cnonce))
}

// readyHeaders are values made before anybody looks at the clock.
type readyHeaders struct {
	counter     *counter
	method, uri string
	values      []string
	next        atomic.Int64
}

func (h *readyHeaders) prepare(n int) {
	h.values = make([]string, n)
	for i := range h.values {
		h.values[i] = h.counter.authorization(h.method, h.uri)
	}
	h.next.Store(0)
}

func (h *readyHeaders) value() string {
	if i := h.next.Add(1) - 1; i < int64(len(h.values)) {
		return h.values[i]
	}
	return h.counter.authorization(h.method, h.uri)
}
