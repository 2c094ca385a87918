package digest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func challengeHeader(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		h.Add("WWW-Authenticate", line)
	}
	return h
}

func TestParseChallenges(t *testing.T) {
	t.Parallel()
	plain := challenge{realm: "r", nonce: "n"}
	tests := []struct {
		name  string
		lines []string
		want  []challenge
	}{
		{"no header", nil, nil},
		{"the service", []string{
			`Digest realm="MMS Public API", domain="", nonce="abc+/=", algorithm=MD5, qop="auth", stale=false`,
		}, []challenge{{realm: "MMS Public API", nonce: "abc+/=", algorithm: "MD5", qop: []string{"auth"}}}},
		{"the service as its documentation prints it", []string{
			`Digest realm="MMS Public API", domain="", nonce="abc", algorithm=MD5, op="auth", stale=false`,
		}, []challenge{{realm: "MMS Public API", nonce: "abc", algorithm: "MD5"}}},
		{"everything set", []string{
			`Digest realm="r",nonce="n",opaque="o",algorithm=SHA-256-sess,qop="auth-int, auth",stale=TRUE,userhash=true,charset=utf-8`,
		}, []challenge{{
			realm: "r", nonce: "n", opaque: "o", hasOpaque: true, algorithm: "SHA-256-sess", qop: []string{"auth-int", "auth"},
			stale: true, userHash: true,
		}}},
		{"case of names", []string{`dIGEST REALM="r", NoNce="n", QOP="AUTH"`},
			[]challenge{{realm: "r", nonce: "n", qop: []string{"auth"}}}},
		{"tokens for strings", []string{`Digest realm=r, nonce=n, qop=auth`},
			[]challenge{{realm: "r", nonce: "n", qop: []string{"auth"}}}},
		{"strings for tokens", []string{`Digest realm="r", nonce="n", algorithm="MD5", stale="true", userhash="true"`},
			[]challenge{{realm: "r", nonce: "n", algorithm: "MD5", stale: true, userHash: true}}},
		{"escapes and commas", []string{`Digest realm="a \"b\", c=\\d", nonce="n, Digest x=\"y\""`},
			[]challenge{{realm: `a "b", c=\d`, nonce: `n, Digest x="y"`}}},
		{"space everywhere", []string{"\t Digest \t realm =\t\"r\" ,, \t nonce= \"n\" , "}, []challenge{plain}},
		{"no space", []string{`Digest realm="r",nonce="n"`}, []challenge{plain}},
		{"comma after the scheme", []string{`Digest, realm="r", nonce="n"`}, []challenge{plain}},
		{"unknown parameters", []string{`Digest foo="bar, baz", realm="r", x=1, x=2, nonce="n", domain="/a /b"`}, []challenge{plain}},
		{"empty opaque", []string{`Digest realm="r", nonce="n", opaque=""`}, []challenge{{realm: "r", nonce: "n", hasOpaque: true}}},
		{"empty realm", []string{`Digest realm="", nonce="n"`}, []challenge{{nonce: "n"}}},
		{"no realm", []string{`Digest nonce="n"`}, []challenge{{nonce: "n"}}},
		{"realm without a value", []string{`Digest realm, nonce="n"`}, []challenge{{nonce: "n"}}},
		{"realm without a value after the sign", []string{`Digest realm=, nonce="n"`}, []challenge{{nonce: "n"}}},
		{"opaque without a value", []string{`Digest realm="r", nonce="n", opaque=`}, []challenge{{realm: "r", nonce: "n", hasOpaque: true}}},
		{"base64 without quotes", []string{`Digest realm="r", nonce=a+/b==, opaque==, qop=auth`},
			[]challenge{{realm: "r", nonce: "a+/b==", opaque: "=", hasOpaque: true, qop: []string{"auth"}}}},
		{"other characters without quotes", []string{`Digest realm=a/b@c:d, nonce=1:2`}, []challenge{{realm: "a/b@c:d", nonce: "1:2"}}},
		{"the same parameter twice", []string{`Digest realm="r", nonce="n", Realm=r, NONCE="n", qop="auth", qop="auth", stale=true, stale=true`},
			[]challenge{{realm: "r", nonce: "n", qop: []string{"auth"}, stale: true}}},
		{"characters above ASCII", []string{"Digest realm=\"Jäsøn\", nonce=\"\xff\""}, []challenge{{realm: "Jäsøn", nonce: "\xff"}}},
		{"unknown qop", []string{`Digest realm="r", nonce="n", qop="auth-conf"`},
			[]challenge{{realm: "r", nonce: "n", qop: []string{"auth-conf"}}}},
		{"several in one line", []string{`Digest realm="r", nonce="n", Digest realm="s", nonce="m"`},
			[]challenge{plain, {realm: "s", nonce: "m"}}},
		{"several lines", []string{`Digest realm="r", nonce="n"`, `Digest realm="s", nonce="m"`},
			[]challenge{plain, {realm: "s", nonce: "m"}}},
		{"other schemes around", []string{
			`Basic realm="b, nonce=x", charset="UTF-8", Digest realm="r", nonce="n", Negotiate YIIab+/c==, NTLM, Bearer realm="t"`,
			`Negotiate`,
		}, []challenge{plain}},
		{"a challenge inside a string of another scheme", []string{
			`Basic realm="b, Digest realm=r, nonce=n", x="\", Digest realm=r, nonce=n"`,
		}, nil},
		{"other schemes only", []string{`Basic realm="b"`, `Negotiate a==`, `NTLM`}, nil},
		{"nonsense in other schemes", []string{`Basic realm, nonce=, x="y`, `Digest realm="r", nonce="n"`}, []challenge{plain}},
		{"empty lines", []string{"", " , ,\t", `Digest realm="r", nonce="n"`}, []challenge{plain}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, parseChallenges(challengeHeader(tt.lines...)))
		})
	}
}

