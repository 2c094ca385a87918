package digest

import "strings"

// scanner reads the comma-separated list of a header field value from left to right (RFC 9110, sections 5.6 and 11).
type scanner struct {
	rest string
}

// next moves to the start of the next list element and reports whether there is one.
func (s *scanner) next() bool {
	s.rest = strings.TrimLeft(s.rest, ", \t")
	return s.rest != ""
}

// skip moves to the end of the current list element. Commas inside quoted strings do not end it.
func (s *scanner) skip() {
	for !s.atEnd() {
		if s.rest[0] == '"' {
			s.quoted()
			continue
		}
		s.rest = s.rest[1:]
	}
}

// atEnd reports whether nothing of the current list element is left.
func (s *scanner) atEnd() bool { return s.rest == "" || s.rest[0] == ',' }

func (s *scanner) space() {
	s.rest = strings.TrimLeft(s.rest, " \t")
}

// token reads the longest token, which is empty if there is none.
func (s *scanner) token() string {
	end := 0
	for end < len(s.rest) && isTokenByte(s.rest[end]) {
		end++
	}
	token := s.rest[:end]
	s.rest = s.rest[end:]
	return token
}

// quoted reads the quoted string that starts here and returns what it stands for. An unterminated one takes the rest.
func (s *scanner) quoted() (string, bool) {
	var value strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			s.rest = s.rest[i+1:]
			return value.String(), true
		case '\\':
			if i++; i == len(s.rest) {
				continue
			}
		}
		value.WriteByte(s.rest[i])
	}
	s.rest = ""
	return "", false
}

// scheme reads the scheme that starts a challenge. It reads nothing if the list element is a parameter, which is what
// tells the two uses of the comma apart. Something that is neither is a scheme without a name.
func (s *scanner) scheme() (string, bool) {
	start := *s
	name := s.token()
	s.space()
	if name != "" && strings.HasPrefix(s.rest, "=") {
		*s = start
		return "", false
	}
	return name, true
}

// param reads a list element, or what is left of it, as name=value. It is not ok if that is not all there is. A value that
// is not there is an empty one.
func (s *scanner) param() (name, value string, ok bool) {
	name = s.token()
	s.space()
	if name == "" {
		return "", "", false
	}
	if !strings.HasPrefix(s.rest, "=") {
		return name, "", s.atEnd()
	}
	s.rest = s.rest[1:]
	s.space()
	ok = true
	if strings.HasPrefix(s.rest, `"`) {
		value, ok = s.quoted()
	} else {
		value = s.unquoted()
	}
	s.space()
	return name, value, ok && s.atEnd()
}

// unquoted reads a value without quotes. Servers write nonces in base64 so, although its "=" and "/" are not allowed in a
// token.
func (s *scanner) unquoted() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`,"\`, r) })
	if end < 0 {
		end = len(s.rest)
	}
	value := s.rest[:end]
	s.rest = s.rest[end:]
	return value
}

func isTokenByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	default:
		return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
	}
}
