package redact

import (
	"regexp"
	"strings"
)

// The special characters of a URI, as they are or as JSON, HTML or a URL writes them. A URL may be part of another one,
// which encodes the percent signs again: %40, %2540 and so on.
var (
	uriStart = regexp.MustCompile(`(?i)(?::|\\u003a|&#58;|&#x3a;|%(?:25)*3a)(?:(?:\\*/|\\u002f|&#47;|&#x2f;|%(?:25)*2f)){2}`)
	uriEnd   = regexp.MustCompile("[\\s\\x00-\\x1f\"<>`]|&quot;|&#34;|&lt;|&gt;")
	uriMark  = regexp.MustCompile(`(?i)[@:/?#]|\\u00(?:40|3a|2f|3f|23)|&#(?:64|58|47|63|35);|&#x(?:40|3a|2f|3f|23);|%(?:25)*(?:40|3a|2f|3f|23)`)
	// scheme is that of another URI, behind what may stand between two.
	scheme = regexp.MustCompile(`(?i)(?:[,;=&|([{']|%(?:25)*(?:2c|3b|3d|26|7c|28|5b|7b|27))([a-z](?:[a-z0-9+.-]|%(?:25)*2b)*)$`)
	// encodedEnd is a space, a quote or a bracket in a text that is percent-encoded as a whole.
	encodedEnd = regexp.MustCompile(`(?i)%(?:25)*(?:20|0a|0d|09|22|3c|3e)`)
)

const (
	// maxURI is how many bytes after the scheme may hold the userinfo.
	maxURI = 1024
	// maxURIs is how many URIs of a text are looked at. Of the others nothing is shown, so that no text takes long.
	maxURIs = 200
)

// withoutUserinfo replaces the userinfo of every URI in a text.
//
// Those who write a URI into a message often do not encode the password, which may hold "@", "/" and ":". So everything
// up to the last "@" goes where one of the URI's authority or a ":" shows that there is a userinfo. A path with an "@" in
// it may cost the host, but no password stays.
func withoutUserinfo(s string) string {
	var out strings.Builder
	for n := 1; ; n++ {
		start := uriStart.FindStringIndex(s)
		if start == nil {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:start[1]])
		level := levelOf(s[start[0]:start[1]])
		s = s[start[1]:]
		var length int
		if n <= maxURIs {
			length = userinfo(untilEnd(s[:min(len(s), maxURI)], level), level)
		} else {
			length = len(upTo(uriEnd, s))
		}
		if length > 0 {
			out.WriteString(Mark)
			s = s[length:]
		}
	}
}

// upTo is what stands before the first match.
func upTo(end *regexp.Regexp, s string) string {
	if first := end.FindStringIndex(s); first != nil {
		return s[:first[0]]
	}
	return s
}

// levelOf is how many times a character is percent-encoded.
func levelOf(mark string) int {
	if !strings.HasPrefix(mark, "%") {
		return 0
	}
	level := 1
	for rest := mark[1:]; strings.HasPrefix(rest, "25"); rest = rest[2:] {
		level++
	}
	return level
}

// untilEnd is what belongs to the URI that has begun before s.
func untilEnd(s string, level int) string {
	s = upTo(uriEnd, s)
	if level > 0 {
		s, _, _ = strings.Cut(s, "&") // the next parameter of a query
		for _, end := range encodedEnd.FindAllStringIndex(s, -1) {
			if levelOf(s[end[0]:end[1]]) <= level {
				s = s[:end[0]]
				break
			}
		}
	}
	const few = 10 // a password holds no more, and a list of URIs ends at the first
	for _, next := range uriStart.FindAllStringIndex(s, few) {
		another := scheme.FindStringSubmatchIndex(s[:next[0]])
		if another == nil || levelOf(s[next[0]:next[1]]) > level {
			continue
		}
		if head := s[:another[2]]; userinfo(head, level) < len(head) { // else it is a part of the password
			return head
		}
	}
	return s
}

// userinfo is how many bytes at the beginning of a URI, behind its scheme, are its userinfo; 0 if it has none. That is
// all of it where the text was cut off before the "@".
func userinfo(uri string, level int) int {
	length, encodedAt := 0, len(uri)
	inAuthority, colon, found := true, false, false
	open := false // a password has begun and not ended
	for _, mark := range uriMark.FindAllStringIndex(uri, -1) {
		kind, markLevel := kindOf(uri[mark[0]:mark[1]]), levelOf(uri[mark[0]:mark[1]])
		switch {
		case markLevel > level:
			if kind == '@' && open {
				encodedAt = mark[0]
			}
		case kind == '@':
			if found = found || inAuthority || colon; found {
				length, inAuthority, open, encodedAt = mark[0], true, false, len(uri)
			}
		case kind == ':':
			colon = true
			open = open || inAuthority && !isPort(uri[mark[1]:])
		case mark[0] == 0:
			return 0 // a path comes first
		default:
			inAuthority = false
		}
	}
	if open { // the text was cut off, or the "@" is encoded once more
		return encodedAt
	}
	return length
}

// kindOf returns the character that a mark stands for.
func kindOf(mark string) byte {
	switch mark = strings.ToLower(strings.TrimSuffix(mark, ";")); {
	case len(mark) == 1:
		return mark[0]
	case strings.HasSuffix(mark, "40"), mark == "&#64":
		return '@'
	case strings.HasSuffix(mark, "3a"), mark == "&#58":
		return ':'
	default:
		return '/' // or "?" or "#", which end the authority too
	}
}

// isPort reports whether what stands behind a colon may be a port.
func isPort(s string) bool {
	s = strings.TrimLeft(s, "0123456789")
	return s == "" || strings.IndexByte(",;.:)]}'/?#%&\\", s[0]) >= 0
}
