package digest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	plain := Challenge{Realm: "r", Nonce: "n"}
	tests := []struct {
		name  string
		lines []string
		want  []Challenge
	}{
		{"no header", nil, nil},
		{"the service", []string{
			`Digest realm="MMS Public API", domain="", nonce="abc+/=", algorithm=MD5, qop="auth", stale=false`,
		}, []Challenge{{Realm: "MMS Public API", Nonce: "abc+/=", Algorithm: "MD5", QOP: []string{"auth"}}}},
		{"the service as its documentation prints it", []string{
			`Digest realm="MMS Public API", domain="", nonce="abc", algorithm=MD5, op="auth", stale=false`,
		}, []Challenge{{Realm: "MMS Public API", Nonce: "abc", Algorithm: "MD5"}}},
		{"everything set", []string{
			`Digest realm="r",nonce="n",opaque="o",algorithm=SHA-256-sess,qop="auth-int, auth",stale=TRUE,userhash=true,charset=utf-8`,
		}, []Challenge{{
			Realm: "r", Nonce: "n", Opaque: "o", HasOpaque: true, Algorithm: "SHA-256-sess", QOP: []string{"auth-int", "auth"},
			Stale: true, UserHash: true, UTF8: true,
		}}},
		{"case of names", []string{`dIGEST REALM="r", NoNce="n", QOP="AUTH"`},
			[]Challenge{{Realm: "r", Nonce: "n", QOP: []string{"auth"}}}},
		{"tokens for strings", []string{`Digest realm=r, nonce=n, qop=auth`},
			[]Challenge{{Realm: "r", Nonce: "n", QOP: []string{"auth"}}}},
		{"strings for tokens", []string{`Digest realm="r", nonce="n", algorithm="MD5", stale="true", userhash="true"`},
			[]Challenge{{Realm: "r", Nonce: "n", Algorithm: "MD5", Stale: true, UserHash: true}}},
		{"escapes and commas", []string{`Digest realm="a \"b\", c=\\d", nonce="n, Digest x=\"y\""`},
			[]Challenge{{Realm: `a "b", c=\d`, Nonce: `n, Digest x="y"`}}},
		{"space everywhere", []string{"\t Digest \t realm =\t\"r\" ,, \t nonce= \"n\" , "}, []Challenge{plain}},
		{"no space", []string{`Digest realm="r",nonce="n"`}, []Challenge{plain}},
		{"comma after the scheme", []string{`Digest, realm="r", nonce="n"`}, []Challenge{plain}},
		{"unknown parameters", []string{`Digest foo="bar, baz", realm="r", x=1, x=2, nonce="n", domain="/a /b"`}, []Challenge{plain}},
		{"empty opaque", []string{`Digest realm="r", nonce="n", opaque=""`}, []Challenge{{Realm: "r", Nonce: "n", HasOpaque: true}}},
		{"empty realm", []string{`Digest realm="", nonce="n"`}, []Challenge{{Nonce: "n"}}},
		{"no realm", []string{`Digest nonce="n"`}, []Challenge{{Nonce: "n"}}},
		{"realm without a value", []string{`Digest realm, nonce="n"`}, []Challenge{{Nonce: "n"}}},
		{"realm without a value after the sign", []string{`Digest realm=, nonce="n"`}, []Challenge{{Nonce: "n"}}},
		{"opaque without a value", []string{`Digest realm="r", nonce="n", opaque=`}, []Challenge{{Realm: "r", Nonce: "n", HasOpaque: true}}},
		{"base64 without quotes", []string{`Digest realm="r", nonce=a+/b==, opaque==, qop=auth`},
			[]Challenge{{Realm: "r", Nonce: "a+/b==", Opaque: "=", HasOpaque: true, QOP: []string{"auth"}}}},
		{"other characters without quotes", []string{`Digest realm=a/b@c:d, nonce=1:2`}, []Challenge{{Realm: "a/b@c:d", Nonce: "1:2"}}},
		{"the same parameter twice", []string{`Digest realm="r", nonce="n", Realm=r, NONCE="n", qop="auth", qop="auth", stale=true, stale=true`},
			[]Challenge{{Realm: "r", Nonce: "n", QOP: []string{"auth"}, Stale: true}}},
		{"characters above ASCII", []string{"Digest realm=\"Jäsøn\", nonce=\"\xff\""}, []Challenge{{Realm: "Jäsøn", Nonce: "\xff"}}},
		{"unknown qop", []string{`Digest realm="r", nonce="n", qop="auth-conf"`},
			[]Challenge{{Realm: "r", Nonce: "n", QOP: []string{"auth-conf"}}}},
		{"several in one line", []string{`Digest realm="r", nonce="n", Digest realm="s", nonce="m"`},
			[]Challenge{plain, {Realm: "s", Nonce: "m"}}},
		{"several lines", []string{`Digest realm="r", nonce="n"`, `Digest realm="s", nonce="m"`},
			[]Challenge{plain, {Realm: "s", Nonce: "m"}}},
		{"other schemes around", []string{
			`Basic realm="b, nonce=x", charset="UTF-8", Digest realm="r", nonce="n", Negotiate YIIab+/c==, NTLM, Bearer realm="t"`,
			`Negotiate`,
		}, []Challenge{plain}},
		{"a challenge inside a string of another scheme", []string{
			`Basic realm="b, Digest realm=r, nonce=n", x="\", Digest realm=r, nonce=n"`,
		}, nil},
		{"other schemes only", []string{`Basic realm="b"`, `Negotiate a==`, `NTLM`}, nil},
		{"nonsense in other schemes", []string{`Basic realm, nonce=, x="y`, `Digest realm="r", nonce="n"`}, []Challenge{plain}},
		{"empty lines", []string{"", " , ,\t", `Digest realm="r", nonce="n"`}, []Challenge{plain}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseChallenges(challengeHeader(tt.lines...))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestParseChallengesMalformed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line string
		want       error
	}{
		{"nothing but the scheme", `Digest`, errNoNonce},
		{"scheme and space", `Digest `, errNoNonce},
		{"parameter without a value", `Digest realm`, errNoNonce},
		{"parameter without a value after the sign", `Digest realm=`, errNoNonce},
		{"nonce without a value", `Digest realm="r", nonce=`, errNoNonce},
		{"algorithm without a value", `Digest realm="r", nonce="n", algorithm=`, errNoAlgorithm},
		{"no nonce", `Digest realm="r"`, errNoNonce},
		{"empty nonce", `Digest realm="r", nonce=""`, errNoNonce},
		{"empty algorithm", `Digest realm="r", nonce="n", algorithm=""`, errNoAlgorithm},
		{"empty qop", `Digest realm="r", nonce="n", qop=""`, errNoQOP},
		{"qop of commas", `Digest realm="r", nonce="n", qop=" , "`, errNoQOP},
		{"unterminated string", `Digest realm="r", nonce="n`, errSyntax},
		{"string that ends in an escape", `Digest realm="r", nonce="n\`, errSyntax},
		{"string of one quote", `Digest realm="r", nonce="`, errSyntax},
		{"text after a string", `Digest realm="r"x, nonce="n"`, errSyntax},
		{"no comma", `Digest realm="r" nonce="n"`, errSyntax},
		{"quote in a value without quotes", `Digest realm=a"b, nonce="n"`, errSyntax},
		{"escape in a value without quotes", `Digest realm=a\b, nonce="n"`, errSyntax},
		{"space in a value without quotes", `Digest realm=a b, nonce="n"`, errSyntax},
		{"control character in a value without quotes", "Digest realm=a\x01b, nonce=\"n\"", errSyntax},
		{"a parameter named as the scheme", `Digest ="r", nonce="n"`, errNoScheme},
		{"token68", `Digest YIIab+/c==`, errSyntax},
		{"two nonces", `Digest realm="r", nonce="n", Nonce="m"`, errDuplicate},
		{"two opinions about stale", `Digest realm="r", nonce="n", stale=true, stale=false`, errDuplicate},
		{"new line in the realm", "Digest realm=\"r\nX: y\", nonce=\"n\"", errControl},
		{"carriage return in the nonce", "Digest realm=\"r\", nonce=\"n\\\r\"", errControl},
		{"NUL in the opaque", "Digest realm=\"r\", nonce=\"n\", opaque=\"\x00\"", errControl},
		{"DEL in the nonce", "Digest realm=\"r\", nonce=\"\x7f\"", errControl},
		{"parameters without a scheme", `realm="r", nonce="n"`, errNoScheme},
		{"a string for a scheme", `"Digest" realm="r", nonce="n"`, errNoScheme},
		{"too long", `Digest realm="r", nonce="` + strings.Repeat("n", maxFieldBytes) + `"`, errTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseChallenges(challengeHeader(tt.line))
			require.ErrorIs(t, err, tt.want)
			assert.Empty(t, got)
			assert.Equal(t, tt.want.Error(), err.Error(), "nothing from the server may be in the message")

			got, err = ParseChallenges(challengeHeader(tt.line, `Digest realm="good", nonce="n"`))
			require.ErrorIs(t, err, tt.want)
			assert.Equal(t, []Challenge{{Realm: "good", Nonce: "n"}}, got, "must not hide the line below")
		})
	}
}

