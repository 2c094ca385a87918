package digest

import (
	"net/http"
	"slices"
	"strings"
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

// challenge is one challenge of a WWW-Authenticate header, without quotes and escapes.
type challenge struct {
	scheme    string // in lowercase
	realm     string // empty where the server names none
	nonce     string
	opaque    string
	hasOpaque bool   // it is returned even where it is empty
	algorithm string // as the server writes it; empty means MD5
	qop       string // the server's list; empty means the form of RFC 2069
	stale     bool   // the nonce of the request has expired, and the credentials may be right
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
	qops := strings.FieldsFunc(strings.ToLower(c.qop), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if c.scheme != "digest" || c.malformed || c.nonce == "" || c.qop != "" && !slices.Contains(qops, "auth") ||
		strings.ContainsFunc(c.realm+c.nonce+c.opaque, unicode.IsControl) {
		return 0
	}
	return strengthOf(c.algorithm)
}

// parse reads one header line. Commas separate challenges and their parameters alike: an element that is not name=value,
// or that has a word before it, starts a challenge.
func parse(line string) []challenge {
	found := make([]challenge, 1) // for parameters without a scheme
	for element := ""; line != ""; {
		element, line = cutElement(line)
		before, value, hasValue := strings.Cut(element, "=")
		words := strings.Fields(before)
		if len(words) > 0 && (len(words) > 1 || !hasValue) {
			found = append(found, challenge{scheme: strings.ToLower(words[0])})
			words = words[1:]
		}
		c := &found[len(found)-1]
		text, ok := unquote(strings.Trim(value, " \t"))
		if len(words) == 1 {
			c.set(strings.ToLower(words[0]), text)
		}
		c.malformed = c.malformed || !ok || len(words) > 1 || len(words) == 0 && hasValue
	}
	return found
}

func (c *challenge) set(name, value string) {
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
		c.qop = value
	case "stale":
		c.stale = strings.EqualFold(value, "true")
	}
}

// cutElement cuts a list at the first comma outside quotes.
func cutElement(list string) (element, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == '\\' && quoted:
			i++
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

// unquote returns what a value stands for. Without quotes it may be base64, which some servers write there.
func unquote(value string) (text string, ok bool) {
	if !strings.HasPrefix(value, `"`) {
		return value, !strings.ContainsAny(value, "\" \t\\")
	}
	var b strings.Builder
	for i := 1; i < len(value); i++ {
		switch {
		case value[i] == '"':
			return b.String(), i == len(value)-1
		case value[i] == '\\' && i+1 < len(value):
			i++
		}
		b.WriteByte(value[i])
	}
	return "", false
}