func TestParseChallengesMalformed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string
	}{
		{"nothing but the scheme", `Digest`},
		{"scheme and space", `Digest `},
		{"parameter without a value", `Digest realm`},
		{"parameter without a value after the sign", `Digest realm=`},
		{"nonce without a value", `Digest realm="r", nonce=`},
		{"algorithm without a value", `Digest realm="r", nonce="n", algorithm=`},
		{"no nonce", `Digest realm="r"`},
		{"empty nonce", `Digest realm="r", nonce=""`},
		{"empty algorithm", `Digest realm="r", nonce="n", algorithm=""`},
		{"empty qop", `Digest realm="r", nonce="n", qop=""`},
		{"qop of commas", `Digest realm="r", nonce="n", qop=" , "`},
		{"unterminated string", `Digest realm="r", nonce="n`},
		{"string that ends in an escape", `Digest realm="r", nonce="n\`},
		{"string of one quote", `Digest realm="r", nonce="`},
		{"text after a string", `Digest realm="r"x, nonce="n"`},
		{"no comma", `Digest realm="r" nonce="n"`},
		{"quote in a value without quotes", `Digest realm=a"b, nonce="n"`},
		{"escape in a value without quotes", `Digest realm=a\b, nonce="n"`},
		{"space in a value without quotes", `Digest realm=a b, nonce="n"`},
		{"control character in a value without quotes", "Digest realm=a\x01b, nonce=\"n\""},
		{"a parameter named as the scheme", `Digest ="r", nonce="n"`},
		{"token68", `Digest YIIab+/c==`},
		{"two nonces", `Digest realm="r", nonce="n", Nonce="m"`},
		{"two opinions about stale", `Digest realm="r", nonce="n", stale=true, stale=false`},
		{"new line in the realm", "Digest realm=\"r\nX: y\", nonce=\"n\""},
		{"carriage return in the nonce", "Digest realm=\"r\", nonce=\"n\\\r\""},
		{"NUL in the opaque", "Digest realm=\"r\", nonce=\"n\", opaque=\"\x00\""},
		{"DEL in the nonce", "Digest realm=\"r\", nonce=\"\x7f\""},
		{"parameters without a scheme", `realm="r", nonce="n"`},
		{"a string for a scheme", `"Digest" realm="r", nonce="n"`},
		{"too long", `Digest realm="r", nonce="` + strings.Repeat("n", maxFieldBytes) + `"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, parseChallenges(challengeHeader(tt.line)))
			got := parseChallenges(challengeHeader(tt.line, `Digest realm="good", nonce="n"`))
			assert.Equal(t, []challenge{{realm: "good", nonce: "n"}}, got, "must not hide the line below")
		})
	}
}

func TestParseChallengesMalformedNextToGood(t *testing.T) {
	t.Parallel()
	good := []challenge{{realm: "r", nonce: "n"}}
	for _, line := range []string{
		`Digest realm, Digest realm="r", nonce="n"`,
		`Digest realm=, Digest realm="r", nonce="n"`,
		`Digest nonce="x" y="a, b", Digest realm="r", nonce="n"`,
		`Digest realm="r", nonce="n", Digest realm="s`,
		`Digest realm="r", nonce="n", Digest`,
		`nonce="x", Digest realm="r", nonce="n"`,
		`=, Digest realm="r", nonce="n"`,
	} {
		assert.Equal(t, good, parseChallenges(challengeHeader(line)), line)
	}
}

func TestParseChallengesIsBounded(t *testing.T) {
	t.Parallel()
	one := `Digest realm="r", nonce="n"`
	nextTo := strings.Repeat("Digest a, ", 700) // more challenges than are looked at in a line that is short enough
	tests := []struct {
		name  string
		lines []string
		found int
	}{
		{"as many lines as are looked at", repeat(one, maxChallenges), maxChallenges},
		{"10,000 lines", repeat(one, 10_000), maxChallenges},
		{"10,000 challenges in a line", []string{strings.Repeat(one+", ", 10_000)}, 0},
		{"many challenges in a line", []string{strings.Repeat(one+", ", 200)}, maxChallenges},
		{"as many challenges in a line as are looked at", []string{strings.Repeat(one+", ", maxChallenges)}, maxChallenges},
		{"many malformed ones before a good one", []string{nextTo, one}, 0},
		{"many other schemes before a good one", append(repeat(`Basic realm="b"`, maxChallenges), one), 0},
		{"many lines with nothing in them", append(repeat("", maxChallenges), one), 0},
		{"a huge line before a good one", []string{strings.Repeat("x", 10<<20), one}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Len(t, parseChallenges(challengeHeader(tt.lines...)), tt.found)
		})
	}
}

