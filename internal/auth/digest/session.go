package digest

import (
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
)

const (
	// Only so many lines of a header are read, and only so many bytes of a line of challenges.
	maxLines     = 16
	maxLineBytes = 8 << 10
	// Why no challenge of a response can be answered.
	noChallenge = "the server offers no Digest challenge"
	onlyBasic   = "the server offers Basic authentication, but no Digest challenge"
	unsupported = "the server's Digest challenge is malformed, or needs more than MD5, SHA-256 or SHA-512-256 with qop=auth"
)

// challenge is one challenge of a WWW-Authenticate header.
type challenge struct {
	scheme    string            // in lowercase
	params    map[string]string // names in lowercase, values without quotes and escapes
	malformed bool
}

// readChallenges returns the challenge to answer: the one with the strongest algorithm, and of equally strong ones the
// first. If there is none, problem says why.
func readChallenges(h http.Header) (best challenge, problem string) {
	problem = noChallenge
	lines := h["Www-Authenticate"]
	for _, line := range lines[:min(len(lines), maxLines)] {
		for _, c := range parse(line[:min(len(line), maxLineBytes)]) {
			switch {
			case c.strength() > best.strength():
				best, problem = c, ""
			case c.scheme == "digest" && problem != "":
				problem = unsupported
			case c.scheme == "basic" && problem == noChallenge:
				problem = onlyBasic
			}
		}
	}
	return best, problem
}

// strength returns the strength of the algorithm, 0 for a challenge that this package cannot answer.
func (c *challenge) strength() int {
	qops := strings.FieldsFunc(strings.ToLower(c.params["qop"]), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if c.scheme != "digest" || c.malformed || c.params["nonce"] == "" || c.params["qop"] != "" && !slices.Contains(qops, "auth") ||
		strings.ContainsFunc(c.params["realm"]+c.params["nonce"]+c.params["opaque"], unicode.IsControl) {
		return 0
	}
	return strengthOf(c.params["algorithm"])
}

func (c *challenge) stale() bool { return strings.EqualFold(c.params["stale"], "true") }

var (
	element = regexp.MustCompile(`(?s)(?:[^,"]|"(?:[^"\\]|\\.)*"?)+`) // of a list: commas in quotes do not end it
	quoted  = regexp.MustCompile(`(?s)^"((?:[^"\\]|\\.)*)"$`)
	escaped = regexp.MustCompile(`(?s)\\(.)`)
)

// parse reads one header line. Commas separate challenges and their parameters alike: an element that is not name=value,
// or that has a word before it, starts a challenge. A value without quotes may be base64, which some servers write there.
func parse(line string) []challenge {
	found := []challenge{{params: map[string]string{}}} // for parameters without a scheme
	for _, text := range element.FindAllString(line, -1) {
		before, value, hasValue := strings.Cut(text, "=")
		words := strings.Fields(before)
		if len(words) > 0 && (len(words) > 1 || !hasValue) {
			found = append(found, challenge{scheme: strings.ToLower(words[0]), params: map[string]string{}})
			words = words[1:]
		}
		c := &found[len(found)-1]
		value = strings.Trim(value, " \t")
		if m := quoted.FindStringSubmatch(value); m != nil {
			value = escaped.ReplaceAllString(m[1], "$1")
		} else if strings.ContainsAny(value, "\" \t\\") {
			c.malformed = true
		}
		if len(words) == 1 {
			c.params[strings.ToLower(words[0])] = value
		}
		c.malformed = c.malformed || len(words) > 1 || len(words) == 0 && hasValue
	}
	return found
}

// strengthOf orders the algorithms of challenges. 0 is one that is not supported; a challenge without one means MD5.
func strengthOf(algorithm string) int {
	return 1 + slices.Index([]string{"MD5", "SHA-256", "SHA-512-256"}, strings.ToUpper(cmp.Or(algorithm, "MD5")))
}

// appendHash appends the hash of data in hexadecimal digits. A table of functions would move every buffer to the heap.
func appendHash(dst, data []byte, strength int) []byte {
	switch strength {
	case 3:
		sum := sha512.Sum512_256(data)
		return hex.AppendEncode(dst, sum[:])
	case 2:
		sum := sha256.Sum256(data)
		return hex.AppendEncode(dst, sum[:])
	default:
		sum := md5.Sum(data)
		return hex.AppendEncode(dst, sum[:])
	}
}

// session creates the credentials for requests with one nonce. It is safe for concurrent use.
type session struct {
	nonce, cnonce string // the server's and the client's
	stale, qop    bool   // what the challenge says; without qop the form is that of RFC 2069
	strength      int
	cookies       []*http.Cookie // of the response with the challenge: they lead to the server that knows the nonce
	secret        string         // what is hashed first: the hash of user name, realm and password, and the nonce
	prefix        string         // the parameters that are the same for every request
	count         atomic.Uint32
}

// newSession starts a session. RFC 7616, section 3.4, says which parameters are quoted.
func newSession(c challenge, cookies []*http.Cookie, username, password, cnonce string) *session {
	s := &session{nonce: c.params["nonce"], cnonce: cnonce, stale: c.stale(), strength: c.strength(), cookies: cookies}
	realm := c.params["realm"]
	s.secret = string(appendHash(nil, []byte(username+":"+realm+":"+password), s.strength)) + ":" + s.nonce
	value := appendQuoted(nil, "Digest username=", username)
	value = appendQuoted(appendQuoted(value, ", realm=", realm), ", nonce=", s.nonce)
	if algorithm := c.params["algorithm"]; algorithm != "" {
		value = append(append(value, ", algorithm="...), algorithm...)
	}
	if opaque, has := c.params["opaque"]; has {
		value = appendQuoted(value, ", opaque=", opaque)
	}
	if s.qop = c.params["qop"] != ""; s.qop {
		value = appendQuoted(value, ", qop=auth, cnonce=", cnonce)
	}
	s.prefix = string(value)
	return s
}

// authorization returns the value of the Authorization header for one request, and counts the request. Its buffers stay
// on the stack, unless the server or the caller uses very long texts.
func (s *session) authorization(method, uri string) string {
	var inputBuf, valueBuf [768]byte
	var hashBuf [2 * sha512.Size256]byte
	input := append(append(append(inputBuf[:0], method...), ':'), uri...)
	hashed := appendHash(hashBuf[:0], input, s.strength)
	input = append(inputBuf[:0], s.secret...)
	value := appendQuoted(append(valueBuf[:0], s.prefix...), ", uri=", uri)
	if s.qop {
		var countBuf [4]byte
		start := len(value) + len(", nc=")
		value = hex.AppendEncode(append(value, ", nc="...), binary.BigEndian.AppendUint32(countBuf[:0], s.count.Add(1)))
		input = append(append(append(input, ':'), value[start:]...), ':')
		input = append(append(input, s.cnonce...), ":auth"...)
	}
	input = append(append(input, ':'), hashed...)
	value = appendHash(append(value, `, response="`...), input, s.strength)
	return string(append(value, '"'))
}

// appendQuoted appends a name, and a value as a quoted string.
func appendQuoted(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), '"')
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, value[i])
	}
	return append(dst, '"')
}

// addCookies adds the session's cookies to a request, in place of the ones with the same names.
func (s *session) addCookies(req *http.Request) {
	if len(s.cookies) == 0 {
		return
	}
	all := append(req.Cookies(), s.cookies...)
	req.Header.Del("Cookie")
	for i, cookie := range all {
		if !slices.ContainsFunc(all[i+1:], func(later *http.Cookie) bool { return later.Name == cookie.Name }) {
			req.AddCookie(cookie)
		}
	}
}
