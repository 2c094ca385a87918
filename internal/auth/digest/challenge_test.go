package digest

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		h.Add("WWW-Authenticate", line)
	}
	return h
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	type params map[string]string
	used := []string{"realm", "nonce", "opaque", "algorithm", "qop"}
	plain := params{"realm": "r", "nonce": "n"}
	tests := []struct {
		name  string
		lines []string
		want  params
	}{
		{"the service, as recorded in 2026", []string{
			`Digest realm="MMS Public API", domain="", nonce="SlgYP7Tv3FS/BuCj/x4WQRIV1bNKdpJg", algorithm=MD5, qop="auth", stale=false`,
		}, params{"realm": "MMS Public API", "nonce": "SlgYP7Tv3FS/BuCj/x4WQRIV1bNKdpJg", "algorithm": "MD5", "qop": "auth"}},
		{"the service, as its documentation prints it", []string{
			`Digest realm="MMS Public API", domain="", nonce="abc", algorithm=MD5, op="auth", stale=false`,
		}, params{"realm": "MMS Public API", "nonce": "abc", "algorithm": "MD5"}},
		{"everything set", []string{
			`Digest realm="r",nonce="n",opaque="o",algorithm=SHA-256,qop="auth-int, auth",stale=TRUE,userhash=true,charset=utf-8`,
		}, params{"realm": "r", "nonce": "n", "opaque": "o", "algorithm": "SHA-256", "qop": "auth-int, auth"}},
		{"case of names", []string{`dIGEST REALM="r", NoNce="n", QOP="AUTH"`}, params{"realm": "r", "nonce": "n", "qop": "AUTH"}},
		{"escapes and commas", []string{`Digest realm="a \"b\", c=\\d", nonce="n, Digest x=\"y\""`},
			params{"realm": `a "b", c=\d`, "nonce": `n, Digest x="y"`}},
		{"space everywhere", []string{"\t Digest \t realm =\t\"r\" ,, \t nonce= \"n\" , "}, plain},
		{"comma after the scheme", []string{`Digest, realm="r", nonce="n"`}, plain},
		{"empty opaque", []string{`Digest realm="r", nonce="n", opaque=""`}, params{"realm": "r", "nonce": "n", "opaque": ""}},
		{"no realm", []string{`Digest nonce="n"`}, params{"nonce": "n"}},
		{"realm without a value", []string{`Digest realm, nonce="n"`}, params{"nonce": "n"}},
		{"base64 without quotes", []string{`Digest realm="r", nonce=a+/b==, opaque==, qop=auth`},
			params{"realm": "r", "nonce": "a+/b==", "opaque": "=", "qop": "auth"}},
		{"bytes above ASCII", []string{"Digest realm=\"Jäsøn\", nonce=\"\xff\""}, params{"realm": "Jäsøn", "nonce": "\xff"}},
		{"other schemes around", []string{
			`Basic realm="b, nonce=x", charset="UTF-8", Digest realm="r", nonce="n", Negotiate YIIab+/c==, NTLM, Bearer realm="t"`,
			`Negotiate`,
		}, plain},
		{"empty lines", []string{"", " , ,\t", `Digest realm="r", nonce="n"`}, plain},
		{"strongest last", []string{`Digest nonce="1", algorithm=MD5, Digest nonce="2", algorithm=SHA-256`,
			`Digest nonce="3", algorithm=sha-512-256`}, params{"nonce": "3", "algorithm": "sha-512-256"}},
		{"strongest first", []string{`Digest nonce="1", algorithm=SHA-512-256, Digest nonce="2", algorithm=SHA-256, Digest nonce="3"`},
			params{"nonce": "1", "algorithm": "SHA-512-256"}},
		{"first of equals", []string{`Digest realm="r", nonce="n", Digest nonce="2", algorithm=MD5`}, plain},
		{"unsupported ones before", []string{`Digest nonce="1", algorithm=SHA-256-sess`, `Digest nonce="2", algorithm=SHA3-512`,
			`Digest nonce="3", algorithm=SHA-256, qop="auth-int"`, `Digest realm="r", nonce="n"`}, plain},
		{"malformed ones around", []string{`nonce="x", Digest, Digest nonce="x" y="a, b", Digest realm="r", nonce="n", Digest realm="s`}, plain},
		{"a huge line before", []string{strings.Repeat("x", 10<<20), `Digest realm="r", nonce="n"`}, plain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, problem := readChallenges(header(tt.lines...))
			assert.Empty(t, problem)
			assert.Equal(t, "digest", got.scheme)
			for name, value := range got.params {
				if !slices.Contains(used, name) || value == "" && name != "opaque" {
					delete(got.params, name)
				}
			}
			assert.Equal(t, tt.want, params(got.params))
		})
	}
}