func repeat(s string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = s
	}
	return lines
}

func TestSelect(t *testing.T) {
	t.Parallel()
	// The nonce says where a challenge stood.
	tests := []struct {
		name string
		line string
		want string
	}{
		{"none", ``, ""},
		{"only one", `Digest realm="r", nonce="1"`, "1"},
		{"strongest last", `Digest realm="r", nonce="1", algorithm=MD5, Digest realm="r", nonce="2", algorithm=SHA-256, ` +
			`Digest realm="r", nonce="3", algorithm=SHA-512-256`, "3"},
		{"strongest first", `Digest realm="r", nonce="1", algorithm=SHA-512-256, Digest realm="r", nonce="2", algorithm=SHA-256`, "1"},
		{"SHA-256 over none", `Digest realm="r", nonce="1", Digest realm="r", nonce="2", algorithm=SHA-256`, "2"},
		{"case of algorithms", `Digest realm="r", nonce="1", algorithm=md5, Digest realm="r", nonce="2", algorithm=sha-256-SESS`, "2"},
		{"first of equals", `Digest realm="r", nonce="1", algorithm=SHA-256-sess, Digest realm="r", nonce="2", algorithm=SHA-256`, "1"},
		{"unknown algorithm", `Digest realm="r", nonce="1", algorithm=SHA3-512, Digest realm="r", nonce="2"`, "2"},
		{"only unknown algorithms", `Digest realm="r", nonce="1", algorithm=token, Digest realm="r", nonce="2", algorithm=-sess`, ""},
		{"unknown qop", `Digest realm="r", nonce="1", algorithm=SHA-256, qop="auth-conf", Digest realm="r", nonce="2"`, "2"},
		{"unknown qop next to a known one", `Digest realm="r", nonce="1", qop="auth-conf, auth-int"`, "1"},
		{"only Basic", `Basic realm="r"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := selectChallenge(parseChallenges(challengeHeader(tt.line)))
			assert.Equal(t, tt.want, got.nonce)
			assert.Equal(t, tt.want != "", ok)
		})
	}
}

func TestNextNonce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"no header", nil, ""},
		{"alone", []string{`nextnonce="n"`}, "n"},
		{"among others", []string{`rspauth="a, nextnonce=x", qop=auth ,NEXTNONCE = "a \"b\"", nc=00000001`}, `a "b"`},
		{"on another line", []string{`qop=auth`, `nextnonce="n"`}, "n"},
		{"behind nonsense", []string{`"x", nextnonce="n"`}, "n"},
		{"empty", []string{`nextnonce=""`}, ""},
		{"malformed", []string{`nextnonce="n`}, ""},
		{"no value", []string{`nextnonce`}, ""},
		{"control character", []string{"nextnonce=\"n\n\""}, ""},
		{"too long", []string{`nextnonce="` + strings.Repeat("n", maxFieldBytes) + `"`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, nextNonce(http.Header{"Authentication-Info": tt.lines}))
		})
	}
}
