package digest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The examples of the RFCs. The username hash and the response of RFC 7616, section 3.9.2 are those of its erratum
// 4897, and the response of RFC 2069, section 2.4 is the corrected one as well: the printed values do not follow from the
// printed input.
const (
	rfc7616Nonce  = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
	rfc7616Opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
	rfc7616Cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

	rfc7616UTF8Nonce  = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"
	rfc7616UTF8Opaque = "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"
	rfc7616UTF8Cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
)

func TestAuthorizationExamplesOfTheRFCs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                                       string
		challenge, username, password, cnonce, uri string
		want                                       map[string]string
	}{
		{
			name: "RFC 7616, section 3.9.1, SHA-256",
			challenge: `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="` + rfc7616Nonce +
				`", opaque="` + rfc7616Opaque + `"`,
			username: "Mufasa", password: "Circle of Life", cnonce: rfc7616Cnonce, uri: "/dir/index.html",
			want: map[string]string{
				"username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "algorithm": "SHA-256",
				"nonce": rfc7616Nonce, "nc": "00000001", "cnonce": rfc7616Cnonce, "qop": "auth", "opaque": rfc7616Opaque,
				"response": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
			},
		},
		{
			name: "RFC 7616, section 3.9.1, MD5",
			challenge: `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="` + rfc7616Nonce +
				`", opaque="` + rfc7616Opaque + `"`,
			username: "Mufasa", password: "Circle of Life", cnonce: rfc7616Cnonce, uri: "/dir/index.html",
			want: map[string]string{
				"username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "algorithm": "MD5",
				"nonce": rfc7616Nonce, "nc": "00000001", "cnonce": rfc7616Cnonce, "qop": "auth", "opaque": rfc7616Opaque,
				"response": "8ca523f5e9506fed4657c9700eebdbec",
			},
		},
		{
			name: "RFC 7616, section 3.9.2, hashed user name",
			challenge: `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="` + rfc7616UTF8Nonce +
				`", opaque="` + rfc7616UTF8Opaque + `", charset=UTF-8, userhash=true`,
			username: "Jäsøn Doe", password: "Secret, or not?", cnonce: rfc7616UTF8Cnonce, uri: "/doe.json",
			want: map[string]string{
				"username": "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
				"realm":    "api@example.org", "uri": "/doe.json", "algorithm": "SHA-512-256", "nonce": rfc7616UTF8Nonce,
				"nc": "00000001", "cnonce": rfc7616UTF8Cnonce, "qop": "auth", "opaque": rfc7616UTF8Opaque, "userhash": "true",
				"response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
			},
		},
		{
			name: "RFC 7616, section 3.9.2, encoded user name",
			challenge: `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="` + rfc7616UTF8Nonce +
				`", opaque="` + rfc7616UTF8Opaque + `", charset=UTF-8, userhash=false`,
			username: "Jäsøn Doe", password: "Secret, or not?", cnonce: rfc7616UTF8Cnonce, uri: "/doe.json",
			want: map[string]string{
				"username*": "UTF-8''J%C3%A4s%C3%B8n%20Doe",
				"realm":     "api@example.org", "uri": "/doe.json", "algorithm": "SHA-512-256", "nonce": rfc7616UTF8Nonce,
				"nc": "00000001", "cnonce": rfc7616UTF8Cnonce, "qop": "auth", "opaque": rfc7616UTF8Opaque,
				"response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
			},
		},
		{
			name: "RFC 2069, section 2.4",
			challenge: `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ` +
				`opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			username: "Mufasa", password: "CircleOfLife", cnonce: "not sent", uri: "/dir/index.html",
			want: map[string]string{
				"username": "Mufasa", "realm": "testrealm@host.com", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
				"uri": "/dir/index.html", "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
				"response": "1949323746fe6a43ef61f9606e7febea",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSession(selected(t, tt.challenge), tt.username, tt.password, tt.cnonce)
			got, err := parseAuthorization(s.authorization("GET", tt.uri, ""))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func selected(tb testing.TB, line string) challenge {
	tb.Helper()
	c, ok := selectChallenge(parseChallenges(challengeHeader(line)))
	require.True(tb, ok)
	return c
}

func TestAuthorizationForms(t *testing.T) {
	t.Parallel()
	const body = `{"password": "hunter2"}`
	for _, algorithm := range []string{"", "MD5", "md5", "MD5-sess", "SHA-256", "sha-256-SESS", "SHA-512-256", "SHA-512-256-sess"} {
		for _, qop := range []string{"", "auth", "auth-int", "auth-int,auth"} {
			t.Run(algorithm+" "+qop, func(t *testing.T) {
				t.Parallel()
				c := challenge{realm: "r", nonce: "n", algorithm: algorithm}
				if qop != "" {
					c.qop = strings.Split(qop, ",")
				}
				s := newSession(c, testUsername, testPassword, "cnonce")
				bodyHash := hashHex(algorithm, body)
				p, err := parseAuthorization(s.authorization("POST", "/a?b=c&d", bodyHash))
				require.NoError(t, err)
				assert.Equal(t, expectedResponse(p, testUsername, testPassword, "POST", []byte(body)), p["response"])
				assert.Equal(t, algorithm, p["algorithm"], "spelled as the server does")
				chosen := qop
				if strings.Contains(qop, ",") {
					chosen = "auth"
				}
				assert.Equal(t, chosen, p["qop"])
				assert.Equal(t, chosen == "auth-int", s.hashesBody())
			})
		}
	}
}

func TestAuthorizationCounts(t *testing.T) {
	t.Parallel()
	s := newSession(challenge{realm: "r", nonce: "n", qop: []string{"auth"}}, "u", "p", "c")
	for _, want := range []string{"00000001", "00000002", "00000003"} {
		assert.Contains(t, s.authorization("GET", "/", ""), "nc="+want+",")
	}
	s.uses.Store(0xabcdef)
	assert.Contains(t, s.authorization("GET", "/", ""), "nc=00abcdf0,")
	assert.False(t, s.exhausted())
	s.uses.Store(maxUses)
	assert.True(t, s.exhausted())
	assert.Contains(t, s.authorization("GET", "/", ""), "nc=80000001,", "a caller that came too late still has a count")
}

func TestAuthorizationQuotes(t *testing.T) {
	t.Parallel()
	c := challenge{realm: `a "b" \c`, nonce: `"`, opaque: `\`, hasOpaque: true, qop: []string{"auth"}}
	s := newSession(c, `domain\"user"`, "p", "c")
	p, err := parseAuthorization(s.authorization("GET", `/?q="x\y"`, ""))
	require.NoError(t, err)
	assert.Equal(t, c.realm, p["realm"])
	assert.Equal(t, c.nonce, p["nonce"])
	assert.Equal(t, c.opaque, p["opaque"])
	assert.Equal(t, `domain\"user"`, p["username"])
	assert.Equal(t, `/?q="x\y"`, p["uri"])
	assert.Equal(t, expectedResponse(p, `domain\"user"`, "p", "GET", nil), p["response"], "hashes are over unquoted values")
}

func TestAuthorizationUsername(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, username string
		userHash       bool
		param, want    string
	}{
		{"ASCII", "Mufasa", false, "username", "Mufasa"},
		{"all that RFC 5987 lets stand", "é!#$&+-.^_`|~09azAZ", false, "username*", "UTF-8''%C3%A9!#$&+-.^_`|~09azAZ"},
		{"all that it does not", `é*'%"\ ,;=(ÿ`, false, "username*", "UTF-8''%C3%A9%2A%27%25%22%5C%20%2C%3B%3D%28%C3%BF"},
		{"hashed", "Jäsøn", true, "username", hashHex("MD5", "Jäsøn:r")},
		{"hashed ASCII", "Mufasa", true, "username", hashHex("MD5", "Mufasa:r")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := challenge{realm: "r", nonce: "n", userHash: tt.userHash}
			p, err := parseAuthorization(newSession(c, tt.username, "p", "c").authorization("GET", "/", ""))
			require.NoError(t, err)
			assert.Equal(t, tt.want, p[tt.param])
			assert.Equal(t, tt.userHash, p["userhash"] == "true")
			assert.Len(t, p, map[bool]int{false: 5, true: 6}[tt.userHash], "one parameter for the user name")
		})
	}
}