func TestParseChallengesMalformedNextToGood(t *testing.T) {
	t.Parallel()
	good := []Challenge{{Realm: "r", Nonce: "n"}}
	for _, line := range []string{
		`Digest realm, Digest realm="r", nonce="n"`,
		`Digest realm=, Digest realm="r", nonce="n"`,
		`Digest nonce="x" y="a, b", Digest realm="r", nonce="n"`,
		`Digest realm="r", nonce="n", Digest realm="s`,
		`Digest realm="r", nonce="n", Digest`,
		`nonce="x", Digest realm="r", nonce="n"`,
		`=, Digest realm="r", nonce="n"`,
	} {
		got, err := ParseChallenges(challengeHeader(line))
		require.Error(t, err, line)
		assert.Equal(t, good, got, line)
	}
}

func TestParseChallengesJoinsErrors(t *testing.T) {
	t.Parallel()
	_, err := ParseChallenges(challengeHeader(`Digest realm="r", Digest nonce="n", qop=""`, `Digest a b`))
	require.ErrorIs(t, err, errNoNonce)
	require.ErrorIs(t, err, errNoQOP)
	require.ErrorIs(t, err, errSyntax)
	for message := range strings.Lines(err.Error()) {
		assert.Truef(t, strings.HasPrefix(message, "digest: "), "%q", message)
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
		want  error
	}{
		{"as many lines as are looked at", repeat(one, maxChallenges), maxChallenges, nil},
		{"10,000 lines", repeat(one, 10_000), maxChallenges, errTooMany},
		{"10,000 challenges in a line", []string{strings.Repeat(one+", ", 10_000)}, 0, errTooLong},
		{"many challenges in a line", []string{strings.Repeat(one+", ", 200)}, maxChallenges, errTooMany},
		{"as many challenges in a line as are looked at", []string{strings.Repeat(one+", ", maxChallenges)}, maxChallenges, nil},
		{"many malformed ones before a good one", []string{nextTo, one}, 0, errTooMany},
		{"many other schemes before a good one", append(repeat(`Basic realm="b"`, maxChallenges), one), 0, errTooMany},
		{"many lines with nothing in them", append(repeat("", maxChallenges), one), 0, errTooMany},
		{"a huge line before a good one", []string{strings.Repeat("x", 10<<20), one}, 1, errTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseChallenges(challengeHeader(tt.lines...))
			assert.Len(t, got, tt.found)
			require.ErrorIs(t, err, tt.want)
			var joined interface{ Unwrap() []error }
			if errors.As(err, &joined) {
				assert.LessOrEqual(t, len(joined.Unwrap()), maxChallenges+1)
			}
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
			challenges, err := ParseChallenges(challengeHeader(tt.line))
			require.NoError(t, err)
			got, ok := Select(challenges)
			assert.Equal(t, tt.want, got.Nonce)
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

func ExampleSelect() {
	h := make(http.Header)
	h.Add("WWW-Authenticate", `Basic realm="api", Digest realm="api", nonce="1", algorithm=MD5`)
	h.Add("WWW-Authenticate", `Digest realm="api", nonce="2", algorithm=SHA-256, qop="auth"`)
	challenges, err := ParseChallenges(h)
	if err != nil {
		fmt.Println(err)
	}
	if c, ok := Select(challenges); ok {
		fmt.Println(c.Algorithm, c.Nonce)
	}
	// Output: SHA-256 2
}
