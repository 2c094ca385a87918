package digest

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// maxUses is how many requests one session may authenticate. It is half of what the eight digits of a nonce count can
// tell apart, so callers that look at the same time cannot overrun them.
const maxUses = 1 << 31

// session makes the credentials for one challenge, as often as the server accepts its nonce. It is safe for concurrent
// use.
type session struct {
	// keys are behind a function so that no way of printing a session reaches them.
	keys func() *keys
	uses atomic.Uint64
}

// keys are the parts of the credentials that stay the same for the whole session.
type keys struct {
	challenge  challenge
	algorithm  algorithm
	perSession bool   // one of the -sess algorithms
	qop        string // the chosen one; empty for the RFC 2069 form
	cnonce     string
	username   string // the whole parameter
	ha1        string // hash of the credentials
	prefix     string // of the header's value, up to the parameters that change with every request
}

// newSession is for a challenge that [selectChallenge] has returned.
func newSession(c challenge, username, password, cnonce string) *session {
	k := keys{challenge: c, cnonce: cnonce}
	k.algorithm, k.perSession = algorithmOf(c.algorithm)
	k.qop, _ = c.quality()
	k.username = k.usernameParam(username)
	k.ha1 = k.algorithm.hex(username, c.realm, password)
	if k.perSession {
		k.ha1 = k.algorithm.hex(k.ha1, c.nonce, cnonce)
	}
	return k.session()
}

func (k keys) session() *session {
	k.prefix = k.header()
	return &session{keys: func() *keys { return &k }}
}

// following returns the session that the server announces with a next nonce. The session variants keep the hash of the
// credentials, which is made from the nonce of the challenge (RFC 7616, section 3.4.2).
func (s *session) following(nonce string) *session {
	k := *s.keys()
	k.challenge.nonce = nonce
	return k.session()
}

// isFor reports whether s is the session of this very challenge. Its count then has to continue, not start again.
func (s *session) isFor(c challenge) bool {
	if s == nil {
		return false
	}
	own := s.keys().challenge
	return own.nonce == c.nonce && own.realm == c.realm && own.opaque == c.opaque && own.hasOpaque == c.hasOpaque && own.algorithm == c.algorithm
}

// exhausted reports whether the nonce counts are used up.
func (s *session) exhausted() bool { return s.uses.Load() >= maxUses }

// hashesBody reports whether the credentials cover the body of the request.
func (s *session) hashesBody() bool { return s.keys().qop == qopAuthInt }

// authorization returns the value of the Authorization header for one request, and counts it. bodyHash matters only if
// the session hashes bodies.
func (s *session) authorization(method, uri, bodyHash string) string {
	return s.keys().authorization(method, uri, bodyHash, s.uses.Add(1))
}

func (k *keys) authorization(method, uri, bodyHash string, count uint64) string {
	// All buffers live on the stack unless the server or the caller uses very long strings.
	var inputBuf, valueBuf [768]byte
	var ha2Buf [maxHexLen]byte
	var countBuf [4]byte
	var ncBuf [8]byte

	input := appendJoined(inputBuf[:0], method, uri)
	if k.qop == qopAuthInt {
		input = append(append(input, ':'), bodyHash...)
	}
	ha2 := k.algorithm.appendHex(ha2Buf[:0], input)

	input = appendJoined(input[:0], k.ha1, k.challenge.nonce)
	value := append(valueBuf[:0], k.prefix...)
	value = appendQuoted(append(value, ", uri="...), uri)
	if k.qop != "" {
		nc := hex.AppendEncode(ncBuf[:0], binary.BigEndian.AppendUint32(countBuf[:0], uint32(count)))
		input = append(append(input, ':'), nc...)
		input = appendJoined(append(input, ':'), k.cnonce, k.qop)
		value = append(append(value, ", nc="...), nc...)
	}
	input = append(append(input, ':'), ha2...)
	value = append(value, `, response="`...)
	value = k.algorithm.appendHex(value, input)
	return string(append(value, '"'))
}

// header returns the parameters that stay the same. Which values are quoted is laid down by RFC 7616, section 3.4.
func (k *keys) header() string {
	c := k.challenge
	value := append([]byte("Digest "), k.username...)
	value = appendQuoted(append(value, ", realm="...), c.realm)
	value = appendQuoted(append(value, ", nonce="...), c.nonce)
	if c.algorithm != "" {
		value = append(append(value, ", algorithm="...), c.algorithm...)
	}
	if c.hasOpaque {
		value = appendQuoted(append(value, ", opaque="...), c.opaque)
	}
	if k.qop != "" || k.perSession {
		// A session variant without qop is a contradiction, but with the cnonce a server can at least verify it.
		value = appendQuoted(append(value, ", cnonce="...), k.cnonce)
	}
	if k.qop != "" {
		value = append(append(value, ", qop="...), k.qop...)
	}
	if c.userHash {
		value = append(value, ", userhash=true"...)
	}
	return string(value)
}

func (k *keys) usernameParam(username string) string {
	switch {
	case k.challenge.userHash:
		return `username="` + k.algorithm.hex(username, k.challenge.realm) + `"`
	case isASCII(username):
		return string(appendQuoted([]byte("username="), username))
	default:
		return "username*=UTF-8''" + percentEncode(username)
	}
}

// appendJoined appends two strings with a colon between them.
func appendJoined(dst []byte, a, b string) []byte {
	return append(append(append(dst, a...), ':'), b...)
}

// appendQuoted appends s as a quoted string.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// percentEncode encodes all but the bytes that RFC 5987 lets stand for themselves.
func percentEncode(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isTokenByte(c) && !strings.ContainsRune("*'%", rune(c)) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
