package digest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever a server sends, reading it does not panic, and a server understands the credentials for what is selected.
func FuzzParseChallenges(f *testing.F) {
	f.Add("Digest realm=\"r\", nonce=\"n\"\nBasic realm=\"b\"", `J"äs\øn`, "/?q=\"")
	f.Fuzz(func(t *testing.T, lines, username, uri string) {
		challenges := parseChallenges(challengeHeader(strings.Split(lines, "\n")...))
		require.LessOrEqual(t, len(challenges), maxChallenges)
		c, ok := selectChallenge(challenges)
		if !ok || username == "" || hasControl(username+uri) {
			return
		}
		s := newSession(c, username, "password", "cnonce")
		body := "body"
		p, err := parseAuthorization(s.authorization("POST", uri, hashHex(c.algorithm, body)))
		require.NoError(t, err)
		assert.Equal(t, c.realm, p["realm"])
		assert.Equal(t, c.nonce, p["nonce"])
		assert.Equal(t, c.opaque, p["opaque"])
		assert.Equal(t, c.algorithm, p["algorithm"])
		assert.Equal(t, uri, p["uri"])
		assert.Equal(t, expectedResponse(p, username, "password", "POST", []byte(body)), p["response"])
		verifier := server{username: username, userhash: c.userHash}
		assert.True(t, verifier.isUser(p), "user name %q became %q", username, p)
	})
}
