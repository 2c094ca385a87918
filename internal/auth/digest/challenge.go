package digest

import (
	"errors"
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

var (
	errTooMany     = errors.New("digest: too many challenges, the rest was not read")
	errTooLong     = errors.New("digest: header line too long, it was not read")
	errNoScheme    = errors.New("digest: challenge without a scheme")
	errSyntax      = errors.New("digest: challenge is not a list of parameters")
	errDuplicate   = errors.New("digest: challenge with two values of a parameter")
	errNoNonce     = errors.New("digest: challenge without a nonce")
	errNoAlgorithm = errors.New("digest: challenge with an empty algorithm")
	errNoQOP       = errors.New("digest: challenge with an empty qop")
	errControl     = errors.New("digest: challenge with control characters")
)

// A Challenge is what a server demands in one Digest challenge of its WWW-Authenticate header.
type Challenge struct {
	// Realm, Nonce and Opaque are the server's, without quotes and escapes. Only Nonce is never empty: some servers send no
	// realm, or an empty one.
	Realm, Nonce, Opaque string

	// HasOpaque says that there is an Opaque, which has to be returned even if it is empty.
	HasOpaque bool

	// Algorithm is spelled as the server spells it. Empty means MD5.
	Algorithm string

	// QOP is what the server offers, in lower case and its own order. If it is empty, the RFC 2069 form applies.
	QOP []string

	// Stale says that the answered nonce has expired while the credentials may be right.
	Stale bool

	// UserHash asks for the hash of the user name in place of the name.
	UserHash bool

	// UTF8 says that the server expects names and passwords in UTF-8, which is how this package always hashes them.
	UTF8 bool
}

// ParseChallenges returns the well-formed Digest challenges of the WWW-Authenticate header, in their order. The error
// joins what was wrong with the others, and does not mean that none was returned. Other schemes are skipped. Sixteen
// challenges are looked at, in header lines of at most 8 KiB.
func ParseChallenges(h http.Header) ([]Challenge, error) {
	var p parser
	for _, line := range h.Values("WWW-Authenticate") {
		if !p.line(line) {
			p.errs = append(p.errs, errTooMany)
			break
		}
	}
	return p.challenges, errors.Join(p.errs...)
}

// Select returns the challenge with the strongest hash among those this package can answer, and reports whether there
// is one. Of equally strong ones, the server's first choice wins.
func Select(challenges []Challenge) (Challenge, bool) {
	var best Challenge
	var strongest algorithm
	for _, c := range challenges {
		a, _ := algorithmOf(c.Algorithm)
		if _, ok := c.quality(); ok && a > strongest {
			best, strongest = c, a
		}
	}
	return best, strongest != unsupported
}

// quality returns the quality of protection to answer with, empty for the RFC 2069 form, and reports whether there is
// one. auth-int is the second choice because it has to read the request's body once more.
func (c Challenge) quality() (string, bool) {
	if len(c.QOP) == 0 {
		return "", true
	}
	for _, qop := range []string{qopAuth, qopAuthInt} {
		if slices.Contains(c.QOP, qop) {
			return qop, true
		}
	}
	return "", false
}

// parser collects challenges over several header lines.
type parser struct {
	challenges []Challenge
	errs       []error
	looked     int
}

// line reads one header line. It returns false when it has looked at enough challenges.
func (p *parser) line(value string) bool {
	if !p.count() {
		return false
	}
	if len(value) > maxFieldBytes {
		p.errs = append(p.errs, errTooLong)
		return true
	}
	var current *draft
	for s := (scanner{rest: value}); s.next(); s.skip() {
		if name, ok := s.scheme(); ok {
			p.finish(current)
			if current != nil && !p.count() { // the first one was counted with the line
				return false
			}
			current = p.start(name)
			if s.atEnd() {
				continue
			}
		} else if current == nil {
			current = p.start("")
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

func (p *parser) start(scheme string) *draft {
	if scheme == "" {
		p.errs = append(p.errs, errNoScheme)
	}
	return &draft{digest: strings.EqualFold(scheme, "Digest"), seen: make(map[string]string)}
}

func (p *parser) finish(d *draft) {
	if d == nil || !d.digest {
		return
	}
	if err := d.check(); err != nil {
		p.errs = append(p.errs, err)
		return
	}
	p.challenges = append(p.challenges, d.challenge)
}

// draft is a challenge of which more parameters may follow.
type draft struct {
	digest    bool // challenges of other schemes are read only to find out where they end
	challenge Challenge
	seen      map[string]string // the values of the parameters so far
	err       error
}

// read takes one parameter. After the first fault the rest of the challenge no longer counts.
func (d *draft) read(s *scanner) {
	if !d.digest || d.err != nil {
		return
	}
	name, value, ok := s.param()
	if !ok {
		d.err = errSyntax
		return
	}
	d.set(strings.ToLower(name), value)
}

func (d *draft) set(name, value string) {
	c := &d.challenge
	switch name {
	case "realm":
		c.Realm = value
	case "nonce":
		c.Nonce = value
	case "opaque":
		c.Opaque, c.HasOpaque = value, true
	case "algorithm":
		c.Algorithm = value
	case "qop":
		c.QOP = strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	case "stale":
		c.Stale = strings.EqualFold(value, "true")
	case "userhash":
		c.UserHash = strings.EqualFold(value, "true")
	case "charset":
		c.UTF8 = strings.EqualFold(value, "UTF-8")
	default:
		return
	}
	if before, again := d.seen[name]; again && before != value {
		d.err = errDuplicate
	}
	d.seen[name] = value
}

func (d *draft) has(name string) bool {
	_, ok := d.seen[name]
	return ok
}

func (d *draft) check() error {
	c := d.challenge
	switch {
	case d.err != nil:
		return d.err
	case c.Nonce == "":
		return errNoNonce
	case c.Algorithm == "" && d.has("algorithm"):
		return errNoAlgorithm
	case len(c.QOP) == 0 && d.has("qop"):
		return errNoQOP
	case hasControl(c.Realm), hasControl(c.Nonce), hasControl(c.Opaque):
		return errControl
	default:
		return nil
	}
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
func hasControl(s string) bool {
	return strings.ContainsFunc(s, unicode.IsControl)
}