func TestAuthorizationSessionWithoutQOP(t *testing.T) {
	t.Parallel()
	s := newSession(challenge{realm: "r", nonce: "n", algorithm: "MD5-sess"}, "u", "p", "c")
	p, err := parseAuthorization(s.authorization("GET", "/", ""))
	require.NoError(t, err)
	assert.Equal(t, "c", p["cnonce"], "the server cannot compute the key without it")
	assert.NotContains(t, p, "nc")
	assert.NotContains(t, p, "qop")
}

func TestFollowing(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"SHA-256", "SHA-256-sess"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			c := challenge{realm: "r", nonce: "first", opaque: "o", hasOpaque: true, algorithm: algorithm, qop: []string{"auth"}, userHash: true}
			s := newSession(c, "u", "p", "cnonce")
			before, err := parseAuthorization(s.authorization("GET", "/", ""))
			require.NoError(t, err)
			p, err := parseAuthorization(s.following("second").authorization("GET", "/", ""))
			require.NoError(t, err)

			assert.Equal(t, "second", p["nonce"])
			assert.Equal(t, "00000001", p["nc"])
			for _, same := range []string{"username", "realm", "opaque", "algorithm", "qop", "cnonce", "userhash"} {
				assert.Equal(t, before[same], p[same], same)
			}
			key := hashHex(algorithm, "u:r:p")
			if algorithm == "SHA-256-sess" {
				key = hashHex(algorithm, key+":first:cnonce")
			}
			want := hashHex(algorithm, key+":second:00000001:cnonce:auth:"+hashHex(algorithm, "GET:/"))
			assert.Equal(t, want, p["response"])
		})
	}
}

// The header of every request costs its own string and nothing else.
func TestAuthorizationAllocations(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256", "SHA-512-256-sess"} {
		s := newSession(benchmarkChallenge(algorithm), testUsername, testPassword, strings.Repeat("c", 26))
		got := testing.AllocsPerRun(100, func() { s.authorization("POST", "/api/atlas/v2/groups/1/liveMigrations", "") })
		assert.LessOrEqual(t, got, 1.0, algorithm)
	}
}

func benchmarkChallenge(algorithm string) challenge {
	return challenge{
		realm: "MMS Public API", nonce: strings.Repeat("n", 60), algorithm: algorithm, qop: []string{"auth"},
	}
}

func BenchmarkAuthorization(b *testing.B) {
	for _, algorithm := range []string{"MD5", "SHA-256", "SHA-512-256"} {
		b.Run(algorithm, func(b *testing.B) {
			s := newSession(benchmarkChallenge(algorithm), testUsername, testPassword, strings.Repeat("c", 26))
			b.ReportAllocs()
			for b.Loop() {
				s.authorization("GET", "/api/atlas/v2/groups/5f1b2c3d/liveMigrations/5f1b2c3d", "")
			}
		})
	}
}
