package digest

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// Whatever a server sends, reading its challenges costs no more than this.
const (
	// maxChallenges is how many challenges of one response are looked at, over all header lines and of any scheme. A
	// line counts as one even if there is none in it.
	maxChallenges = 16

	// maxFieldBytes is the longest header line that is read.
	maxFieldBytes = 8 << 10
)

// The qualities of protection.
const (
	qopAuth    = "auth"
	qopAuthInt = "auth-int"
)

// challenge is one Digest challenge of a WWW-Authenticate header, without quotes and escapes.
type challenge struct {
	realm     string // empty where the server names none
	nonce     string // never empty
	opaque    string
	hasOpaque bool     // it has to be returned even if it is empty
	algorithm string   // as the server writes it; empty means MD5
	qop       []string // in lower case and the server's order; empty asks for the RFC 2069 form
	stale     bool     // the nonce of the request has expired, and the credentials may be right
	userHash  bool     // the server wants the hash of the user name in place of the name
}

// parseChallenges returns the well-formed Digest challenges of the WWW-Authenticate header, in their order. It skips what
// is malformed and other schemes, and looks at sixteen challenges in header lines of at most 8 KiB.
func parseChallenges(h http.Header) []challenge {
	var p parser
	for _, line := range h.Values("WWW-Authenticate") {
		if !p.line(line) {
			break
		}
	}
	return p.challenges
}

// selectChallenge returns the challenge with the strongest hash among those that this package supports, and reports
// whether there is one. Of equally strong ones, the server's first choice wins.
func selectChallenge(challenges []challenge) (best challenge, ok bool) {
	var strongest algorithm
	for _, c := range challenges {
		a, _ := algorithmOf(c.algorithm)
		if _, ok := c.quality(); ok && a > strongest {
			best, strongest = c, a
		}
	}
	return best, strongest != unsupported
}

// quality returns the quality of protection to use, empty for the RFC 2069 form, and reports whether there is one.
// auth-int is the second choice because it has to read the request's body once more.
func (c challenge) quality() (string, bool) {
	if len(c.qop) == 0 {
		return "", true
	}
	for _, qop := range []string{qopAuth, qopAuthInt} {
		if slices.Contains(c.qop, qop) {
			return qop, true
		}
	}
	return "", false
}

// parser collects challenges over several header lines.
type parser struct {
	challenges []challenge
	looked     int
}

// line reads one header line. It returns false when it has looked at enough challenges.
func (p *parser) line(value string) bool {
	if !p.count() {
		return false
	}
	if len(value) > maxFieldBytes {
		return true
	}
	var current *draft
	for s := (scanner{rest: value}); s.next(); s.skip() {
		if name, ok := s.scheme(); ok {
			p.finish(current)
			if current != nil && !p.count() { // the first one was counted with the line
				return false
			}
			current = start(name)
			if s.atEnd() {
				continue
			}
		} else if current == nil {
			current = start("") // of a challenge without a scheme
		}
		current.read(&s)
	}
	p.finish(current)
	return true
}

func (p *parser) count() bool {
	p.looked++
	return p.looked <= maxChallenges
}

func (p *parser) finish(d *draft) {
	if d != nil && d.digest && d.wellFormed() {
		p.challenges = append(p.challenges, d.challenge)
	}
}

// draft is a challenge of which more parameters may follow.
type draft struct {
	digest    bool // challenges of other schemes are read only to find out where they end
	challenge challenge
	seen      map[string]string // the values of the parameters so far
	malformed bool
}

func start(scheme string) *draft {
	return &draft{digest: strings.EqualFold(scheme, "Digest"), seen: make(map[string]string)}
}

// read takes one parameter. After the first fault the rest of the challenge no longer counts.
func (d *draft) read(s *scanner) {
	if !d.digest || d.malformed {
		return
	}
	name, value, ok := s.param()
	if !ok {
		d.malformed = true
		return
	}
	d.set(strings.ToLower(name), value)
}

func (d *draft) set(name, value string) {
	c := &d.challenge
	switch name {
	case "realm":
		c.realm = value
	case "nonce":
		c.nonce = value
	case "opaque":
		c.opaque, c.hasOpaque = value, true
	case "algorithm":
		c.algorithm = value
	case "qop":
		c.qop = strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	case "stale":
		c.stale = strings.EqualFold(value, "true")
	case "userhash":
		c.userHash = strings.EqualFold(value, "true")
	default:
		return
	}
	if before, again := d.seen[name]; again && before != value {
		d.malformed = true
	}
	d.seen[name] = value
}

func (d *draft) wellFormed() bool {
	c := d.challenge
	_, hasAlgorithm := d.seen["algorithm"]
	_, hasQOP := d.seen["qop"]
	return !d.malformed && c.nonce != "" && (c.algorithm != "" || !hasAlgorithm) && (len(c.qop) > 0 || !hasQOP) &&
		!hasControl(c.realm) && !hasControl(c.nonce) && !hasControl(c.opaque)
}

// nextNonce returns the nonce that an Authentication-Info header announces for the next request, or nothing.
func nextNonce(h http.Header) string {
	for _, line := range h["Authentication-Info"] {
		if len(line) > maxFieldBytes {
			continue
		}
		for s := (scanner{rest: line}); s.next(); s.skip() {
			name, value, ok := s.param()
			if ok && strings.EqualFold(name, "nextnonce") && !hasControl(value) {
				return value
			}
		}
	}
	return ""
}

// hasControl reports whether s has characters that must not get into a header.
func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