func TestNoUsableChallenge(t *testing.T) {
	t.Parallel()
	const basic, malformed, none = "Basic authentication, but no Digest", "malformed, or needs more than MD5", "no Digest challenge"
	tests := []struct {
		name, line string
		problem    string
	}{
		{"nothing", ``, none},
		{"only Basic", `Basic realm="b", charset="UTF-8"`, basic},
		{"Basic and others", `Negotiate a==, Basic realm="b", NTLM`, basic},
		{"only others", `Negotiate YIIab+/c==, NTLM, Bearer realm="t", nonce="n"`, none},
		{"inside a string of another scheme", `Bearer x="\", Digest realm=r, nonce=n", Bearer y=", Digest nonce=n`, none},
		{"parameters without a scheme", `realm="r", nonce="n"`, none},
		{"the scheme only", `Digest`, malformed},
		{"Basic and an unusable Digest", `Digest nonce="n", algorithm=SHA3-512, Basic realm="b"`, malformed},
		{"session algorithm", `Digest nonce="n", algorithm=MD5-sess, qop="auth"`, malformed},
		{"only auth-int", `Digest nonce="n", qop="auth-int"`, malformed},
		{"qop of commas", `Digest nonce="n", qop=" , "`, malformed},
		{"no nonce", `Digest realm="r"`, malformed},
		{"empty nonce", `Digest realm="r", nonce=""`, malformed},
		{"unterminated string", `Digest realm="r", nonce="n`, malformed},
		{"string that ends in an escape", `Digest realm="r", nonce="n\`, malformed},
		{"text after a string", `Digest realm="r"x, nonce="n"`, malformed},
		{"no comma", `Digest realm="r" nonce="n"`, malformed},
		{"quote in a value without quotes", `Digest realm=a"b", nonce="n"`, malformed},
		{"space in a value without quotes", `Digest realm=a b, nonce="n"`, malformed},
		{"a parameter with the name of the scheme", `Digest ="r", nonce="n"`, none},
		{"only a name and text", `Digest a b c="r", nonce="n"`, malformed},
		{"new line in the realm", "Digest realm=\"r\nX: y\", nonce=\"n\"", malformed},
		{"NUL in the opaque", "Digest realm=\"r\", nonce=\"n\", opaque=\"\x00\"", malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problem := readChallenges(header(tt.line))
			assert.Contains(t, problem, tt.problem)
			got, problem := readChallenges(header(tt.line, `Digest nonce="good"`))
			assert.Equal(t, "good", got.params["nonce"], "it must not hide the line below")
			assert.Empty(t, problem)
		})
	}
}

// However much a server sends, reading it costs little.
func TestReadingIsBounded(t *testing.T) {
	one := `Digest realm="r", nonce="n"`
	huge := slices.Repeat([]string{strings.Repeat(one+", ", 1000)}, 10_000)
	allocations := testing.AllocsPerRun(1, func() {
		c, _ := readChallenges(http.Header{"Www-Authenticate": huge})
		assert.Equal(t, "n", c.params["nonce"])
	})
	assert.Less(t, allocations, 100_000.0, "of 10,000 lines with 1,000 challenges each, 16 are read in part")

	for _, lines := range [][]string{append(make([]string, maxLines), one), {strings.Repeat("x", maxLineBytes) + ", " + one}} {
		_, problem := readChallenges(http.Header{"Www-Authenticate": lines})
		assert.NotEmpty(t, problem, "what stands behind the bounds")
	}
}

// Whatever a server sends, reading it does not panic, and the credentials for what was selected are well-formed and right.
func FuzzChallenges(f *testing.F) {
	for _, lines := range []string{
		`Digest realm="MMS Public API", domain="", nonce="abc+/=", algorithm=MD5, qop="auth", stale=false`,
		`Digest realm="MMS Public API", domain="", nonce="abc", algorithm=MD5, op="auth", stale=false`,
		"Digest realm=\"a \\\"b\\\", c=\\\\d\", nonce=\"n, Digest x=\\\"y\\\"\", opaque=\"\\\\\"\nBasic realm=\"b\"",
		"Digest realm, Digest nonce=\"x\" y=\"a, b\", Digest realm=\"r\", nonce=\"n\", Digest",
		"Basic realm=\"b\", Negotiate YIIab+/c==, Digest nonce=n==, NTLM\nDigest nonce=\"2\", algorithm=sha-512-256, qop=\"auth,auth-int\"",
		`Digest nonce="n", opaque=""`,
		"Digest realm=\"r\r\", nonce=\"n\x00\", =, \"\\",
	} {
		f.Add(lines, `J"äs\øn`, `/?q="\`)
	}
	f.Fuzz(func(t *testing.T, lines, username, uri string) {
		c, problem := readChallenges(header(strings.Split(lines, "\n")...))
		require.NotEqual(t, problem == "", c.params["nonce"] == "")
		if problem != "" {
			return
		}
		p, err := parseAuthorization(newSession(c, nil, username, "password", "cnonce").authorization("POST", uri))
		require.NoError(t, err)
		want := map[string]string{"uri": uri, "username": username, "response": expectedResponse(p, "password", "POST")}
		for _, name := range []string{"realm", "nonce", "opaque", "algorithm"} {
			want[name] = c.params[name]
		}
		for name, value := range want {
			assert.Equal(t, value, p[name], name)
		}
	})
}
