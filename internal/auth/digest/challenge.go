package digest

import (
	"net/http"
	"regexp"
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
