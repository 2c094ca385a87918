package livemigrationtest

import "strings"

// parseClaim reads the parameters of Digest credentials, keyed in lower case. It fails on anything malformed, on a
// parameter that is given twice and on another scheme.
func parseClaim(header string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	claim := make(map[string]string, 10)
	for {
		name, value, after, ok := nextParameter(rest)
		if _, twice := claim[name]; !ok || twice {
			return nil, false
		}
		claim[name] = value
		if after == "" {
			return claim, true
		}
		if after[0] != ',' {
			return nil, false
		}
		rest = after[1:]
	}
}

// nextParameter reads name=value or name="value", and the space around it.
func nextParameter(s string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "=")
	name, rest = strings.ToLower(trimSpace(name)), trimSpace(rest)
	if !ok || !isToken(name) {
		return "", "", "", false
	}
	if strings.HasPrefix(rest, `"`) {
		value, rest, ok = unquote(rest[1:])
		return name, value, trimSpace(rest), ok
	}
	end := strings.IndexByte(rest, ',')
	if end < 0 {
		end = len(rest)
	}
	value, rest = trimSpace(rest[:end]), rest[end:]
	return name, value, rest, isToken(value)
}

// unquote reads a quoted string behind its opening quote.
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func trimSpace(s string) string { return strings.Trim(s, " \t") }

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letterOrDigit := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
