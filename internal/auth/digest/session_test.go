package digest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExamplesOfTheRFCs(t *testing.T) {
	t.Parallel()
	const (
		nonce7616  = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
		opaque7616 = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
		cnonce7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	)
	tests := []struct {
		name                              string
		challenge, password, cnonce, want string
	}{
		{
			"RFC 7616, section 3.9.1, SHA-256",
			`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="` + nonce7616 + `", opaque="` + opaque7616 + `"`,
			"Circle of Life", cnonce7616,
			`Digest username="Mufasa", realm="http-auth@example.org", nonce="` + nonce7616 + `", algorithm=SHA-256, opaque="` + opaque7616 +
				`", qop=auth, cnonce="` + cnonce7616 + `", uri="/dir/index.html", nc=00000001, ` +
				`response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`,
		},
		{
			"RFC 7616, section 3.9.1, MD5",
			`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="` + nonce7616 + `", opaque="` + opaque7616 + `"`,
			"Circle of Life", cnonce7616,
			`Digest username="Mufasa", realm="http-auth@example.org", nonce="` + nonce7616 + `", algorithm=MD5, opaque="` + opaque7616 +
				`", qop=auth, cnonce="` + cnonce7616 + `", uri="/dir/index.html", nc=00000001, response="8ca523f5e9506fed4657c9700eebdbec"`,
		},
		{
			"RFC 2617, section 3.5",
			`Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ` +
				`opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Circle Of Life", "0a4f113b",
			`Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ` +
				`opaque="5ccc069c403ebaf9f0171e9517f40e41", qop=auth, cnonce="0a4f113b", uri="/dir/index.html", nc=00000001, ` +
				`response="6629fae49393a05397450978507c4ef1"`,
		},
		{
			"RFC 2069, section 2.4, with its corrected response",
			`Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"CircleOfLife", "not sent",
			`Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ` +
				`opaque="5ccc069c403ebaf9f0171e9517f40e41", uri="/dir/index.html", response="1949323746fe6a43ef61f9606e7febea"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, problem := readChallenges(header(tt.challenge))
			require.Empty(t, problem)
			assert.Equal(t, tt.want, newSession(c, nil, "Mufasa", tt.password, tt.cnonce).authorization("GET", "/dir/index.html"))
		})
	}
}

// RFC 7616, section 3.9.2, has a hashed user name, which this package does not support. The response does not depend on
// that; it is the one of erratum 4897.
func TestExampleWithSHA512256(t *testing.T) {
	t.Parallel()
	c, problem := readChallenges(header(`Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, ` +
		`nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8`))
	require.Empty(t, problem)
	s := newSession(c, nil, "Jäsøn Doe", "Secret, or not?", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
	assert.Contains(t, s.authorization("GET", "/doe.json"), `response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"`)
}

func TestAddCookies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		own, session []string
		want         []string
	}{
		{"none", nil, nil, nil},
		{"only the caller's, as they are", []string{"a=1;  b=,2"}, nil, []string{"a=1;  b=,2"}},
		{"only the session's", nil, []string{"a=1; Path=/; HttpOnly", `b="2"`}, []string{`a=1; b="2"`}},
		{"in place of the same names", []string{"a=1; b=2", "c=3"}, []string{"b=4", "d=5"}, []string{"a=1; c=3; b=4; d=5"}},
		{"set twice", nil, []string{"a=1", "a=2"}, []string{"a=2"}},
		{"malformed", []string{"a=1"}, []string{"", "=x", "b c=1"}, []string{"a=1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := http.Response{Header: http.Header{"Set-Cookie": tt.session}}
			s := &session{cookies: resp.Cookies()}
			req := &http.Request{Header: http.Header{"Cookie": tt.own}}
			s.addCookies(req)
			assert.Equal(t, tt.want, req.Header["Cookie"])
		})
	}
}
